//! The committed log of a run, put together from what lies in the members' directories.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use dmq_log::{FileDisk, Record, Visit, verify};
use dmq_raft::Entry;

/// Every entry that a majority may have had, by index.
///
/// At one index logs may differ as long as nothing is committed there. By leader completeness no later term has another
/// entry where one is committed, so the highest term that was ever seen at an index at or below the commit index is the
/// committed one, wherever it was seen and whenever.
#[derive(Clone, Debug, Default)]
pub struct CommittedLog {
    entries: BTreeMap<u64, Entry>,
    wrong: Vec<String>,
}

impl CommittedLog {
    /// Takes in what a member's data directory (`<log-dir>/node-<id>`) holds. The member may run: its log is read as far
    /// as it is whole, so that nothing is missed that is purged later. Returns the number of entries that were read.
    pub fn absorb(&mut self, directory: &Path) -> usize {
        let mut count = 0;
        // A segment that is purged meanwhile ends the reading; what was read before is good.
        let _ = read(directory, &mut |change| {
            if let Change::Append(entry) = change {
                count += 1;
                self.push(entry);
            }
        });
        count
    }

    /// Takes in one entry.
    pub fn push(&mut self, entry: &Entry) {
        match self.entries.get(&entry.index.0) {
            Some(known) if known.term > entry.term => {}
            Some(known) if known.term == entry.term => {
                if known != entry {
                    let id = entry.id();
                    self.wrong
                        .push(format!("two entries at {id}: {known:?} and {entry:?}"));
                }
            }
            Some(_) | None => {
                // The payload is a slice of a whole frame; a copy lets the frame go.
                let payload = Bytes::copy_from_slice(&entry.payload);
                self.entries.insert(
                    entry.index.0,
                    Entry {
                        payload,
                        ..entry.clone()
                    },
                );
            }
        }
    }

    /// Takes in the directory of a member that has stopped in the end and checks that its log is the committed one as
    /// far as `commit`.
    pub fn absorb_final(
        &mut self,
        member: &str,
        directory: &Path,
        commit: u64,
    ) -> anyhow::Result<()> {
        self.absorb(directory);
        let mut own = BTreeMap::new();
        let mut start = 0;
        read(directory, &mut |change| match change {
            Change::Append(entry) => drop(own.insert(entry.index.0, entry.clone())),
            Change::Truncate(from) => drop(own.split_off(&from)),
            Change::StartAt(index, term) => {
                start = index;
                if own
                    .get(&index)
                    .is_none_or(|held: &Entry| held.term.0 != term)
                {
                    own.clear();
                }
            }
        })
        .with_context(|| format!("the log of {member}"))?;
        for index in start + 1..=commit {
            let (held, committed) = (own.get(&index), self.entries.get(&index));
            if held.is_none() || held != committed {
                self.wrong.push(format!(
                    "{member} has {held:?} at {index}, committed is {committed:?}"
                ));
            }
        }
        Ok(())
    }

    /// The entry at an index.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(&index)
    }

    /// What contradicts itself: two entries of one index and term, a member without a committed entry.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

enum Change<'a> {
    Append(&'a Entry),
    Truncate(u64),
    StartAt(u64, u64),
}

fn read(directory: &Path, see: &mut dyn FnMut(Change<'_>)) -> anyhow::Result<()> {
    verify(&FileDisk, directory, &mut |visit| {
        let Visit::Frame { records, .. } = visit else {
            return;
        };
        for (_, record) in records {
            match record {
                Record::Entry(entry) => see(Change::Append(entry)),
                Record::Truncate(index) => see(Change::Truncate(index.0)),
                Record::StartAt(id) => see(Change::StartAt(id.index.0, id.term.0)),
                Record::HardState(_) | Record::Configuration(..) => {}
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dmq_raft::{EntryKind, LogIndex, Term};

    use super::*;

    fn entry(index: u64, term: u64, payload: &'static str) -> Entry {
        Entry {
            index: LogIndex(index),
            term: Term(term),
            kind: EntryKind::Command,
            payload: payload.into(),
        }
    }

    #[test]
    fn a_later_term_replaces_what_was_never_committed_in_any_order() {
        for order in [[0, 1], [1, 0]] {
            let entries = [entry(5, 1, "lost"), entry(5, 2, "kept")];
            let mut log = CommittedLog::default();
            for at in order {
                log.push(&entries[at]);
            }
            assert_eq!(log.get(5), Some(&entries[1]));
            assert!(log.wrong().is_empty());
        }
    }

    #[test]
    fn two_entries_of_one_term_at_one_index_are_wrong() {
        let mut log = CommittedLog::default();
        log.push(&entry(5, 2, "one"));
        log.push(&entry(5, 2, "one"));
        assert!(log.wrong().is_empty());
        log.push(&entry(5, 2, "other"));
        assert_eq!(log.wrong().len(), 1);
    }
}
