//! What a member knows of itself and, when it leads, of its peers.

use crate::{Configuration, EntryId, LogIndex, MemberId, NodeId, PeerStatus, Role, Term};

/// A look at a member between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// This member.
    pub id: MemberId,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, if known.
    pub leader: Option<MemberId>,
    /// Highest index known to be committed.
    pub commit: LogIndex,
    /// Highest index that the shell reported as applied.
    pub applied: LogIndex,
    /// Last entry of the log.
    pub last: EntryId,
    /// Highest index of this very log that is on this member's disk.
    pub durable: LogIndex,
    /// Position before the first entry of the log.
    pub start: EntryId,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<EntryId>,
    /// Up to here the log may be purged; see [`crate::Raft::purgeable`].
    pub purgeable: LogIndex,
    /// The configuration in force and the index of its entry; it may not be committed yet.
    pub configuration: (LogIndex, Configuration),
    /// Index of the last configuration that is committed.
    pub committed_configuration_index: LogIndex,
    /// The last configuration that is committed.
    pub committed_configuration: Configuration,
    /// Target of the leadership transfer that runs.
    pub transferring: Option<NodeId>,
    /// Whether [`crate::Input::Stop`] was given.
    pub stopping: bool,
    /// Messages dropped because they were malformed or addressed to somebody else.
    pub ignored_messages: u64,
    /// The peers, in the order of their ids; empty unless this member leads.
    pub peers: Vec<PeerStatus>,
}
