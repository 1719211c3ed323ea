//! What a waiting request gets in the end, and whether its sender may try again.

use std::sync::Arc;

use dmq_metadata::{BrokerEpoch, BrokerId, Outcome, Rejection};
use dmq_raft::{Configuration, EntryId, LogIndex, NodeId, Term};

/// Names one waiting request. The shell chooses it and never uses one twice within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The one answer to a [`Ticket`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// A command was committed and applied; the outcome may still be a rejection.
    Committed(CommittedWrite),
    /// The published view is at or past this index: serve the read from it.
    Read {
        /// The index at which the read is served at the earliest.
        index: LogIndex,
    },
    /// A broker's heartbeat was taken.
    Heartbeat(HeartbeatAnswer),
    /// The voter set is entry 1 of term 1 and durable (or was already).
    Initialized,
    /// The digest is pinned durably (or was already).
    Pinned,
    /// Leadership is with this node now.
    Transferred {
        /// The new controller.
        to: NodeId,
        /// Its term.
        term: Term,
    },
    /// The members are as wished, and the configuration that says so is committed and simple.
    MembershipChanged {
        /// Index of its entry.
        index: LogIndex,
        /// The configuration.
        configuration: Arc<Configuration>,
    },
    /// A snapshot is durable at this position.
    SnapshotTaken {
        /// Last entry that it covers.
        last: EntryId,
    },
    /// Nothing of the above; says why, and whether trying again is safe.
    Failed(RequestError),
}

/// A command that was committed.
#[derive(Clone, Debug)]
pub struct CommittedWrite {
    /// Where its entry is in the log.
    pub id: EntryId,
    /// What `apply` decided.
    pub outcome: Outcome,
    /// Index up to which this node's database had it when the answer was made; below `id.index` if the
    /// answer did not wait for it.
    pub projected: LogIndex,
}

/// What a broker learns from its heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of its present registration.
    pub epoch: BrokerEpoch,
    /// It has read at least its own registration.
    pub caught_up: bool,
    /// Whether it is fenced at the moment; a live session is unfenced soon after.
    pub fenced: bool,
    /// It asked for a controlled shutdown, leads nothing any more and may stop.
    pub should_shut_down: bool,
    /// The controller's last applied entry when it answered.
    pub applied: EntryId,
}

/// Why a request was not done. Every variant answers [`RequestError::retriable`] and
/// [`RequestError::outcome_unknown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// This node does not lead; the hint is who does.
    #[error("this node is not the controller")]
    NotController {
        /// The known controller.
        leader: Option<NodeId>,
    },
    /// The node has no configuration yet.
    #[error("this node is uninitialised")]
    Uninitialized,
    /// The command did not and will not happen: another controller's entry has its place.
    #[error("the controller changed before the command was committed; it did not happen")]
    LeaderChanged,
    /// The controller was lost while the command was in flight, and nobody decided in time.
    #[error("the controller was lost before the outcome of the command was known")]
    OutcomeUnknown,
    /// Leadership could not be confirmed by a majority in time.
    #[error("no majority of the quorum confirmed the controller in time")]
    NoQuorum,
    /// Too much is in flight.
    #[error("too many requests in flight")]
    Overloaded,
    /// The log could not get space on its disk.
    #[error("no space left for the log")]
    NoSpace,
    /// The command is larger than an entry may be.
    #[error("the command has {size_bytes} bytes, at most {limit_bytes} are allowed")]
    TooLarge {
        /// Size of the encoded command.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// Leadership is being handed over and did not arrive in time.
    #[error("leadership is being handed over")]
    Transferring,
    /// The node is stopping.
    #[error("this node is stopping")]
    Stopping,
    /// `minIndex` was not applied in time.
    #[error("index {wanted} is not applied yet, this node is at {applied}")]
    NotApplied {
        /// The index that was asked for.
        wanted: LogIndex,
        /// The index of the image.
        applied: LogIndex,
    },
    /// What the state machine would say, from the confirmed state of the controller.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// `expectedTerm` is not the controller's term.
    #[error("the term is {actual}")]
    StaleTerm {
        /// The controller's term.
        actual: Term,
    },
    /// The expected membership index is not that of the newest committed configuration.
    #[error("the newest committed configuration is that of index {actual}")]
    StaleMembership {
        /// Its index.
        actual: LogIndex,
    },
    /// Another change of members has not ended.
    #[error("another change of the members is under way")]
    MembershipChanging {
        /// Index of the configuration in force.
        index: LogIndex,
        /// What the change leads to.
        target: Arc<Configuration>,
    },
    /// A new voter is not an observer that is caught up: says who, and what it lacks (409).
    #[error("{0}")]
    NotCaughtUp(String),
    /// No such member (404): says who.
    #[error("{0}")]
    UnknownMember(String),
    /// An administrative request may take effect yet, or may have: says which, and what is known.
    #[error("{0}")]
    Undecided(String),
    /// The request contradicts what is (409): says what.
    #[error("{0}")]
    Conflict(String),
    /// The request breaks a rule that needs no state (422): says which.
    #[error("{0}")]
    Invalid(String),
    /// Something that was needed is not there at the moment (503): says what.
    #[error("{0}")]
    Unavailable(String),
}

impl RequestError {
    /// Whether the same request may be sent again without harm.
    pub const fn retriable(&self) -> bool {
        match self {
            Self::NotController { .. }
            | Self::Uninitialized
            | Self::LeaderChanged
            | Self::NoQuorum
            | Self::Overloaded
            | Self::NoSpace
            | Self::Transferring
            | Self::Stopping
            | Self::NotApplied { .. }
            | Self::Unavailable(_) => true,
            Self::OutcomeUnknown
            | Self::Undecided(_)
            | Self::StaleTerm { .. }
            | Self::StaleMembership { .. }
            | Self::MembershipChanging { .. }
            | Self::NotCaughtUp(_)
            | Self::UnknownMember(_)
            | Self::TooLarge { .. }
            | Self::Rejected(_)
            | Self::Conflict(_)
            | Self::Invalid(_) => false,
        }
    }

    /// Whether the command may have happened, or may happen yet.
    pub const fn outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown | Self::Undecided(_))
    }
}
