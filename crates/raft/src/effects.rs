//! What the core wants done, in the order of execution: persist, send, commit, answer.

use std::ops::RangeInclusive;

use crate::{Configuration, Entry, EntryId, HardState, LogIndex, MemberId, Message, NodeId, Term};

/// Number of one durable write; runs up from 1 within a process. The log confirms them in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoSeq(pub u64);

/// The consequences of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Durable write to queue, at most one per step.
    pub persist: Option<Persist>,
    /// Messages to send, each perhaps only after a durable write.
    pub send: Vec<Outgoing>,
    /// Entries that became committed, to be applied in order.
    pub committed: Option<RangeInclusive<LogIndex>>,
    /// A snapshot file that is durable, and whose start point is being written by `persist`, replaces the
    /// image once that write is durable.
    pub install: Option<InstallSnapshot>,
    /// Reads that were decided.
    pub reads: Vec<ReadOutcome>,
    /// What became of `Input::Propose`.
    pub proposed: Option<Proposed>,
    /// Peers that need the newest snapshot file before they can follow the log.
    pub send_snapshots: Vec<SendSnapshot>,
    /// Role, term or leader changed.
    pub role: Option<RoleChange>,
    /// A configuration came into force or was reverted.
    pub configuration: Option<(LogIndex, Configuration)>,
    /// What became of `Input::Transfer`, `Input::Initialize` or `Input::ChangeMembership`; also reported later when a transfer ends.
    pub admin: Option<AdminOutcome>,
}

/// One durable write. The log performs its parts in the order of the fields, in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Its number.
    pub io: IoSeq,
    /// Term and vote, if they changed. Before the entries, which may be of that term.
    pub hard_state: Option<HardState>,
    /// The start point of an installed snapshot: the log is empty after it. Only emitted when the log
    /// does not hold that position; if it does, the log stays as it is and the commit index advances.
    pub start: Option<StartPoint>,
    /// Remove this entry and all behind it first.
    pub truncate_from: Option<LogIndex>,
    /// Entries to append, consecutive.
    pub entries: Vec<Entry>,
}

/// Where a log begins: the position before its first entry, and the configuration in force there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StartPoint {
    /// Position before the first entry.
    pub last: EntryId,
    /// The configuration in force at `last` and the index of its entry.
    pub configuration: (LogIndex, Configuration),
}

/// A message and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message. An `Append` has no entries yet: `fill` names them.
    pub message: Message,
    /// The entries that the sender reads from its cache or the log and puts into an `Append`: all of
    /// them, and the last one must be `Append::last`, or the message is dropped and the peer reported
    /// by [`crate::Input::Unreachable`].
    pub fill: Option<RangeInclusive<LogIndex>>,
    /// Not to leave before this write is durable.
    pub after: Option<IoSeq>,
}

/// A snapshot that replaces the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// Last entry that it covers.
    pub last: EntryId,
    /// The write that must be durable before the image is swapped.
    pub after: IoSeq,
}

/// A peer that must get the newest snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendSnapshot {
    /// The message that the peer's node hands to its core when the file is durable there; `last` is the
    /// newest snapshot that the core knows of, or a newer one that the sender then names.
    pub message: Message,
}

/// A decided read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadOutcome {
    /// The shell's number.
    pub seq: u64,
    /// Serve it once this index is applied; or why it cannot be served.
    pub result: Result<LogIndex, Refusal>,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Proposed {
    /// Appended under these positions, in order; all in one term. Not committed yet.
    Appended {
        /// The leader's term.
        term: Term,
        /// Indexes of the first and last entry.
        indexes: RangeInclusive<LogIndex>,
    },
    /// Nothing was appended.
    Refused(Refusal),
}

