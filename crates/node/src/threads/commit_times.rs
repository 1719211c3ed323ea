//! Measures how long groups of entries take from the log to their commit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dmq_raft::{LogIndex, Persist};

/// Groups that wait for their commit, at most. A member without a quorum has few: its proposals are bounded.
const WAITING_MAX: usize = 4_096;

/// When the groups of entries that are not committed yet were handed to the log.
#[derive(Debug, Default)]
pub(super) struct CommitTimes {
    waiting: VecDeque<(LogIndex, Instant)>,
}

impl CommitTimes {
    /// A group goes to the log.
    pub(super) fn handed_over(&mut self, persist: &Persist, now: Instant) {
        if let Some(from) = persist.truncate_from {
            self.waiting.retain(|(last, _)| *last < from);
        }
        if let Some(last) = persist.entries.last()
            && self.waiting.len() < WAITING_MAX
        {
            self.waiting.push_back((last.index, now));
        }
    }

    /// Everything up to an index is committed: how long each group that ends there took.
    pub(super) fn committed(
        &mut self,
        up_to: LogIndex,
        now: Instant,
    ) -> impl Iterator<Item = Duration> {
        let count = self
            .waiting
            .iter()
            .take_while(|(last, _)| *last <= up_to)
            .count();
        self.waiting
            .drain(..count)
            .map(move |(_, since)| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::{Entry, EntryKind, IoSeq, Term};

    use super::*;

    fn group(truncate_from: Option<u64>, last: u64) -> Persist {
        Persist {
            io: IoSeq(1),
            hard_state: None,
            start: None,
            truncate_from: truncate_from.map(LogIndex),
            entries: vec![Entry {
                index: LogIndex(last),
                term: Term(1),
                kind: EntryKind::Noop,
                payload: bytes::Bytes::new(),
            }],
        }
    }

    #[test]
    fn a_group_is_timed_once_and_a_truncated_one_never() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut times = CommitTimes::default();
        times.handed_over(&group(None, 3), at(0));
        times.handed_over(&group(None, 9), at(1));
        times.handed_over(&group(Some(5), 5), at(2));
        let taken: Vec<_> = times.committed(LogIndex(4), at(10)).collect();
        assert_eq!(taken, [Duration::from_millis(10)]);
        let taken: Vec<_> = times.committed(LogIndex(9), at(10)).collect();
        assert_eq!(taken, [Duration::from_millis(8)]);
        assert_eq!(times.committed(LogIndex(99), at(11)).count(), 0);
    }
}
