//! Entries of the log, and what must be durable beside them.

use bytes::Bytes;

use crate::{EntryId, LogIndex, MemberId, Term};

/// What an entry is to the core; the payload of a command is opaque to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// First entry of a new leader's term: commits the entries before it (dissertation 3.6.2).
    Noop,
    /// A command of the state machine.
    Command,
    /// A [`crate::Configuration`], encoded by this crate; in force from the moment it is appended.
    Configuration,
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Position in the log.
    pub index: LogIndex,
    /// Term of the leader that created it.
    pub term: Term,
    /// How the core reads it.
    pub kind: EntryKind,
    /// The content, at most [`crate::Config::entry_size_max`] bytes.
    pub payload: Bytes,
}

/// What is counted against byte limits for an entry beside its payload, in bytes.
pub const ENTRY_OVERHEAD_BYTES: usize = 32;

impl Entry {
    /// Term and index together.
    pub fn id(&self) -> EntryId {
        EntryId::new(self.term, self.index)
    }

    /// Payload plus [`ENTRY_OVERHEAD_BYTES`], in bytes: what limits and snapshot triggers count.
    pub fn size_bytes(&self) -> usize {
        self.payload.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// Term and vote: what a member must never forget (dissertation figure 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The latest term the member has seen.
    pub term: Term,
    /// The candidate that it voted for in that term.
    pub vote: Option<MemberId>,
}