/// Why a request was refused; nothing happened to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// This member does not lead; the hint is who it believes does.
    #[error("not the controller")]
    NotLeader {
        /// The known leader, if any.
        leader: Option<NodeId>,
    },
    /// A leadership transfer is running.
    #[error("leadership is being transferred")]
    Transferring,
    /// Too many bytes are appended but not committed.
    #[error("too many uncommitted bytes")]
    Overloaded,
    /// One entry is larger than allowed.
    #[error("entry too large: {size_bytes} bytes")]
    TooLarge {
        /// Size of the payload.
        size_bytes: usize,
    },
    /// Leadership was lost before the answer could be given.
    #[error("the controller changed")]
    LeaderChanged,
    /// The member has no configuration yet.
    #[error("uninitialised")]
    Uninitialized,
}

/// What became of an administrative input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminOutcome {
    /// The voter set was accepted; durable when the persist of the same effects is.
    Initialized,
    /// A transfer to this node began.
    TransferStarted(NodeId),
    /// The transfer ended: another member leads.
    TransferDone,
    /// The transfer ended without a change; this member takes proposals again.
    TransferAborted,
    /// A changed membership was appended and is in force; it is done once the configuration is simple and
    /// committed.
    MembershipChanging {
        /// Index of its entry.
        index: LogIndex,
    },
    /// The membership is as wished already.
    MembershipUnchanged {
        /// Index of the committed configuration.
        index: LogIndex,
    },
    /// Refused, with the reason.
    Refused(AdminRefusal),
}

/// Why an administrative input was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AdminRefusal {
    /// The log is not empty.
    #[error("already initialised")]
    AlreadyInitialized,
    /// This member is not in the voter set.
    #[error("this member is not among the voters")]
    NotVoter,
    /// This member does not lead.
    #[error("not the controller")]
    NotLeader,
    /// The target of a transfer is not a voter that can take over.
    #[error("no suitable target")]
    NoTarget,
    /// Another transfer is running.
    #[error("a transfer is running")]
    Busy,
    /// The voter set breaks a rule of [`Configuration::validate`].
    #[error("invalid voter set")]
    Invalid,
    /// It leads, but has committed no entry of its own term yet; try again.
    #[error("the controller has not committed an entry of its term yet")]
    NotReady,
    /// A configuration in the log is joint or not committed.
    #[error("another change of the membership is in progress")]
    ChangeInProgress,
    /// The expected index is not that of the last committed configuration.
    #[error("the membership is that of index {actual}")]
    StaleExpectation {
        /// The index of the last committed configuration.
        actual: LogIndex,
    },
    /// A new voter is not a learner that answers and holds almost all that is committed.
    #[error("member {member} is not a learner that is caught up")]
    NotCaughtUp {
        /// The member.
        member: MemberId,
        /// Committed entries that it lacks; the maximum if it is no learner or does not answer.
        behind: u64,
    },
    /// The new learner votes already.
    #[error("the member is a voter")]
    AlreadyMember,
    /// No learner runs on that node.
    #[error("the node is no learner")]
    NotLearner,
}

/// A change of role, term or known leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoleChange {
    /// The new role.
    pub role: Role,
    /// The term.
    pub term: Term,
    /// The known leader of the term.
    pub leader: Option<MemberId>,
}

/// What a member is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// No configuration yet; grants votes and accepts appends, never campaigns (DESIGN 6.1).
    Uninitialized,
    /// Replicates without voting.
    Learner,
    /// Follows a leader or waits for one.
    Follower,
    /// Asks whether it could win (dissertation 9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// Where a peer stands, as its leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerStatus {
    /// The peer.
    pub member: MemberId,
    /// Highest index known to be durable there.
    pub matched: LogIndex,
    /// Ticks since its last answer, or since the beginning of the term if there was none yet.
    pub silent_ticks: u32,
    /// Whether it announced that it is about to stop.
    pub stopping: bool,
    /// Whether it is being sent a snapshot.
    pub in_snapshot: bool,
    /// Whether it is a learner that could be made a voter now.
    pub caught_up: bool,
}
