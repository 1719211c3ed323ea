//! The log of one member as a model: a list of entries, once as it is durable, once as the core sees it.

use dmq_raft::{
    Configuration, Entry, EntryId, EntryKind, EntryMeta, HardState, LogIndex, Persist, Restored,
    Term,
};

/// A snapshot file; its content is the index.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) last: EntryId,
    pub(crate) configuration: (LogIndex, Configuration),
}

/// A log with vote, term and the newest snapshot file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard: HardState,
    pub(crate) start: EntryId,
    configuration: (LogIndex, Configuration),
    pub(crate) entries: Vec<Entry>,
    pub(crate) snapshot: Option<SnapshotFile>,
}

impl Disk {
    /// Performs a write, in the order of its fields.
    pub(crate) fn take(&mut self, write: &Persist) {
        self.hard = write.hard_state.unwrap_or(self.hard);
        if let Some(start) = &write.start {
            self.begin_at(start.last, start.configuration.clone());
        }
        if let Some(from) = write.truncate_from {
            assert!(
                from > self.start.index,
                "a truncation at {from} reaches below the log"
            );
            self.entries
                .truncate(offset(self.start.index, from.previous()));
        }
        for entry in &write.entries {
            assert!(
                entry.index == self.last().index.next(),
                "entries are consecutive"
            );
            self.entries.push(entry.clone());
        }
    }

    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start, Entry::id)
    }

    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        match index.cmp(&self.start.index) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(self.start.term),
            std::cmp::Ordering::Greater => self.entry(index).map(|entry| entry.term),
        }
    }

    pub(crate) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let at = offset(self.start.index, index).checked_sub(1)?;
        self.entries.get(at)
    }

    /// The entries of a range, if the log holds all of them.
    pub(crate) fn range(&self, first: LogIndex, last: LogIndex) -> Option<Vec<Entry>> {
        if first <= self.start.index {
            return None;
        }
        let from = offset(self.start.index, first) - 1;
        let entries = self.entries.get(from..offset(self.start.index, last))?;
        Some(entries.to_vec())
    }

    /// Whether this disk keeps what was decided at `id`: as an entry, or inside a snapshot.
    pub(crate) fn keeps(&self, id: EntryId) -> bool {
        let inside = self
            .snapshot
            .as_ref()
            .is_some_and(|file| file.last.index >= id.index);
        inside || self.start.index >= id.index || self.term_at(id.index) == Some(id.term)
    }

    /// Highest index that survives a crash.
    pub(crate) fn reach(&self) -> LogIndex {
        let snapshot = self
            .snapshot
            .as_ref()
            .map_or(LogIndex(0), |file| file.last.index);
        self.last().index.max(snapshot)
    }

    /// The configuration in force at `index`.
    pub(crate) fn configuration_at(&self, index: LogIndex) -> (LogIndex, Configuration) {
        let placed = |entry: &Entry| {
            let wanted = entry.kind == EntryKind::Configuration && entry.index <= index;
            let configuration = Configuration::decode(&entry.payload)
                .ok()
                .filter(|_| wanted)?;
            Some((entry.index, configuration))
        };
        let found = self.entries.iter().rev().find_map(placed);
        found.unwrap_or_else(|| self.configuration.clone())
    }

    /// Forgets the entries up to `index`, which the log holds.
    pub(crate) fn purge(&mut self, index: LogIndex) {
        let configuration = self.configuration_at(index);
        if let Some(term) = self.term_at(index) {
            self.entries.drain(..offset(self.start.index, index));
            (self.start, self.configuration) = (EntryId::new(term, index), configuration);
        }
    }

    /// What a restart finds: a snapshot that the log does not hold becomes its start (DESIGN 6.3).
    pub(crate) fn recover(&mut self) -> Restored {
        let missing = |file: &SnapshotFile| self.term_at(file.last.index) != Some(file.last.term);
        let below = |file: &SnapshotFile| file.last.index < self.start.index;
        if let Some(file) = self
            .snapshot
            .clone()
            .filter(|file| missing(file) && !below(file))
        {
            self.begin_at(file.last, file.configuration);
        }
        let snapshot = self.snapshot.as_ref().map(|file| file.last);
        let commit = snapshot.map_or(LogIndex(0), |last| last.index);
        Restored {
            hard_state: self.hard,
            start: self.start,
            start_configuration: self.configuration.clone(),
            entries: self.entries.iter().map(meta).collect(),
            commit,
            applied: commit,
            snapshot,
        }
    }

    fn begin_at(&mut self, start: EntryId, configuration: (LogIndex, Configuration)) {
        (self.start, self.configuration) = (start, configuration);
        self.entries.clear();
    }
}

/// Number of entries after `start` up to and including `index`.
fn offset(start: LogIndex, index: LogIndex) -> usize {
    usize::try_from(index.0.saturating_sub(start.0)).unwrap_or(usize::MAX)
}

fn meta(entry: &Entry) -> EntryMeta {
    let configuration = match entry.kind {
        EntryKind::Configuration => Configuration::decode(&entry.payload).ok(),
        EntryKind::Command | EntryKind::Noop => None,
    };
    EntryMeta {
        term: entry.term,
        kind: entry.kind,
        size_bytes: entry.size_bytes(),
        configuration,
    }
}
