//! Messages that must not leave before a write is durable (DESIGN 6.3).

use std::collections::BTreeMap;

use dmq_raft::IoSeq;

use crate::DriverOutput;

/// What waits for the disk, by the write that it waits for.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<IoSeq, Vec<DriverOutput>>,
}

impl Outbox {
    /// Keeps an output until `after` is durable.
    pub(super) fn hold(&mut self, after: IoSeq, output: DriverOutput) {
        self.waiting.entry(after).or_default().push(output);
    }

    /// What may leave now.
    pub(super) fn release(
        &mut self,
        persisted: IoSeq,
    ) -> impl Iterator<Item = DriverOutput> + use<> {
        let still = self.waiting.split_off(&IoSeq(persisted.0 + 1));
        std::mem::replace(&mut self.waiting, still)
            .into_values()
            .flatten()
    }
}
