//! What stands behind [`Handle`](crate::handle::Handle): every question of a REST handler becomes a message
//! to the driver, or a look at what is published. Nothing is decided here.

mod changes;
mod errors;
mod patience;
mod snapshots;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use dmq_log::{Disk, SnapshotStore};
use dmq_metadata::{Envelope, LogTime, MetadataIndex, RequestId, Term, WallTime};
use dmq_raft::LogIndex;
use dmq_replica::{Answer, DriverInput, Heartbeat, Proposal, Ticket};
use tokio::sync::watch;

pub use self::patience::Patience;
use self::patience::{DRIVER_GRACE, in_ticks, late_read};
use crate::handle::{
    Ack, BrokerHeartbeat, BrokerVerdict, CommandRequest, Committed, Consistency, InitializeRequest,
    Initialized, Member, Membership, MembershipRequest, NodeStatus, ReadRequest, RequestError,
    SnapshotInfo, StateHashAt, TransferRequest, Transferred, View,
};
use crate::identity::{node_id, raft_node_id};
use crate::metrics::Metrics;
use crate::projector::Demand;
use crate::threads::{Ask, Beat, HashRing, STUCK_AFTER};

/// Initialise waits for the voters to pin; the driver gives up earlier.
const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(15);
/// A transfer ends or is aborted within one election time-out; this is for a driver that is stuck.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);
/// A change of members is confirmed, appended and waited for by the driver; this is for one that is stuck.
const MEMBERSHIP_TIMEOUT: Duration = Duration::from_mins(1);
/// A heartbeat is answered in the next turn.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);
/// A snapshot of a large image takes a while.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_mins(2);

/// A member that runs on threads. Clones share it.
pub struct RunningMember<D: Disk> {
    /// The way to the driver.
    pub ask: Ask,
    /// What the applier published last.
    pub view: Arc<ArcSwap<View>>,
    /// What the driver published last.
    pub status: watch::Receiver<Arc<NodeStatus>>,
    /// Hashes of the newest entries.
    pub hashes: Arc<HashRing>,
    /// The snapshot files.
    pub snapshots: Arc<SnapshotStore<D>>,
    /// Where proposals are timed.
    pub metrics: Arc<Metrics>,
    /// Who waits for the projector.
    pub demand: Demand,
    /// How long requests wait that name no time.
    pub patience: Patience,
    /// When the driver turned last.
    pub driver_beat: Arc<Beat>,
    /// When the log writer ended a write last.
    pub log_beat: Arc<Beat>,
}

impl<D: Disk> Clone for RunningMember<D> {
    fn clone(&self) -> Self {
        Self {
            ask: self.ask.clone(),
            view: Arc::clone(&self.view),
            status: self.status.clone(),
            hashes: Arc::clone(&self.hashes),
            snapshots: Arc::clone(&self.snapshots),
            metrics: Arc::clone(&self.metrics),
            demand: self.demand.clone(),
            patience: self.patience,
            driver_beat: Arc::clone(&self.driver_beat),
            log_beat: Arc::clone(&self.log_beat),
        }
    }
}

