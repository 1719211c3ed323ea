//! Every subset of what was not synced: units that survive a crash one by one.

use super::state::{Change, State};

impl State {
    pub(super) fn unsynced_units(&self, unit_bytes: usize) -> usize {
        let units = self.unsynced.iter();
        units.map(|change| units_of(change, unit_bytes).len()).sum()
    }

    /// Units beyond the mask do not survive.
    pub(super) fn keep_chosen(&mut self, unsynced: &[Change], unit_bytes: usize, mask: u64) {
        let units = unsynced
            .iter()
            .flat_map(|change| units_of(change, unit_bytes));
        for (number, unit) in units.take(64).enumerate() {
            if mask & 1 << number != 0 {
                self.persist(&unit);
            }
        }
    }
}

/// A write is as many changes as it touches stretches of `unit_bytes`; anything else is one.
fn units_of(change: &Change, unit_bytes: usize) -> Vec<Change> {
    let Change::Write {
        file,
        offset,
        bytes,
    } = change
    else {
        return vec![change.clone()];
    };
    let (mut units, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = (unit_bytes - (offset + at) % unit_bytes).min(bytes.len() - at);
        units.push(Change::Write {
            file: *file,
            offset: offset + at,
            bytes: bytes[at..at + len].to_vec(),
        });
        at += len;
    }
    units
}
