//! What the log's recovery hands to the core at the start of a process.

use crate::{Configuration, EntryId, EntryKind, HardState, LogIndex, Term};

/// The durable state of a member, as recovered. A [`Default`] one is a freshly formatted directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restored {
    /// Term and vote.
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
