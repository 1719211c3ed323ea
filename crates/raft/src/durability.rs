//! Which writes are on disk, and how much of the present log that makes durable (DESIGN 6.3).

use std::collections::VecDeque;

use crate::mutant;
use crate::{Effects, IoSeq, LogIndex, Persist};

/// Numbers the writes and remembers to which index each would make the log durable.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Durability {
    issued: IoSeq,
    done: IoSeq,
    index: LogIndex,
    /// Writes under way, with the last index of the log that each one completes.
    pending: VecDeque<(IoSeq, LogIndex)>,
}

impl Durability {
    /// Everything that was recovered is durable.
    pub(crate) fn new(index: LogIndex) -> Self {
        Self {
            issued: IoSeq(0),
            done: IoSeq(0),
            index,
            pending: VecDeque::new(),
        }
    }

    /// Highest index of the present log that is durable.
    #[inline]
    pub(crate) fn index(&self) -> LogIndex {
        self.index
    }

    /// The number of the newest write.
    pub(crate) fn issued(&self) -> IoSeq {
        self.issued
    }

    pub(crate) fn is_done(&self, io: IoSeq) -> bool {
        io <= self.done
    }

    /// What a message that promises durability of all that was written so far has to wait for.
    pub(crate) fn promise(&self) -> Option<IoSeq> {
        (self.issued > self.done).then_some(self.issued)
    }

    /// The write of this step, begun with a number of its own if it is the step's first.
    pub(crate) fn write<'fx>(&mut self, fx: &'fx mut Effects) -> &'fx mut Persist {
        fx.persist.get_or_insert_with(|| {
            self.issued.0 += 1;
            let (io, entries) = (self.issued, Vec::new());
            Persist {
                io,
                hard_state: None,
                start: None,
                truncate_from: None,
                entries,
            }
        })
    }

    /// The write that was issued last leaves the log ending at `last`.
    pub(crate) fn record(&mut self, last: LogIndex) {
        self.pending.push_back((self.issued, last));
    }

    /// Entries behind `kept` were removed or replaced: they are not durable from now on, and writes
    /// under way do not make them so.
    pub(crate) fn truncated(&mut self, kept: LogIndex) {
        self.index = self.index.min(kept);
        if mutant::is("late-persisted-counts") {
            return;
        }
        for (_, last) in &mut self.pending {
            *last = kept.min(*last);
        }
    }

    /// All writes up to `io` are durable. Returns false if that was known.
    pub(crate) fn confirm(&mut self, io: IoSeq) -> bool {
        assert!(io <= self.issued, "write {} was never issued", io.0);
        if io <= self.done {
            return false;
        }
        self.done = io;
        while let Some((_, last)) = self.pending.pop_front_if(|(number, _)| *number <= io) {
            self.index = self.index.max(last);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(durability: &mut Durability, last: LogIndex) {
        durability.write(&mut Effects::default());
        durability.record(last);
    }

    #[test]
    fn a_late_confirmation_never_raises_the_index_above_a_truncation() {
        let mut durability = Durability::new(LogIndex(3));
        write(&mut durability, LogIndex(10));
        durability.truncated(LogIndex(5));
        write(&mut durability, LogIndex(7));
        assert_eq!(durability.index(), LogIndex(3));
        assert!(durability.confirm(IoSeq(1)));
        assert_eq!(durability.index(), LogIndex(5));
        assert_eq!(durability.promise(), Some(IoSeq(2)));
        assert!(durability.confirm(IoSeq(2)));
        assert_eq!(durability.index(), LogIndex(7));
        assert_eq!(durability.promise(), None);
    }

    #[test]
    fn a_truncation_lowers_the_index_at_once() {
        let mut durability = Durability::new(LogIndex(9));
        durability.truncated(LogIndex(4));
        assert_eq!(durability.index(), LogIndex(4));
    }

    #[test]
    fn confirmations_out_of_order_lose_nothing() {
        let mut durability = Durability::new(LogIndex(0));
        for last in [2, 5] {
            write(&mut durability, LogIndex(last));
        }
        assert!(durability.confirm(IoSeq(2)));
        assert!(!durability.confirm(IoSeq(1)));
        assert_eq!(durability.index(), LogIndex(5));
    }
}
