//! What is committed on its way to the applier: in order, gated by snapshot installs, a bounded part of
//! it in flight.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use dmq_raft::{EntryId, IoSeq, LogIndex};

use crate::mutant;

/// Most entries handed to the applier before it has answered; more stay here as a range, which costs
/// nothing and grows into larger batches.
const IN_FLIGHT_MAX: u64 = 4_096;

/// Committed work that the applier has not got yet.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    steps: VecDeque<Step>,
    /// Last index handed to the applier.
    sent: LogIndex,
    /// Last index that the applier reported.
    done: LogIndex,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Apply(RangeInclusive<LogIndex>),
    Install { last: EntryId, after: IoSeq },
}

/// One thing for the applier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Apply these entries.
    Apply(RangeInclusive<LogIndex>),
    /// Load this snapshot.
    Install(EntryId),
}

impl Pipeline {
    /// A pipeline whose applier is at `applied`.
    pub(super) fn new(applied: LogIndex) -> Self {
        Self {
            steps: VecDeque::new(),
            sent: applied,
            done: applied,
        }
    }

    /// Entries became committed.
    pub(super) fn commit(&mut self, range: RangeInclusive<LogIndex>) {
        match self.steps.back_mut() {
            Some(Step::Apply(waiting)) if waiting.end().next() == *range.start() => {
                *waiting = *waiting.start()..=*range.end();
            }
            _ => self.steps.push_back(Step::Apply(range)),
        }
    }

    /// A snapshot replaces the image once `after` is durable. Entries that it covers and that were not
    /// handed on need not be applied any more; nor need older snapshots be loaded, whose files may be
    /// gone by then.
    pub(super) fn install(&mut self, last: EntryId, after: IoSeq) {
        self.steps.clear();
        self.steps.push_back(Step::Install { last, after });
    }

    /// The applier is at this index.
    pub(super) fn applied(&mut self, index: LogIndex) {
        self.done = self.done.max(index);
    }

    /// The next thing that may go to the applier, if any.
    pub(super) fn next(&mut self, persisted: IoSeq) -> Option<Next> {
        match self.steps.pop_front()? {
            Step::Install { last, after }
                if after <= persisted || mutant::is("install-before-persisted") =>
            {
                self.sent = last.index;
                Some(Next::Install(last))
            }
            Step::Apply(range) if self.sent.0.saturating_sub(self.done.0) < IN_FLIGHT_MAX => {
                Some(self.send(range))
            }
            blocked => {
                self.steps.push_front(blocked);
                None
            }
        }
    }

    /// Sends as much of the range as the window has room for, and keeps the rest.
    fn send(&mut self, range: RangeInclusive<LogIndex>) -> Next {
        let room = IN_FLIGHT_MAX - self.sent.0.saturating_sub(self.done.0);
        let end = LogIndex((range.start().0 + room - 1).min(range.end().0));
        if end < *range.end() {
            self.steps
                .push_front(Step::Apply(end.next()..=*range.end()));
        }
        self.sent = end;
        Next::Apply(*range.start()..=end)
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::Term;

    use super::*;

    fn range(first: u64, last: u64) -> RangeInclusive<LogIndex> {
        LogIndex(first)..=LogIndex(last)
    }

    fn at(term: u64, index: u64) -> EntryId {
        EntryId::new(Term(term), LogIndex(index))
    }

    #[test]
    fn commits_coalesce_and_the_window_bounds_them() {
        let mut pipeline = Pipeline::new(LogIndex(0));
        pipeline.commit(range(1, 3));
        pipeline.commit(range(4, 5_000));
        assert_eq!(pipeline.next(IoSeq(0)), Some(Next::Apply(range(1, 4_096))));
        assert_eq!(pipeline.next(IoSeq(0)), None);
        pipeline.applied(LogIndex(1_000));
        assert_eq!(
            pipeline.next(IoSeq(0)),
            Some(Next::Apply(range(4_097, 5_000)))
        );
        assert_eq!(pipeline.next(IoSeq(0)), None);
    }

    #[test]
    fn entries_behind_a_snapshot_wait_until_its_start_point_is_durable() {
        let mut pipeline = Pipeline::new(LogIndex(0));
        pipeline.commit(range(1, 3));
        pipeline.install(at(2, 10), IoSeq(7));
        pipeline.commit(range(11, 12));
        assert_eq!(pipeline.next(IoSeq(6)), None);
        assert_eq!(pipeline.next(IoSeq(7)), Some(Next::Install(at(2, 10))));
        pipeline.applied(LogIndex(10));
        assert_eq!(pipeline.next(IoSeq(7)), Some(Next::Apply(range(11, 12))));
    }

    #[test]
    fn a_newer_snapshot_takes_the_place_of_older_ones() {
        let mut pipeline = Pipeline::new(LogIndex(0));
        pipeline.install(at(2, 10), IoSeq(7));
        pipeline.commit(range(11, 12));
        pipeline.install(at(2, 20), IoSeq(8));
        assert_eq!(pipeline.next(IoSeq(7)), None, "the file of 10 may be gone");
        assert_eq!(pipeline.next(IoSeq(8)), Some(Next::Install(at(2, 20))));
        assert_eq!(pipeline.next(IoSeq(8)), None);
    }
}
