//! What a member is asked, and what it answers.

use std::time::Duration;

use dmq_metadata::{
    BrokerEpoch, BrokerId, ClusterId, Command, DirectoryId, FeatureLevel, Idempotency, Image,
    Incarnation, MetadataIndex, NodeId, Outcome, Principal, StateHash, Term,
};

/// What a write waits for before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// Until the entry is committed and applied to the controller's image.
    Applied,
    /// Until the controller's database has it too: at most 1 s, and not while the projector is known to be
    /// down (DESIGN 2).
    #[default]
    Projected,
}

/// A command on its way to the log. The controller stamps request id, log time and seed.
#[derive(Clone, Debug)]
pub struct CommandRequest {
    /// What to do.
    pub command: Command,
    /// On whose behalf; part of the deduplication key.
    pub principal: Principal,
    /// The caller's key and the fingerprint of the request, if it wants retries to be recognised.
    pub idempotency: Option<Idempotency>,
    /// What the answer waits for.
    pub ack: Ack,
    /// After this the caller gets [`RequestError::Timeout`](super::RequestError::Timeout), whose outcome is unknown.
    /// `None`: 10 s or five election timeouts, whichever is more.
    pub timeout: Option<Duration>,
}

/// A command that a majority has and that was applied.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where it is in the log.
    pub index: MetadataIndex,
    /// The term of its entry.
    pub term: Term,
    /// What the state machine made of it. For a repeated idempotent request: what the first one got.
    pub outcome: Outcome,
    /// How far the controller's database was when the answer was made.
    pub projected: MetadataIndex,
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The node's own image.
    #[default]
    Local,
    /// Everything that was acknowledged anywhere before the read began (`ReadIndex`).
    Linearizable,
}

/// What a read asks for.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// How fresh.
    pub consistency: Consistency,
    /// Wait until at least this index is applied; 0 for no wait.
    pub min_index: MetadataIndex,
    /// After this the caller gets [`RequestError::ReadTimeout`](super::RequestError::ReadTimeout), or
    /// [`RequestError::NoQuorum`](super::RequestError::NoQuorum) when no majority has confirmed the
    /// controller by then. `None`: 5 s or three election timeouts, whichever is more.
    pub timeout: Option<Duration>,
}

/// The state at one index.
#[derive(Clone, Debug)]
pub struct View {
    /// The state itself; it knows its index.
    pub image: Image,
    /// Term of the entry at the image's index.
    pub term: Term,
}

/// One voter as `initialize` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    /// The node.
    pub id: NodeId,
    /// Its data directory.
    pub directory: DirectoryId,
}

/// The first configuration of a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializeRequest {
    /// Must be the directory's.
    pub cluster: ClusterId,
    /// Must be the directory's.
    pub incarnation: Incarnation,
    /// Sorted by id, without repeats, not empty.
    pub voters: Vec<Voter>,
}

/// The answer to `initialize`, also when the same body came a second time.
#[derive(Clone, Debug)]
pub struct Initialized {
    /// The voters of entry 1.
    pub voters: Vec<Voter>,
    /// Index of the configuration entry, always 1.
    pub membership_index: MetadataIndex,
}

/// Moves leadership.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransferRequest {
    /// The next controller; `None`: the most caught-up voter that is not stopping.
    pub target: Option<NodeId>,
    /// Refuse with [`RequestError::StaleTerm`](super::RequestError::StaleTerm) when the term is another one.
    pub expected_term: Option<Term>,
}

/// Who leads after a transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transferred {
    /// The controller now.
    pub leader: NodeId,
    /// Its term.
    pub term: Term,
}

/// A wish for another membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// The whole new voter set, sorted by id, without repeats, not empty.
    Voters(Vec<Voter>),
    /// A member that replicates without a vote.
    AddObserver(Voter),
    /// The observer of this node goes.
    RemoveObserver(NodeId),
}

/// A change of the membership, decided on a certain configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRequest {
    /// What is wished.
    pub change: MembershipChange,
    /// Index of the newest committed configuration, as the caller knows it.
    pub expected: MetadataIndex,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Index of its entry.
    pub index: MetadataIndex,
    /// Members that vote, by id.
    pub voters: Vec<Voter>,
    /// Members that only replicate, by id.
    pub observers: Vec<Voter>,
}

/// A sign of life of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeat {
    /// Who.
    pub broker: BrokerId,
    /// The epoch of its registration; `None` for brokers that know none (the empty form body).
    pub epoch: Option<BrokerEpoch>,
    /// How far the broker has read the metadata; `None` counts as caught up.
    pub metadata_index: Option<MetadataIndex>,
    /// The broker asks to be fenced (or to stay so).
    pub want_fence: bool,
    /// The broker asks for a controlled shutdown.
    pub want_shut_down: bool,
}

/// What the controller tells a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerVerdict {
    /// The broker has read at least its own registration.
    pub is_caught_up: bool,
    /// The broker may not lead partitions.
    pub is_fenced: bool,
    /// The broker leads nothing any more and may stop.
    pub should_shut_down: bool,
    /// The controller's applied index when it answered.
    pub index: MetadataIndex,
    /// The controller's term.
    pub term: Term,
}

/// A durable snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Last index that it covers.
    pub index: MetadataIndex,
    /// Term of the entry there.
    pub term: Term,
    /// Size of the file.
    pub size_bytes: u64,
    /// Hash of the state that it holds.
    pub state_hash: StateHash,
    /// Feature level of that state.
    pub feature_level: FeatureLevel,
}

/// A state hash and where it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHashAt {
    /// The index.
    pub index: MetadataIndex,
    /// The hash of the image at that index.
    pub hash: StateHash,
    /// The feature level, which defines the bytes that are hashed.
    pub feature_level: FeatureLevel,
}
