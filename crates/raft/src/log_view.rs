//! What the core knows of its log: the term and the size of every entry, never a payload.

use std::collections::VecDeque;

use crate::{EntryId, LogIndex, Term};

/// Terms as runs and sizes as running totals, so that a term, a byte count or the end of an append is
/// found without walking over entries.
#[derive(Clone, Debug, Hash)]
pub(crate) struct LogView {
    /// Position before the first entry.
    start: EntryId,
    /// Where each term begins, ascending in both fields; every run has at least one entry.
    runs: VecDeque<Run>,
    /// Bytes up to and including each entry, counted from an arbitrary origin.
    totals: VecDeque<u64>,
    /// The total at `start`.
    origin: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Run {
    first: LogIndex,
    term: Term,
}

impl LogView {
    pub(crate) fn new(start: EntryId) -> Self {
        Self {
            start,
            runs: VecDeque::new(),
            totals: VecDeque::new(),
            origin: 0,
        }
    }

    /// Position before the first entry.
    #[inline]
    pub(crate) fn start(&self) -> EntryId {
        self.start
    }

    /// Position of the last entry, or of the start.
    #[inline]
    pub(crate) fn last(&self) -> EntryId {
        let term = self.runs.back().map_or(self.start.term, |run| run.term);
        EntryId::new(
            term,
            LogIndex(self.start.index.0 + self.totals.len() as u64),
        )
    }

    /// Term at `index`, from the start point to the last entry.
    #[inline]
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index < self.start.index || index > self.last().index {
            return None;
        }
        match self.runs.back() {
            Some(run) if run.first <= index => Some(run.term),
            _ => {
                let behind = self.runs.partition_point(|run| run.first <= index);
                let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
                Some(run.map_or(self.start.term, |run| run.term))
            }
        }
    }

    /// Whether the log holds this very position (Log Matching: and everything before it).
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// The position at `index`.
    #[inline]
    pub(crate) fn position(&self, index: LogIndex) -> Option<EntryId> {
        self.term_at(index).map(|term| EntryId::new(term, index))
    }

    /// The highest position at or below `index` whose term is at or below `term`: what the owner of
    /// `(term, index)` may share with this log. `None` if that lies before the start point.
    pub(crate) fn highest_shared(&self, bound: EntryId) -> Option<EntryId> {
        let mut index = bound.index.min(self.last().index);
        loop {
            let found = self.position(index)?;
            if found.term <= bound.term {
                return Some(found);
            }
            let behind = self.runs.partition_point(|run| run.first <= index);
            let run = behind.checked_sub(1).and_then(|at| self.runs.get(at))?;
            index = run.first.previous();
        }
    }

    pub(crate) fn append(&mut self, term: Term, size_bytes: usize) -> LogIndex {
        let last = self.last();
        assert!(
            term >= last.term,
            "terms never fall along a log: {term} after {last}"
        );
        let index = last.index.next();
        if self.runs.back().is_none_or(|run| run.term < term) {
            self.runs.push_back(Run { first: index, term });
        }
        self.totals
            .push_back(self.total_at(last.index) + size_bytes as u64);
        index
    }

