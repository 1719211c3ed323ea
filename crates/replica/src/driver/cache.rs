//! The newest entries of the log in memory, from which appends and the applier are fed.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use dmq_raft::{Entry, LogIndex};

/// A consecutive run of entries that ends at the end of the log. What is not durable yet is never
/// evicted, because nobody could read it from the log; so the core's bound on uncommitted bytes and the
/// leader's in-flight window are part of the memory bound.
#[derive(Clone, Debug)]
pub(super) struct EntryCache {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl EntryCache {
    /// An empty cache that evicts above `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Adds entries behind the newest; a gap drops what was there.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        if self
            .entries
            .back()
            .is_some_and(|last| last.index.next() != first.index)
        {
            self.clear();
        }
        self.bytes += entries.iter().map(Entry::size_bytes).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
    }

    /// Removes this entry and all behind it.
    pub(super) fn truncate_from(&mut self, index: LogIndex) {
        while self
            .entries
            .back()
            .is_some_and(|entry| entry.index >= index)
        {
            let entry = self.entries.pop_back();
            self.bytes -= entry.map_or(0, |entry| entry.size_bytes());
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Evicts the oldest durable entries while there are too many bytes.
    pub(super) fn evict(&mut self, durable: LogIndex) {
        while self.bytes > self.bytes_max
            && self
                .entries
                .front()
                .is_some_and(|entry| entry.index <= durable)
        {
            let entry = self.entries.pop_front();
            self.bytes -= entry.map_or(0, |entry| entry.size_bytes());
        }
    }

    /// All entries of `range`, or `None` if one is missing.
    pub(super) fn get(&self, range: &RangeInclusive<LogIndex>) -> Option<Vec<Entry>> {
        let entries = self.tail_of(range);
        (entries.first().map(|entry| entry.index) == Some(*range.start())).then_some(entries)
    }

    /// The cached end of `range`: consecutive and up to its last index, or nothing.
    pub(super) fn tail_of(&self, range: &RangeInclusive<LogIndex>) -> Vec<Entry> {
        let Some(first) = self.entries.front().map(|entry| entry.index) else {
            return Vec::new();
        };
        let from = (*range.start()).max(first);
        let (Some(skip), Some(end)) = (offset(first, from), offset(first, range.end().next()))
        else {
            return Vec::new();
        };
        if end > self.entries.len() || skip >= end {
            return Vec::new();
        }
        self.entries.range(skip..end).cloned().collect()
    }
}

/// How far `index` is behind `first`.
fn offset(first: LogIndex, index: LogIndex) -> Option<usize> {
    usize::try_from(index.0.checked_sub(first.0)?).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dmq_raft::{EntryKind, Term};

    use super::*;

    fn entries(range: RangeInclusive<u64>) -> Vec<Entry> {
        range
            .map(|index| Entry {
                index: LogIndex(index),
                term: Term(1),
                kind: EntryKind::Command,
                payload: Bytes::from_static(&[0; 68]),
            })
            .collect()
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.index.0).collect()
    }

    fn range(first: u64, last: u64) -> RangeInclusive<LogIndex> {
        LogIndex(first)..=LogIndex(last)
    }

    #[test]
    fn only_durable_entries_are_evicted() {
        let mut cache = EntryCache::new(300);
        cache.append(&entries(1..=10));
        cache.evict(LogIndex(4));
        assert_eq!(
            indexes(&cache.tail_of(&range(1, 10))),
            vec![5, 6, 7, 8, 9, 10]
        );
        cache.evict(LogIndex(10));
        assert_eq!(indexes(&cache.tail_of(&range(1, 10))), vec![8, 9, 10]);
        assert_eq!(cache.get(&range(7, 9)), None);
        assert_eq!(
            cache.get(&range(8, 9)).map(|found| indexes(&found)),
            Some(vec![8, 9])
        );
    }

    #[test]
    fn a_range_beyond_the_end_is_not_served() {
        let mut cache = EntryCache::new(10_000);
        cache.append(&entries(3..=5));
        assert_eq!(cache.get(&range(4, 6)), None);
        assert!(cache.tail_of(&range(1, 2)).is_empty());
        assert!(cache.tail_of(&range(6, 6)).is_empty());
    }

    #[test]
    fn truncation_and_gaps_leave_no_stale_entry() {
        let mut cache = EntryCache::new(10_000);
        cache.append(&entries(3..=8));
        cache.truncate_from(LogIndex(6));
        assert_eq!(indexes(&cache.tail_of(&range(1, 5))), vec![3, 4, 5]);
        cache.append(&entries(20..=21));
        assert_eq!(indexes(&cache.tail_of(&range(1, 21))), vec![20, 21]);
        cache.truncate_from(LogIndex(1));
        assert_eq!(cache.bytes, 0);
    }
}
