//! The log writer's thread: everything that waits becomes one frame and one sync.

use std::time::Instant;

use dmq_log::Disk;
use dmq_replica::{DriverInput, LogInput, LogWriter};

use super::{Beat, Work};
use crate::metrics::LogMetrics;
use crate::queue::{Receiver, Sender};

/// Runs until the queue is closed. `beat` tells that no write is stuck.
pub fn run<D: Disk>(
    mut writer: LogWriter<D>,
    inbox: &Receiver<LogInput>,
    driver: &Sender<Work>,
    beat: &Beat,
    metrics: &LogMetrics,
) {
    let mut batch = Vec::new();
    while inbox.drain_until(&mut batch, None) {
        let (written, started) = (written(&batch), Instant::now());
        let outputs = writer.run(std::mem::take(&mut batch));
        if let Some((entries, bytes)) = written {
            metrics.observe_write(started.elapsed(), entries, bytes);
        }
        driver.push_all_always(
            outputs
                .into_iter()
                .map(|output| Work::Input(DriverInput::Log(output))),
        );
        beat.touch();
    }
    if let Err(error) = writer.close() {
        tracing::error!(%error, "the log was not closed in order");
    }
}

/// Entries and payload bytes that a batch makes durable; `None` if it writes nothing.
fn written(batch: &[LogInput]) -> Option<(usize, usize)> {
    let sizes = batch.iter().filter_map(|input| match input {
        LogInput::Persist(persist) => {
            let bytes = persist
                .entries
                .iter()
                .map(|entry| entry.payload.len())
                .sum();
            Some((persist.entries.len(), bytes))
        }
        LogInput::Purge(_) | LogInput::Tick => None,
    });
    sizes.reduce(|(entries, bytes), (more, larger)| (entries + more, bytes + larger))
}
