//! The snapshot thread: writes one image at a time.

use std::sync::Arc;
use std::time::Instant;

use dmq_log::{Disk, Identity, SnapshotStore};
use dmq_replica::{DriverInput, HeldImage, write_snapshot};

use super::Work;
use crate::metrics::Metrics;
use crate::queue::{Receiver, Sender};

/// What the thread works with.
pub struct SnapshotWork<D: Disk> {
    /// Where files go.
    pub store: Arc<SnapshotStore<D>>,
    /// Whose files they are.
    pub identity: Identity,
    /// Where the end of a file is told.
    pub driver: Sender<Work>,
    /// Where the time is counted.
    pub metrics: Arc<Metrics>,
}

/// Runs until the queue is closed.
pub fn run<D: Disk>(work: &SnapshotWork<D>, inbox: &Receiver<HeldImage>) {
    let mut batch = Vec::new();
    while inbox.drain_until(&mut batch, None) {
        for image in batch.drain(..) {
            let last = image.last;
            let started = Instant::now();
            let written = write_snapshot(&work.store, &work.identity, &image);
            work.metrics
                .log
                .snapshot
                .observe(started.elapsed().as_secs_f64());
            let result = written.map_err(|error| error.to_string());
            match &result {
                Ok(bytes) => tracing::info!(snapshot = %last, bytes, "snapshot written"),
                Err(error) => tracing::error!(snapshot = %last, error, "snapshot failed"),
            }
            work.driver
                .push_always(Work::Input(DriverInput::SnapshotWritten { last, result }));
        }
    }
}