    /// Removes the entry at `index` and all behind it.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        assert!(
            index > self.start.index,
            "nothing to remove at or before the start point"
        );
        let kept = index.0 - self.start.index.0 - 1;
        self.totals
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        while self.runs.back().is_some_and(|run| run.first >= index) {
            self.runs.pop_back();
        }
    }

    /// Forgets the entries up to and including `start`, which the log must hold.
    pub(crate) fn purge(&mut self, start: EntryId) {
        assert!(
            self.holds(start),
            "the purged position {start} must be one of this log"
        );
        let last = self.last().index;
        self.origin = self.total_at(start.index);
        let gone = start.index.0 - self.start.index.0;
        self.totals
            .drain(..usize::try_from(gone).unwrap_or(usize::MAX));
        self.start = start;
        let first = start.index.next();
        while self.runs.get(1).is_some_and(|run| run.first <= first) || last == start.index {
            if self.runs.pop_front().is_none() {
                return;
            }
        }
        if let Some(run) = self.runs.front_mut() {
            run.first = first;
        }
    }

    /// Bytes of the entries after `from` up to and including `to`, both within the log.
    pub(crate) fn bytes_between(&self, from: LogIndex, to: LogIndex) -> u64 {
        self.total_at(to) - self.total_at(from)
    }

    /// Last index of an append that begins at `first`: at most so many entries and bytes, at least
    /// one entry.
    pub(crate) fn end_of_append(&self, first: LogIndex, entries: usize, bytes: u64) -> LogIndex {
        assert!(first > self.start.index && first <= self.last().index);
        let limit = self.total_at(first.previous()).saturating_add(bytes);
        let fitting = self.totals.partition_point(|total| *total <= limit) as u64;
        let by_bytes = self.start.index.0 + fitting;
        let by_count = (first.0 - 1).saturating_add(entries as u64);
        LogIndex(by_bytes.min(by_count).max(first.0))
    }

    fn total_at(&self, index: LogIndex) -> u64 {
        let offset = index.0.checked_sub(self.start.index.0 + 1);
        let at = offset.and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.totals.get(at))
            .copied()
            .unwrap_or(self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(start: (u64, u64), terms: &[u64]) -> LogView {
        let mut log = LogView::new(EntryId::new(Term(start.1), LogIndex(start.0)));
        for (at, term) in terms.iter().enumerate() {
            log.append(Term(*term), 10 + at);
        }
        log
    }

    fn terms(log: &LogView) -> Vec<u64> {
        let range = log.start().index.0..=log.last().index.0;
        range
            .filter_map(|index| log.term_at(LogIndex(index)))
            .map(|term| term.0)
            .collect()
    }

    #[test]
    fn terms_are_found_from_the_start_point_to_the_last_entry() {
        let log = of((4, 2), &[2, 3, 3, 7]);
        assert_eq!(terms(&log), [2, 2, 3, 3, 7]);
        assert_eq!(log.last(), EntryId::new(Term(7), LogIndex(8)));
        assert_eq!(log.term_at(LogIndex(3)), None);
        assert_eq!(log.term_at(LogIndex(9)), None);
    }

    #[test]
    fn truncation_and_purging_agree_with_a_plain_list_of_terms() {
        let list = [1, 1, 2, 4, 4, 4, 9];
        for purged in 0..=list.len() {
            for cut in purged + 1..=list.len() + 1 {
                let mut log = of((0, 0), &list);
                log.truncate_from(LogIndex(cut as u64));
                let kept = cut - 1;
                let at = LogIndex(purged as u64);
                log.purge(log.position(at).unwrap());
                let mut expected: Vec<u64> = list[..kept].to_vec();
                expected.insert(0, 0);
                assert_eq!(
                    terms(&log),
                    expected[purged..],
                    "purged {purged}, cut {cut}"
                );
                let sizes: u64 = (purged..kept).map(|at| 10 + at as u64).sum();
                assert_eq!(log.bytes_between(at, log.last().index), sizes);
                log.append(Term(9), 5);
                assert_eq!(log.term_at(LogIndex(kept as u64 + 1)), Some(Term(9)));
                assert_eq!(log.bytes_between(at, log.last().index), sizes + 5);
            }
        }
    }

    #[test]
    fn the_highest_shared_position_skips_whole_terms() {
        let log = of((2, 1), &[1, 3, 3, 3, 5]);
        let shared = |term, index| {
            log.highest_shared(EntryId::new(Term(term), LogIndex(index)))
                .map(|id| (id.term.0, id.index.0))
        };
        assert_eq!(shared(5, 9), Some((5, 7)));
        assert_eq!(shared(4, 9), Some((3, 6)));
        assert_eq!(shared(2, 9), Some((1, 3)));
        assert_eq!(shared(3, 5), Some((3, 5)));
        assert_eq!(shared(1, 2), Some((1, 2)));
        assert_eq!(shared(0, 9), None);
        assert_eq!(shared(5, 1), None);
    }

    #[test]
    fn an_append_ends_at_its_limits_but_has_one_entry() {
        let log = of((4, 2), &[2, 2, 2, 2]);
        let end = |first, entries, bytes| log.end_of_append(LogIndex(first), entries, bytes).0;
        assert_eq!(end(5, 9, 1000), 8);
        assert_eq!(end(5, 2, 1000), 6);
        assert_eq!(end(5, 9, 10 + 11), 6);
        assert_eq!(end(6, 9, 11 + 12), 7);
        assert_eq!(end(6, 9, 1), 6);
    }
}
