//! What the log's recovery hands to the core at the start of a process.

use crate::configurations::Configurations;
use crate::log_view::LogView;
use crate::{Configuration, EntryId, EntryKind, HardState, LogIndex, Term};

/// The durable state of a member, as recovered. A [`Default`] one is a freshly formatted directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restored {
    /// Term and vote. Only a start point that repeats the installation of a snapshot may be of a later
    /// term; the core then enters that term, and says so with its next write.
    pub hard_state: HardState,
    /// Position before the first entry of the log.
    pub start: EntryId,
    /// The configuration in force at `start` and the index of its entry; empty if there is none yet.
    pub start_configuration: (LogIndex, Configuration),
    /// The entries after `start`, consecutive.
    pub entries: Vec<EntryMeta>,
    /// What is known to be committed: the index of the snapshot, or of `start`.
    pub commit: LogIndex,
    /// What the image contains.
    pub applied: LogIndex,
    /// The newest durable snapshot. The log holds its position; at or above `start`, and there must
    /// be one if the log does not begin at index 1.
    pub snapshot: Option<EntryId>,
}

impl Restored {
    /// Asserts what a correct recovery guarantees.
    pub(crate) fn check(&self) {
        let last = LogIndex(self.start.index.0 + self.entries.len() as u64);
        let newest = self.entries.iter().map(|entry| entry.term).max();
        let entered = self.hard_state.term.max(self.start.term);
        assert!(
            newest.unwrap_or_default() <= entered,
            "an entry is of a later term than the hard state"
        );
        assert!(
            self.start.index <= self.commit && self.commit <= last,
            "commit within the log"
        );
        assert!(self.applied <= self.commit, "applied within the committed");
        assert!(
            self.start_configuration.0 <= self.start.index,
            "its entry lies before the start"
        );
        match self.snapshot {
            None => assert!(
                self.start == EntryId::ZERO,
                "entries are missing without a snapshot"
            ),
            Some(snapshot) => {
                let held = self.start.index <= snapshot.index && snapshot.index <= last;
                assert!(held, "the log holds the snapshot's position");
                assert!(
                    snapshot.index <= self.commit,
                    "a snapshot covers what is committed"
                );
            }
        }
    }

    /// Term and vote to begin with. A crash between a snapshot's file and its start point leaves a
    /// file of a term that was never written: whoever holds it has entered that term, and has not
    /// voted in it, because votes are durable before they are given.
    pub(crate) fn entered(&self) -> HardState {
        if self.start.term > self.hard_state.term {
            HardState {
                term: self.start.term,
                vote: None,
            }
        } else {
            self.hard_state
        }
    }

    /// Terms, sizes and configurations of the log.
    pub(crate) fn into_log(self) -> (LogView, Configurations) {
        let mut log = LogView::new(self.start);
        let mut configurations = Configurations::new(self.start_configuration);
        for entry in self.entries {
            let index = log.append(entry.term, entry.size_bytes);
            let is_configuration = entry.kind == EntryKind::Configuration;
            assert!(
                is_configuration == entry.configuration.is_some(),
                "decoded with its entry"
            );
            if let Some(configuration) = entry.configuration {
                configurations.append(index, configuration);
            }
        }
        if let Some(snapshot) = self.snapshot {
            assert!(
                log.holds(snapshot),
                "the log holds the snapshot's position {snapshot}"
            );
        }
        (log, configurations)
    }
}

/// What the core remembers of one entry; payloads stay in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryMeta {
    /// The entry's term.
    pub term: Term,
    /// Its kind.
    pub kind: EntryKind,
    /// [`crate::Entry::size_bytes`].
    pub size_bytes: usize,
    /// The decoded payload of an [`EntryKind::Configuration`].
    pub configuration: Option<Configuration>,
}
