//! What the load counts: acknowledgements, failures, and the longest silence between two acknowledgements.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dmq_api::client::ClientError;
use serde_json::{Value, json};

/// Counts of all clients together.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    acked: u64,
    failed: u64,
    stale: u64,
    /// Acknowledgements since the last line.
    acks: u64,
    /// When the last acknowledgement came; nothing is a gap before the first.
    last: Option<Instant>,
    gap_of_line: Duration,
    gap_since_reset: Duration,
    gap: Duration,
    last_error: Option<String>,
}

/// One line of the report. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was made, since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Acknowledged writes since the line before.
    pub acks: u64,
    /// Acknowledged writes since the start.
    pub acked_total: u64,
    /// Writes that failed although the client followed redirects and retried.
    pub failed_total: u64,
    /// Writes refused because somebody else (a fenced broker, another load) had changed the partition; they are
    /// made anew from the present state and count neither as acknowledged nor as failed.
    pub stale_total: u64,
    /// Longest time between two successive acknowledgements since the first, the present silence included.
    pub max_gap_ms: u64,
    /// The same, of gaps that ended or lasted while this line was made up.
    pub gap_ms: u64,
    /// The same, since SIGUSR1.
    pub gap_since_reset_ms: u64,
    /// The last failure of any kind.
    pub last_error: Option<String>,
}

impl Meter {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A write was acknowledged now.
    pub fn acknowledged(&self) {
        let mut counts = self.lock();
        counts.silence(Instant::now());
        counts.last = Some(Instant::now());
        counts.acked += 1;
        counts.acks += 1;
    }

    /// A write failed for good.
    pub fn failed(&self, error: &ClientError) {
        self.note(error);
        self.lock().failed += 1;
    }

    /// A write was made from a state that is no longer so.
    pub fn stale(&self) {
        self.lock().stale += 1;
    }

    /// Something else went wrong that people may want to see.
    pub fn note(&self, error: &ClientError) {
        let text = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        self.lock().last_error = Some(text);
    }

    /// Begins a new measurement of `gap_since_reset_ms`; a silence that lasts belongs to it from now on.
    pub fn reset(&self) {
        let mut counts = self.lock();
        counts.silence(Instant::now());
        counts.gap_since_reset = Duration::ZERO;
        counts.last = counts.last.map(|_| Instant::now());
    }

    /// The report up to now; the next line begins here.
    pub fn line(&self) -> Line {
        let mut counts = self.lock();
        counts.silence(Instant::now());
        let line = Line {
            unix_ms: SystemTime::UNIX_EPOCH.elapsed().map_or(0, millis),
            acks: std::mem::take(&mut counts.acks),
            acked_total: counts.acked,
            failed_total: counts.failed,
            stale_total: counts.stale,
            max_gap_ms: millis(counts.gap),
            gap_ms: millis(counts.gap_of_line),
            gap_since_reset_ms: millis(counts.gap_since_reset),
            last_error: counts.last_error.clone(),
        };
        counts.gap_of_line = Duration::ZERO;
        line
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The silence since the last acknowledgement counts as a gap, whether it ends now or goes on.
    fn silence(&mut self, now: Instant) {
        let Some(last) = self.last else {
            return;
        };
        let gap = now.saturating_duration_since(last);
        for longest in [
            &mut self.gap,
            &mut self.gap_of_line,
            &mut self.gap_since_reset,
        ] {
            *longest = gap.max(*longest);
        }
    }
}

impl Line {
    /// One JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "unixMs": self.unix_ms,
            "acks": self.acks,
            "ackedTotal": self.acked_total,
            "failedTotal": self.failed_total,
            "staleTotal": self.stale_total,
            "maxGapMs": self.max_gap_ms,
            "gapMs": self.gap_ms,
            "gapSinceResetMs": self.gap_since_reset_ms,
            "lastError": self.last_error,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_gap_before_the_first_acknowledgement() {
        let meter = Meter::new();
        std::thread::sleep(Duration::from_millis(5));
        let line = meter.line();
        assert_eq!((line.max_gap_ms, line.acked_total), (0, 0));
        meter.acknowledged();
        assert_eq!(meter.line().acks, 1);
        assert_eq!(meter.line().acks, 0);
    }

    #[test]
    fn a_silence_counts_while_it_lasts_and_in_every_line_that_it_touches() {
        let meter = Meter::new();
        meter.acknowledged();
        std::thread::sleep(Duration::from_millis(20));
        let lasting = meter.line();
        assert!(lasting.gap_ms >= 20 && lasting.max_gap_ms >= lasting.gap_ms);
        std::thread::sleep(Duration::from_millis(20));
        meter.acknowledged();
        let ended = meter.line();
        assert!(ended.gap_ms >= 40, "{ended:?}");
        meter.acknowledged();
        let quiet = meter.line();
        assert!(quiet.gap_ms < 40 && quiet.max_gap_ms >= 40, "{quiet:?}");
    }

    #[test]
    fn a_reset_begins_a_measurement_and_keeps_the_maximum() {
        let meter = Meter::new();
        meter.acknowledged();
        std::thread::sleep(Duration::from_millis(30));
        meter.reset();
        meter.acknowledged();
        let line = meter.line();
        assert!(
            line.gap_since_reset_ms < 30 && line.max_gap_ms >= 30,
            "{line:?}"
        );
    }
}
