//! The log of one member as a model: a list of entries, once as it is durable, once as the core sees it.

use dmq_raft::{
    Entry, EntryId, EntryKind, EntryMeta, HardState, LogIndex, Persist, Restored, Term,
};

use super::book::{Book, Slot};

/// A configuration's number in the book with the index of its entry.
pub(crate) type Placed = (LogIndex, u32);

/// A snapshot file; its content is the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) last: EntryId,
    pub(crate) configuration: Placed,
}

/// A log with vote, term and the newest snapshot file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard: HardState,
    pub(crate) start: EntryId,
    base: Placed,
    slots: Vec<Slot>,
    /// The configurations among the entries.
    later: Vec<Placed>,
    pub(crate) snapshot: Option<SnapshotFile>,
}

impl Disk {
    /// Performs a write, in the order of its fields.
    pub(crate) fn take(&mut self, write: &Persist, book: &mut Book) {
        self.hard = write.hard_state.unwrap_or(self.hard);
        if let Some(start) = &write.start {
            let (index, configuration) = &start.configuration;
            self.begin_at(start.last, (*index, book.note(configuration)));
        }
        if let Some(from) = write.truncate_from {
            self.truncate(from);
        }
        for entry in &write.entries {
            assert!(
                entry.index == self.last().index.next(),
                "entries are consecutive"
            );
            let slot = book.slot(entry);
            self.push(entry.index, slot);
        }
    }

    fn push(&mut self, index: LogIndex, slot: Slot) {
        if slot.kind == EntryKind::Configuration {
            self.later.push((index, slot.content));
        }
        self.slots.push(slot);
    }

    fn truncate(&mut self, from: LogIndex) {
        assert!(
            from > self.start.index,
            "a truncation at {from} reaches below the log"
        );
        self.slots
            .truncate(offset(self.start.index, from.previous()));
        while self.later.pop_if(|(index, _)| *index >= from).is_some() {}
    }

    /// Becomes equal to `other`, in the memory that it has.
    pub(crate) fn copy(&mut self, other: &Self) {
        (self.hard, self.start, self.base) = (other.hard, other.start, other.base);
        self.slots.clone_from(&other.slots);
        self.later.clone_from(&other.later);
        self.snapshot = other.snapshot;
    }

    pub(crate) fn last(&self) -> EntryId {
        let term = self.slots.last().map_or(self.start.term, |slot| slot.term);
        EntryId::new(term, LogIndex(self.start.index.0 + self.slots.len() as u64))
    }

    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        match index.cmp(&self.start.index) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(self.start.term),
            std::cmp::Ordering::Greater => {
                let at = offset(self.start.index, index) - 1;
                self.slots.get(at).map(|slot| slot.term)
            }
        }
    }

    /// The entries of a range, if the log holds all of them.
    pub(crate) fn range(&self, first: LogIndex, last: LogIndex, book: &Book) -> Option<Vec<Entry>> {
        if first <= self.start.index {
            return None;
        }
        let from = offset(self.start.index, first) - 1;
        let slots = self.slots.get(from..offset(self.start.index, last))?;
        let indexes = (first.0..).map(LogIndex);
        let entries = indexes.zip(slots);
        Some(
            entries
                .map(|(index, slot)| book.entry(index, *slot))
                .collect(),
        )
    }

    /// Whether this disk keeps what was decided at `id`: as an entry, or inside a snapshot.
    pub(crate) fn keeps(&self, id: EntryId) -> bool {
        let inside = self
            .snapshot
            .is_some_and(|file| file.last.index >= id.index);
        inside || self.start.index >= id.index || self.term_at(id.index) == Some(id.term)
    }

    /// Highest index that survives a crash.
    pub(crate) fn reach(&self) -> LogIndex {
        let snapshot = self.snapshot.map_or(LogIndex(0), |file| file.last.index);
        self.last().index.max(snapshot)
    }

    /// The configuration in force at `index`.
    pub(crate) fn configuration_at(&self, index: LogIndex) -> Placed {
        let found = self.later.iter().rev().find(|(at, _)| *at <= index);
        *found.unwrap_or(&self.base)
    }

    /// The configurations of entries behind `index`.
    pub(crate) fn configurations_after(&self, index: LogIndex) -> impl Iterator<Item = Placed> {
        self.later
            .iter()
            .copied()
            .filter(move |(at, _)| *at > index)
    }

    /// The configuration in force.
    pub(crate) fn active(&self) -> Placed {
        *self.later.last().unwrap_or(&self.base)
    }

    /// Bytes of the entries behind `index`.
    pub(crate) fn bytes_after(&self, index: LogIndex, book: &Book) -> u64 {
        let open = self.slots.iter().skip(offset(self.start.index, index));
        open.map(|slot| meta(*slot, book).size_bytes as u64).sum()
    }

    /// Forgets the entries up to `index`, which the log holds.
    pub(crate) fn purge(&mut self, index: LogIndex) {
        let configuration = self.configuration_at(index);
        if let Some(term) = self.term_at(index) {
            self.slots.drain(..offset(self.start.index, index));
            self.later.retain(|(at, _)| *at > index);
            (self.start, self.base) = (EntryId::new(term, index), configuration);
        }
    }

    /// What a restart finds: a snapshot that the log does not hold becomes its start (DESIGN 6.3).
    pub(crate) fn recover(&mut self, book: &Book) -> Restored {
        let missing = |file: &SnapshotFile| self.term_at(file.last.index) != Some(file.last.term);
        let below = |file: &SnapshotFile| file.last.index < self.start.index;
        if let Some(file) = self.snapshot.filter(|file| missing(file) && !below(file)) {
            self.begin_at(file.last, file.configuration);
        }
        let snapshot = self.snapshot.map(|file| file.last);
        let commit = snapshot.map_or(LogIndex(0), |last| last.index);
        let (index, configuration) = self.base;
        Restored {
            hard_state: self.hard,
            start: self.start,
            start_configuration: (index, book.configuration(configuration).clone()),
            entries: self.slots.iter().map(|slot| meta(*slot, book)).collect(),
            commit,
            applied: commit,
            snapshot,
        }
    }

    fn begin_at(&mut self, start: EntryId, configuration: Placed) {
        (self.start, self.base) = (start, configuration);
        self.slots.clear();
        self.later.clear();
    }
}

/// Number of entries after `start` up to and including `index`.
fn offset(start: LogIndex, index: LogIndex) -> usize {
    usize::try_from(index.0.saturating_sub(start.0)).unwrap_or(usize::MAX)
}

fn meta(slot: Slot, book: &Book) -> EntryMeta {
    let is_configuration = slot.kind == EntryKind::Configuration;
    EntryMeta {
        term: slot.term,
        kind: slot.kind,
        size_bytes: book.entry(LogIndex(0), slot).size_bytes(),
        configuration: is_configuration.then(|| book.configuration(slot.content).clone()),
    }
}