impl<D: Disk> RunningMember<D> {
    /// Puts a question to the driver; `late` is the answer when `timeout` is over.
    async fn question(
        &self,
        timeout: Duration,
        late: impl FnOnce() -> RequestError,
        build: impl FnOnce(Ticket) -> DriverInput,
    ) -> Result<Answer, RequestError> {
        match tokio::time::timeout(timeout, self.ask.send(build)).await {
            Ok(Answer::Failed(error)) => Err(self.explain(error)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(late()),
        }
    }

    /// Waits until the image is at or past `index`.
    async fn wait_applied(
        &self,
        index: MetadataIndex,
        linearizable: bool,
        timeout: Option<Duration>,
    ) -> Result<(), RequestError> {
        let timeout = timeout.unwrap_or(self.patience.read);
        // The driver ends the wait and knows why; this is for one that is stuck.
        let late = || late_read(linearizable, index, self.view.load().image.index());
        let build = |ticket| {
            DriverInput::Read(dmq_replica::ReadRequest {
                ticket,
                linearizable,
                min_index: (index.0 > 0).then_some(LogIndex(index.0)),
                wait_ticks: Some(in_ticks(timeout)),
            })
        };
        let stuck = timeout.saturating_add(DRIVER_GRACE);
        match self.question(stuck, late, build).await? {
            Answer::Read { .. } => Ok(()),
            other => Err(errors::unexpected(&other)),
        }
    }
}

#[async_trait]
impl<D: Disk> Member for RunningMember<D> {
    async fn propose(&self, request: CommandRequest) -> Result<Committed, RequestError> {
        let CommandRequest {
            command,
            principal,
            idempotency,
            ack,
            timeout,
        } = request;
        let envelope = Envelope {
            request_id: RequestId(uuid::Uuid::new_v4()),
            principal,
            idempotency,
            log_time: LogTime::default(),
            wall_clock: now(),
            seed: seed(),
            command,
        };
        let ack = match ack {
            Ack::Applied => dmq_replica::Ack::Applied,
            Ack::Projected => dmq_replica::Ack::Projected,
        };
        let build = |ticket| {
            DriverInput::Propose(Proposal {
                ticket,
                envelope,
                ack,
            })
        };
        let _waiting = (ack == dmq_replica::Ack::Projected).then(|| self.demand.enter());
        let started = Instant::now();
        let answer = self
            .question(
                timeout.unwrap_or(self.patience.write),
                || RequestError::Timeout,
                build,
            )
            .await?;
        self.metrics
            .raft
            .propose
            .observe(started.elapsed().as_secs_f64());
        match answer {
            Answer::Committed(write) => Ok(Committed {
                index: MetadataIndex(write.id.index.0),
                term: Term(write.id.term.0),
                outcome: write.outcome,
                projected: MetadataIndex(write.projected.0),
            }),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn read(&self, request: ReadRequest) -> Result<Arc<View>, RequestError> {
        let ReadRequest {
            consistency,
            min_index,
            timeout,
        } = request;
        let linearizable = consistency == Consistency::Linearizable;
        if linearizable || self.view.load().image.index() < min_index {
            self.wait_applied(min_index, linearizable, timeout).await?;
        }
        Ok(self.view())
    }

    fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    async fn initialize(&self, request: InitializeRequest) -> Result<Initialized, RequestError> {
        let InitializeRequest {
            cluster,
            incarnation,
            voters,
        } = request;
        let body = dmq_replica::InitializeRequest {
            cluster_id: cluster.to_string(),
            incarnation,
            voters: voters.iter().map(changes::to_member).collect(),
        };
        let late = || RequestError::Undecided("initialise did not end in time".to_owned());
        let build = |ticket| DriverInput::Initialize {
            ticket,
            request: body,
        };
        match self.question(INITIALIZE_TIMEOUT, late, build).await? {
            Answer::Initialized => Ok(Initialized {
                voters,
                membership_index: MetadataIndex(1),
            }),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn transfer(&self, request: TransferRequest) -> Result<Transferred, RequestError> {
        let to = request.target.map(raft_node_id);
        let expected_term = request.expected_term.map(|term| dmq_raft::Term(term.0));
        let late = || RequestError::Undecided("the transfer did not end in time".to_owned());
        let build = |ticket| DriverInput::Transfer {
            ticket,
            to,
            expected_term,
        };
        match self.question(TRANSFER_TIMEOUT, late, build).await? {
            Answer::Transferred { to, term } => Ok(Transferred {
                leader: node_id(to),
                term: Term(term.0),
            }),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn change_membership(
        &self,
        request: MembershipRequest,
    ) -> Result<Membership, RequestError> {
        let change = changes::to_change(&request.change);
        let expected = LogIndex(request.expected.0);
        let late = || RequestError::Undecided("the change did not end in time".to_owned());
        let build = |ticket| DriverInput::ChangeMembership {
            ticket,
            change,
            expected,
        };
        match self.question(MEMBERSHIP_TIMEOUT, late, build).await? {
            Answer::MembershipChanged {
                index,
                configuration,
            } => Ok(changes::membership(index, &configuration)),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn heartbeat(&self, beat: BrokerHeartbeat) -> Result<BrokerVerdict, RequestError> {
        let late = || RequestError::NoQuorum;
        let build = |ticket| {
            DriverInput::Heartbeat(Heartbeat {
                ticket,
                broker: beat.broker,
                epoch: beat.epoch,
                seen: beat.metadata_index,
                want_fence: beat.want_fence,
                want_shut_down: beat.want_shut_down,
            })
        };
        match self.question(HEARTBEAT_TIMEOUT, late, build).await? {
            Answer::Heartbeat(answer) => Ok(BrokerVerdict {
                is_caught_up: answer.caught_up,
                is_fenced: answer.fenced,
                should_shut_down: answer.should_shut_down,
                index: MetadataIndex(answer.applied.index.0),
                term: Term(answer.applied.term.0),
            }),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn take_snapshot(&self) -> Result<SnapshotInfo, RequestError> {
        let late = || RequestError::Unavailable("the snapshot did not end in time".to_owned());
        let build = |ticket| DriverInput::TakeSnapshot { ticket };
        let last = match self.question(SNAPSHOT_TIMEOUT, late, build).await? {
            Answer::SnapshotTaken { last } => MetadataIndex(last.index.0),
            other => return Err(errors::unexpected(&other)),
        };
        let files = self.snapshots().await?;
        let gone = || RequestError::Internal(format!("snapshot {last} is not there any more"));
        files
            .into_iter()
            .find(|file| file.index == last)
            .ok_or_else(gone)
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, RequestError> {
        snapshots::list(Arc::clone(&self.snapshots)).await
    }

    async fn state_hash(
        &self,
        index: Option<MetadataIndex>,
        timeout: Option<Duration>,
    ) -> Result<StateHashAt, RequestError> {
        // One view, also for the index that nobody named: a snapshot that is installed in between clears
        // the hashes of everything before it.
        let mut view = self.view();
        let wanted = index.unwrap_or_else(|| view.image.index());
        if view.image.index() < wanted {
            self.wait_applied(wanted, false, timeout).await?;
            view = self.view();
        }
        let (hash, feature_level) = if view.image.index() == wanted {
            (view.image.state_hash(), view.image.feature_level())
        } else {
            self.hashes.at(wanted).ok_or_else(|| not_kept(wanted))?
        };
        Ok(StateHashAt {
            index: wanted,
            hash,
            feature_level,
        })
    }

    async fn liveness(&self) -> Result<(), String> {
        let stuck = |what: &str, beat: &Beat| {
            let age = beat.age();
            (age > STUCK_AFTER).then(|| format!("the {what} has not moved for {age:?}"))
        };
        let stuck = stuck("driver", &self.driver_beat).or_else(|| stuck("log", &self.log_beat));
        stuck.map_or(Ok(()), Err)
    }
}

fn not_kept(wanted: MetadataIndex) -> RequestError {
    let detail = "the hashes of the newest entries since the start are kept".to_owned();
    RequestError::Compacted { wanted, detail }
}

/// For people: nothing is decided by it.
fn now() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Random bits for the choices that a command leaves open.
fn seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}
