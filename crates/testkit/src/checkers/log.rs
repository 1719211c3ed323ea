//! The committed log of a run, put together from what lies in the members' directories.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use dmq_log::{FileDisk, Record, Visit, verify};
use dmq_raft::{Entry, EntryId, LogIndex};

/// Every committed entry, by index.
#[derive(Clone, Debug, Default)]
pub struct CommittedLog {
    entries: BTreeMap<u64, Entry>,
    wrong: Vec<String>,
}

impl CommittedLog {
    /// Takes in a committed entry. Another one at its index is wrong.
    pub fn push(&mut self, entry: &Entry) {
        match self.entries.get(&entry.index.0) {
            Some(known) if known != entry => {
                let index = entry.index;
                self.wrong
                    .push(format!("two entries at {index}: {known:?} and {entry:?}"));
            }
            Some(_) => {}
            None => drop(self.entries.insert(entry.index.0, entry.clone())),
        }
    }

    /// The entry at an index.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(&index)
    }

    /// What contradicts itself.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

/// What was seen in the logs of the members, while they ran and when they had stopped.
///
/// What the stopped logs hold up to the commit index is committed. Of what they have purged many entries may have been
/// seen at one index, and neither the highest term nor the last one seen tells which of them is the committed one: an
/// entry of a later term may have been given up for one of an earlier term (figure 3.7 of the dissertation). But
/// whoever holds an entry holds the same log before it (Log Matching), so the committed log is followed backwards, from
/// each entry to the one that was seen before it.
#[derive(Clone, Debug, Default)]
pub struct SeenLogs {
    seen: BTreeMap<EntryId, Seen>,
    committed: CommittedLog,
}

#[derive(Clone, Debug)]
struct Seen {
    entry: Entry,
    before: Option<EntryId>,
}

impl SeenLogs {
    /// Takes in what a member's data directory (`<log-dir>/node-<id>`) holds. The member may run: its log is read as far
    /// as it is whole, so that nothing is missed that is purged later. Returns the number of entries that were read.
    pub fn absorb(&mut self, directory: &Path) -> usize {
        let (mut log, mut count) = (LiveLog::default(), 0);
        // A segment that is purged meanwhile ends the reading; what was read before is good.
        let _ = read(directory, &mut |record| {
            if let Some((entry, before)) = log.take(record) {
                count += 1;
                self.see(entry, before);
            }
        });
        count
    }

    /// Takes in one entry that was seen behind another one; `None`: nobody knows behind which.
    fn see(&mut self, entry: &Entry, before: Option<EntryId>) {
        let id = entry.id();
        let Some(known) = self.seen.get_mut(&id) else {
            // The payload is a slice of a whole frame; a copy lets the frame go.
            let payload = Bytes::copy_from_slice(&entry.payload);
            let entry = Entry {
                payload,
                ..entry.clone()
            };
            self.seen.insert(id, Seen { entry, before });
            return;
        };
        let wrong = &mut self.committed.wrong;
        if known.entry != *entry {
            let known = &known.entry;
            wrong.push(format!("two entries at {id}: {known:?} and {entry:?}"));
        }
        match (known.before, before) {
            (Some(one), Some(other)) if one != other => {
                wrong.push(format!("{id} was seen behind {one} and behind {other}"));
            }
            (None, Some(_)) => known.before = before,
            _ => {}
        }
    }

    /// Takes in the directory of a member that has stopped in the end: what it holds up to `commit` is committed.
    ///
    /// # Errors
    /// If its log cannot be read.
    pub fn absorb_final(
        &mut self,
        member: &str,
        directory: &Path,
        commit: u64,
    ) -> anyhow::Result<()> {
        self.absorb(directory);
        let mut log = LiveLog::default();
        read(directory, &mut |record| _ = log.take(record))
            .with_context(|| format!("the log of {member}"))?;
        for index in log.start.index.0 + 1..=commit {
            match log.entries.get(&index) {
                Some(entry) => self.committed.push(entry),
                None => self
                    .committed
                    .wrong
                    .push(format!("{member} has nothing at {index}")),
            }
        }
        Ok(())
    }

    /// The committed log: what the stopped members hold, and what was seen before that. It begins later than at its
    /// first entry if nobody saw the older ones.
    #[must_use]
    pub fn committed(mut self) -> CommittedLog {
        let mut next = self.committed.entries.values().next_back().map(Entry::id);
        while let Some(before) = next.and_then(|id| self.seen.get(&id)?.before) {
            if let Some(seen) = self.seen.get(&before) {
                self.committed.push(&seen.entry);
            }
            next = Some(before);
        }
        self.committed
    }
}

/// A log as its records make it, one after the other.
#[derive(Default)]
struct LiveLog {
    start: EntryId,
    entries: BTreeMap<u64, Entry>,
}

