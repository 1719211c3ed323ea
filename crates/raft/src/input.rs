//! Everything that can happen to a member, as values.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{Configuration, EntryId, IoSeq, LogIndex, MemberId, Message, NodeId};

/// One thing that happened. [`crate::Raft::step`] turns it into [`crate::Effects`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// One unit of logical time went by; the shell decides how long it is.
    Tick,
    /// A peer's message arrived. For `InstallSnapshot` the file is durable already.
    Message(Message),
    /// Commands to replicate. Accepted or refused as a whole; see [`crate::Proposed`].
    Propose(Vec<Bytes>),
    /// A linearizable read, numbered by the shell; numbers are never used twice within a process.
    ReadIndex {
        /// The shell's number.
        seq: u64,
    },
    /// Hand leadership to this member, or to the best one.
    Transfer {
        /// The wish of the caller.
        to: Option<NodeId>,
    },
    /// Birth (DESIGN 6.1): this voter set becomes entry 1 of term 1. Only on an empty log.
    Initialize(Configuration),
    /// Change the membership (DESIGN 6.5). The caller has confirmed leadership by a read.
    ChangeMembership {
        /// What is wished.
        change: MembershipChange,
        /// Index of the last committed configuration, as the caller knows it.
        expected: LogIndex,
    },
    /// Start an election at once (bootstrap, tests); ignored by who may not campaign.
    Campaign,
    /// All durable writes up to this one are on disk.
    Persisted(IoSeq),
    /// The state machine has applied up to here.
    Applied(LogIndex),
    /// A snapshot of this member's own state machine is durable.
    SnapshotTaken {
        /// Last entry that it covers.
        last: EntryId,
    },
    /// The log forgot the entries up to and including this position.
    Purged {
        /// The new start point.
        start: EntryId,
    },
    /// The node's snapshot stream to this peer ended without success.
    SnapshotFailed {
        /// The peer.
        to: MemberId,
    },
    /// The connection to this peer is gone: what was in flight may be lost.
    Unreachable {
        /// The peer.
        peer: MemberId,
    },
    /// This process is about to stop: never campaign again (DESIGN 6.9).
    Stop,
}

/// A wish for another membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MembershipChange {
    /// The whole new voter set; each member votes already or is a learner that is caught up.
    Voters(BTreeSet<MemberId>),
    /// A member that replicates without being counted. It replaces a learner of the same node under another
    /// directory.
    AddLearner(MemberId),
    /// The learner of this node goes.
    RemoveLearner(NodeId),
}
