//! The façade of a running member: what REST handlers (and tests with a fake member) may ask of it.
//!
//! A [`Handle`] is cheap to clone and holds no channel that a handler could misuse. The server implements
//! [`Member`] over its threads; tests implement it over a plain image.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dmq_metadata::{
    BrokerEpoch, BrokerId, ClusterId, Command, DirectoryId, FeatureLevel, Idempotency, Image,
    Incarnation, LogTime, MetadataIndex, NodeId, Outcome, Principal, Rejection, StateHash, Term,
    WallTime,
};
use tokio::sync::watch;

/// What one member can be asked to do. Every method may be called from any task; none blocks a thread.
///
/// Deadlines are the member's: each method answers at the latest when the term changes, the election
/// gives up or the request's own `timeout` is over, whichever is first.
#[async_trait]
pub trait Member: Send + Sync + 'static {
    /// Puts a command into the log and waits for its outcome. The outcome may be a rejection by the state
    /// machine: that is a committed answer and not an error.
    async fn propose(&self, request: CommandRequest) -> Result<Committed, RequestError>;

    /// A view of the state that is at least as new as the request asks for.
    async fn read(&self, request: ReadRequest) -> Result<Arc<View>, RequestError>;

    /// The present image, at once and without asking anybody.
    fn view(&self) -> Arc<View>;

    /// Makes `request.voters` the first configuration of an empty quorum (DESIGN 6.1).
    async fn initialize(&self, request: InitializeRequest) -> Result<Initialized, RequestError>;

    /// Moves leadership to `request.target`, or to the best voter.
    async fn transfer(&self, request: TransferRequest) -> Result<Transferred, RequestError>;

    /// Notes that a broker lives and tells it what to do next. Soft state of the controller, never logged.
    async fn heartbeat(&self, beat: BrokerHeartbeat) -> Result<BrokerVerdict, RequestError>;

    /// Writes a snapshot now and answers when it is durable.
    async fn take_snapshot(&self) -> Result<SnapshotInfo, RequestError>;

    /// The durable snapshots of this node, newest first.
    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, RequestError>;

    /// The state hash at `index`, or of the present image. Waits until `index` is applied.
    /// [`RequestError::Compacted`] when the hash at an older index was not kept.
    async fn state_hash(
        &self,
        index: Option<MetadataIndex>,
        timeout: Duration,
    ) -> Result<StateHashAt, RequestError>;

    /// Whether the event loop turns and the disk takes writes; the text says what is wrong.
    async fn liveness(&self) -> Result<(), String>;
}

/// Access to a running member. Clones share the member.
#[derive(Clone)]
pub struct Handle {
    member: Arc<dyn Member>,
    status: watch::Receiver<Arc<NodeStatus>>,
}

impl Handle {
    /// A handle of `member`, which publishes its status through the sender of `status`.
    pub fn new(member: Arc<dyn Member>, status: watch::Receiver<Arc<NodeStatus>>) -> Self {
        Self { member, status }
    }

    /// The last published status.
    pub fn status(&self) -> Arc<NodeStatus> {
        Arc::clone(&self.status.borrow())
    }

    /// A receiver that sees every later status (a slow one sees only the newest).
    pub fn watch_status(&self) -> watch::Receiver<Arc<NodeStatus>> {
        self.status.clone()
    }
}

impl std::ops::Deref for Handle {
    type Target = dyn Member;

    fn deref(&self) -> &Self::Target {
        &*self.member
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

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
    /// After this the caller gets [`RequestError::Timeout`], whose outcome is unknown.
    pub timeout: Duration,
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
    /// After this the caller gets [`RequestError::ReadTimeout`].
    pub timeout: Duration,
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
    /// Refuse with [`RequestError::StaleTerm`] when the term is another one.
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
    /// Date of the file, for people.
    pub created_at: Option<WallTime>,
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

/// What a node is doing in the quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// Formatted, without a configuration: never campaigns.
    #[default]
    Uninitialized,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won (pre-vote).
    PreCandidate,
    /// Campaigns.
    Candidate,
    /// Leads: the controller.
    Leader,
    /// Replicates without a vote.
    Observer,
}

/// A member as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// The node.
    pub id: NodeId,
    /// Its data directory.
    pub directory: DirectoryId,
    /// `host:port` of its peer listener, from the address book.
    pub peer_address: Option<String>,
    /// Its REST address, as its handshake told.
    pub url: Option<String>,
    /// What the leader knows of its log; `None` unless this node leads.
    pub progress: Option<Progress>,
}

/// What a leader knows of a member (its own row: itself).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Highest index known to be durable there.
    pub matched: MetadataIndex,
    /// Time since it last answered; `None`: never in this term.
    pub last_contact: Option<Duration>,
    /// Time since it last had everything that the leader had; `None`: never in this term.
    pub last_caught_up: Option<Duration>,
    /// It is being sent a snapshot.
    pub receiving_snapshot: bool,
    /// It announced that it is about to stop.
    pub stopping: bool,
}