impl LiveLog {
    /// The entry of a record, if it is one, and the position that it follows, if that is known.
    fn take<'a>(&mut self, record: &'a Record) -> Option<(&'a Entry, Option<EntryId>)> {
        match record {
            Record::Entry(entry) => {
                let before = self.position(entry.index.previous());
                self.entries.insert(entry.index.0, entry.clone());
                return Some((entry, before));
            }
            Record::Truncate(from) => drop(self.entries.split_off(&from.0)),
            Record::StartAt(at) if self.position(at.index) == Some(*at) => {
                self.entries.split_off(&at.index.next().0);
            }
            Record::StartAt(at) => {
                self.entries.clear();
                self.start = *at;
            }
            Record::HardState(_) | Record::Configuration(..) => {}
        }
        None
    }

    fn position(&self, index: LogIndex) -> Option<EntryId> {
        let start = (self.start.index == index).then_some(self.start);
        start.or_else(|| self.entries.get(&index.0).map(Entry::id))
    }
}

fn read(directory: &Path, see: &mut dyn FnMut(&Record)) -> anyhow::Result<()> {
    verify(&FileDisk, directory, &mut |visit| {
        if let Visit::Frame { records, .. } = visit {
            for (_, record) in records {
                see(record);
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dmq_raft::{EntryKind, Term};

    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry {
            index: LogIndex(index),
            term: Term(term),
            kind: EntryKind::Command,
            payload: format!("{index} of {term}").into(),
        }
    }

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(Term(term), LogIndex(index))
    }

    /// The entries of a log, one after the other, as a reader of its directory sees them.
    fn see(seen: &mut SeenLogs, entries: &[Entry]) {
        let mut log = LiveLog::default();
        for record in entries.iter().cloned().map(Record::Entry) {
            if let Some((entry, before)) = log.take(&record) {
                seen.see(entry, before);
            }
        }
    }

    /// A leads term 2 and writes entry 2 alone. B leads term 3, writes its own entry 2 alone and dies. A leads term 4 and
    /// commits its entry 2 after all. The entry of term 3 was seen, and was never committed.
    #[test]
    fn an_entry_of_a_later_term_may_have_been_given_up() {
        let kept = [entry(1, 1), entry(2, 2), entry(3, 4)];
        let given_up = [entry(1, 1), entry(2, 3)];
        for order in [[&kept[..], &given_up], [&given_up, &kept]] {
            let mut seen = SeenLogs::default();
            for log in order {
                see(&mut seen, log);
            }
            seen.committed.push(&kept[2]);
            let log = seen.committed();
            assert_eq!(log.wrong(), &[] as &[String]);
            let found: Vec<_> = (1..=3).filter_map(|index| log.get(index)).collect();
            assert_eq!(found, kept.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn stopped_logs_that_differ_are_wrong() {
        let mut log = CommittedLog::default();
        log.push(&entry(5, 2));
        log.push(&entry(5, 2));
        assert!(log.wrong().is_empty());
        log.push(&entry(5, 3));
        assert_eq!(log.wrong().len(), 1);
    }

    #[test]
    fn two_entries_of_one_term_and_two_logs_before_one_entry_are_wrong() {
        let mut seen = SeenLogs::default();
        see(&mut seen, &[entry(1, 1), entry(2, 2)]);
        see(&mut seen, &[entry(1, 1), entry(2, 2)]);
        assert!(seen.committed.wrong().is_empty());
        let other = Entry {
            payload: "other".into(),
            ..entry(2, 2)
        };
        seen.see(&other, Some(id(1, 1)));
        assert_eq!(seen.committed.wrong().len(), 1);
        seen.see(&entry(2, 2), Some(id(1, 2)));
        assert_eq!(seen.committed.wrong().len(), 2);
    }

    #[test]
    fn a_log_follows_its_records() {
        let mut log = LiveLog::default();
        let mut take = |record: Record| log.take(&record).and_then(|(_, before)| before);
        assert_eq!(take(Record::Entry(entry(1, 1))), Some(EntryId::ZERO));
        assert_eq!(take(Record::Entry(entry(2, 1))), Some(id(1, 1)));
        take(Record::Truncate(LogIndex(2)));
        assert_eq!(take(Record::Entry(entry(2, 3))), Some(id(1, 1)));
        take(Record::StartAt(id(1, 1)));
        assert_eq!(take(Record::Entry(entry(3, 4))), None, "cut behind 1");
        take(Record::StartAt(id(9, 4)));
        assert_eq!(take(Record::Entry(entry(10, 5))), Some(id(9, 4)));
        assert_eq!(log.entries.keys().copied().collect::<Vec<_>>(), [10]);
    }
}
