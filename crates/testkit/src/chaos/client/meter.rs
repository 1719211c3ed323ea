//! What the clients get out of the quorum, by time: whether a stretch was busy enough, and how long nothing went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chaos::operation::{Call, Moment, Outcome};

/// When what was answered.
#[derive(Debug, Default)]
pub struct Meter {
    ended: Mutex<Ended>,
}

/// Moments, each list in ascending order.
#[derive(Debug, Default)]
struct Ended {
    reads: Vec<Moment>,
    writes: Vec<Moment>,
    refused: Vec<Moment>,
    unknown: Vec<Moment>,
}

/// What was answered between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How long it is.
    pub length: Duration,
    /// Reads that were answered with a state.
    pub reads: usize,
    /// Writes that were decided by the state machine, rejections included.
    pub writes: usize,
    /// Definite refusals without a decision: not the controller, no connection, ...
    pub refused: usize,
    /// Unknown outcomes.
    pub unknown: usize,
    /// Longest time without a decided write, from the beginning or up to the end of the window too.
    pub longest_gap: Duration,
}

impl Window {
    /// Operations that did something useful, per second.
    pub fn operations_per_second(&self) -> u64 {
        let millis = u64::try_from(self.length.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        (self.reads + self.writes) as u64 * 1_000 / millis
    }
}

impl Meter {
    /// Notes one attempt that ended.
    pub(super) fn note(&self, at: Moment, call: &Call, outcome: &Outcome) {
        let mut ended = self.lock();
        let list = match outcome {
            Outcome::Done { .. } | Outcome::Refused { at: Some(_), .. } if call.is_write() => {
                &mut ended.writes
            }
            Outcome::Done { .. } | Outcome::Refused { at: Some(_), .. } => &mut ended.reads,
            Outcome::Refused { at: None, .. } => &mut ended.refused,
            Outcome::Unknown | Outcome::Broken { .. } => &mut ended.unknown,
        };
        list.push(at);
    }

    /// Decided writes since the start: grows as long as there is progress.
    pub fn writes(&self) -> usize {
        self.lock().writes.len()
    }

    /// What was answered between two moments.
    pub fn window(&self, from: Moment, to: Moment) -> Window {
        let ended = self.lock();
        let within = |list: &[Moment]| {
            let begin = list.partition_point(|moment| *moment < from);
            let end = list.partition_point(|moment| *moment < to);
            begin..end.max(begin)
        };
        let writes = &ended.writes[within(&ended.writes)];
        Window {
            length: Duration::from_nanos(to.0.saturating_sub(from.0)),
            reads: within(&ended.reads).len(),
            writes: writes.len(),
            refused: within(&ended.refused).len(),
            unknown: within(&ended.unknown).len(),
            longest_gap: longest_gap(from, writes, to),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn longest_gap(from: Moment, moments: &[Moment], to: Moment) -> Duration {
    let begins = std::iter::once(&from).chain(moments);
    let ends = moments.iter().chain(std::iter::once(&to));
    let gaps = begins
        .zip(ends)
        .map(|(begin, end)| end.0.saturating_sub(begin.0));
    Duration::from_nanos(gaps.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_what_ended_in_it_and_the_longest_silence() {
        let meter = Meter::default();
        let write = Call::DeleteTopic { topic: "t".into() };
        let done = Outcome::Done {
            index: 1,
            term: 1,
            body: "".into(),
        };
        for at in [10, 20, 60, 70] {
            meter.note(Moment(at), &write, &done);
        }
        meter.note(Moment(65), &write, &Outcome::Unknown);
        let window = meter.window(Moment(20), Moment(70));
        assert_eq!((window.writes, window.unknown, window.reads), (2, 1, 0));
        assert_eq!(window.longest_gap, Duration::from_nanos(40));
        assert_eq!(
            meter.window(Moment(100), Moment(130)).longest_gap,
            Duration::from_nanos(30)
        );
    }
}
