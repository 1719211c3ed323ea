//! The closed loop: every client has one connection and sends its next write when the last one was answered.
//! All clients of a run share one thread; the servers have the rest of the machine.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// A client: what one write is.
pub(super) trait Writer: 'static {
    /// Sends one write and waits for its success. Anything else ends the measurement.
    async fn write(&mut self) -> anyhow::Result<()>;
}

/// How long a round is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duty {
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

/// What one round found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

/// Latencies in microseconds with three digits, up to one minute.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// Lets all writers write until the time is over and returns them for the next round. Writes that were
/// answered within the measured time count.
pub(super) async fn closed_loop<W: Writer>(
    writers: Vec<W>,
    duty: Duty,
) -> anyhow::Result<(Vec<W>, Sample)> {
    let begin = Instant::now() + duty.warm_up;
    let end = begin + duty.measured;
    let mut clients = JoinSet::new();
    for writer in writers {
        clients.spawn_local(client(writer, begin, end));
    }
    let mut writers = Vec::new();
    let mut all = histogram()?;
    while let Some(joined) = clients.join_next().await {
        let (writer, mine) = joined.context("a client died")??;
        all.add(mine)?;
        writers.push(writer);
    }
    Ok((writers, sample(&all, duty.measured)))
}

async fn client<W: Writer>(
    mut writer: W,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<(W, Histogram<u64>)> {
    let mut latencies = histogram()?;
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok((writer, latencies));
        }
        writer.write().await?;
        let answered = Instant::now();
        if (begin..end).contains(&answered) {
            latencies.saturating_record(micros(answered - sent));
        }
    }
}

fn sample(latencies: &Histogram<u64>, measured: Duration) -> Sample {
    let at = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile));
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of one round are far below 2^52"
    )]
    let count = latencies.len() as f64;
    Sample {
        per_second: count / measured.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
