//! The façade of a running member: what REST handlers (and tests with a fake member) may ask of it.
//!
//! A [`Handle`] is cheap to clone and holds no channel that a handler could misuse. The server implements
//! [`Member`] over its threads; tests implement it over a plain image.

mod error;
mod requests;
mod status;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dmq_metadata::MetadataIndex;
use tokio::sync::watch;

pub use self::error::RequestError;
pub use self::requests::{
    Ack, BrokerHeartbeat, BrokerVerdict, CommandRequest, Committed, Consistency, InitializeRequest,
    Initialized, Membership, MembershipChange, MembershipRequest, ReadRequest, SnapshotInfo,
    StateHashAt, TransferRequest, Transferred, View, Voter,
};
pub use self::status::{MemberStatus, NodeState, NodeStatus, Progress, ProjectionStatus};

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

    /// Changes voters or observers, and answers when the new configuration is committed and alone in force
    /// (DESIGN 6.5).
    async fn change_membership(
        &self,
        request: MembershipRequest,
    ) -> Result<Membership, RequestError>;

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
        timeout: Option<Duration>,
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