/// The projection of this node into its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Last index in the database.
    pub index: MetadataIndex,
    /// It is up, not rebuilding and not stopped.
    pub healthy: bool,
    /// It stopped for good (poison batch, another owner): somebody has to look.
    pub stopped: bool,
}

/// One member's own view of itself and its quorum: needs no majority to be read.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// The log history.
    pub incarnation: Incarnation,
    /// This node.
    pub node: NodeId,
    /// Its data directory.
    pub directory: DirectoryId,
    /// Its own REST address, as it advertises it.
    pub url: String,
    /// Its role.
    pub state: NodeState,
    /// Its term.
    pub term: Term,
    /// Who leads that term, if known.
    pub leader: Option<NodeId>,
    /// The leader's REST address, if known.
    pub leader_url: Option<String>,
    /// Last index of its log.
    pub last: MetadataIndex,
    /// Last index that is durable here.
    pub durable: MetadataIndex,
    /// Commit index known here.
    pub commit: MetadataIndex,
    /// Index of the image.
    pub applied: MetadataIndex,
    /// The entry before the log's first one: what was compacted away.
    pub log_start: MetadataIndex,
    /// The database.
    pub projection: ProjectionStatus,
    /// Log time of the image.
    pub log_time: LogTime,
    /// Feature level of the image.
    pub feature_level: FeatureLevel,
    /// Highest feature level that this binary knows.
    pub feature_level_max: FeatureLevel,
    /// Index of the configuration in force here; 0 when uninitialised.
    pub membership_index: MetadataIndex,
    /// Index of the newest committed configuration.
    pub committed_membership_index: MetadataIndex,
    /// The voters in force.
    pub voters: Vec<MemberStatus>,
    /// The learners in force.
    pub observers: Vec<MemberStatus>,
    /// Target of a running leadership transfer.
    pub transferring: Option<NodeId>,
    /// The image reached the first commit index that a leader reported after the start; stays true.
    pub ready: bool,
    /// SIGTERM was received.
    pub stopping: bool,
    /// Standing alarms, e.g. `NO_SPACE`, `CORRUPT`, `PROJECTION_STOPPED`.
    pub alarms: Vec<String>,
}

impl NodeStatus {
    /// Whether this node is the controller.
    pub fn is_leader(&self) -> bool {
        self.state == NodeState::Leader
    }
}

/// Why a request got no outcome. Each variant tells the caller what to do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Ask the controller instead; nothing was done.
    #[error("this node is not the controller")]
    NotController {
        /// The controller, if one is known.
        leader: Option<NodeId>,
        /// Its REST address, if known.
        url: Option<String>,
    },
    /// The entry lost its place to another leader's; definitely not done, repeat it.
    #[error("the leader changed before the command was committed; it will not take effect")]
    LeaderChanged,
    /// A controller that does not reach a majority; nothing was done.
    #[error("no majority of the voters answers")]
    NoQuorum,
    /// The node has no configuration yet.
    #[error("the quorum is not initialised")]
    Uninitialized,
    /// The node is about to stop and takes nothing new.
    #[error("this node is stopping")]
    Stopping,
    /// A queue is full; nothing was done, repeat it later.
    #[error("the controller has too many requests in flight")]
    Overloaded,
    /// The disk has no room for the log; reads go on.
    #[error("no space left for the metadata log")]
    NoSpace,
    /// The time was over while the entry was in flight: it may or may not take effect.
    #[error("the command was not committed in time; whether it will be is unknown")]
    Timeout,
    /// The time was over before the index asked for was applied; nothing was changed.
    #[error("index {wanted} was not applied in time; this node is at {applied}")]
    ReadTimeout {
        /// The index asked for (or confirmed by the controller).
        wanted: MetadataIndex,
        /// Where the image is.
        applied: MetadataIndex,
    },
    /// The position was compacted or not kept.
    #[error("index {wanted} is no longer kept; {detail}")]
    Compacted {
        /// The index asked for.
        wanted: MetadataIndex,
        /// What is kept.
        detail: String,
    },
    /// `expectedTerm` is not the term.
    #[error("the term is {actual}")]
    StaleTerm {
        /// The present term.
        actual: Term,
    },
    /// The request contradicts what is: pinned otherwise, not empty, a transfer already running ...
    #[error("{0}")]
    Conflict(String),
    /// The request breaks a rule that needs no metadata: an unknown member as target ...
    #[error("{0}")]
    Invalid(String),
    /// Something that was needed is not there at the moment: a voter to pin, a target that catches up ...
    #[error("{0}")]
    Unavailable(String),
    /// A refusal that the state machine (or a confirmed read of its state) gives.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// One command larger than a log entry may be.
    #[error("the command is {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A defect of this program or its disk; the text goes to the log and the caller.
    #[error("{0}")]
    Internal(String),
}
