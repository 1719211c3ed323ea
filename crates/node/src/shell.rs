//! The driver's way into the rest of the process: peers, snapshots, status, alarms, the end.

use std::sync::Arc;

use dmq_log::{DataDir, DataDirError, FileDisk, SnapshotStore};
use dmq_metadata::MetadataIndex;
use dmq_raft::{MemberId, Message, Role};
use dmq_replica::{Alarm, DriverInput, ExitReason, PinDigest, PinError, QuorumEvent, Status};
use tokio::sync::{mpsc, watch};

use crate::handle::NodeStatus;
use crate::metrics::Metrics;
use crate::peers::{Addressee, Links, Parcel, pins, snapshot_send};
use crate::projector::Demand;
use crate::queue::Sender;
use crate::status::{StatusView, alarm_name};
use crate::threads::{Shell, Work};

/// Everything that the driver's outputs reach.
pub(crate) struct NodeShell {
    /// The peers.
    pub links: Arc<Links>,
    /// Our side of every call.
    pub own: Arc<Addressee>,
    /// The data directory, for the pin.
    pub data_dir: DataDir<FileDisk>,
    /// The snapshot files.
    pub snapshots: Arc<SnapshotStore<FileDisk>>,
    /// The driver's own queue, for what ends later.
    pub driver: Sender<Work>,
    /// Where work that waits runs.
    pub runtime: tokio::runtime::Handle,
    /// Turns the status into the published one.
    pub view: StatusView,
    /// The published status.
    pub published: watch::Sender<Arc<NodeStatus>>,
    /// Index of the newest snapshot, for the projector.
    pub snapshot_index: watch::Sender<MetadataIndex>,
    /// Who waits for the projector.
    pub demand: Demand,
    /// Where elections and the driver's counts are shown.
    pub metrics: Arc<Metrics>,
    /// The end of the process.
    pub exits: mpsc::UnboundedSender<ExitReason>,
}

impl Shell for NodeShell {
    fn send(&self, to: MemberId, parcel: Parcel) -> bool {
        self.links.send(to.node, parcel)
    }

    fn send_snapshot(&self, message: Message) {
        let (to, driver) = (message.to, self.driver.clone());
        let (store, own) = (Arc::clone(&self.snapshots), Arc::clone(&self.own));
        let connection = self.links.connection(to);
        self.runtime.spawn(async move {
            let sent = match connection {
                Some(connection) => snapshot_send::send(connection, store, own, message).await,
                None => Err(snapshot_send::SendError::Peer("not connected".to_owned())),
            };
            match &sent {
                Ok(()) => tracing::info!(peer = to.node.0, "snapshot sent"),
                Err(error) => tracing::warn!(peer = to.node.0, %error, "snapshot not sent"),
            }
            let input = DriverInput::SnapshotSent {
                to,
                ok: sent.is_ok(),
            };
            driver.push_always(Work::Input(input));
        });
    }

    fn request_pin(&self, to: MemberId, digest: PinDigest) {
        let (own, driver) = (Arc::clone(&self.own), self.driver.clone());
        let connection = self.links.connection(to);
        self.runtime.spawn(async move {
            let result = pins::request(connection, &own, digest).await;
            driver.push_always(Work::Input(DriverInput::PinReply { from: to, result }));
        });
    }

    fn pin(&self, digest: PinDigest) {
        let (data_dir, driver) = (self.data_dir.clone(), self.driver.clone());
        self.runtime.spawn_blocking(move || {
            let result = data_dir.pin(digest).map_err(|error| match error {
                DataDirError::Pinned { .. } => PinError::Refused(error.to_string()),
                other => PinError::Unreachable(other.to_string()),
            });
            driver.push_always(Work::Input(DriverInput::PinStored { digest, result }));
        });
    }

    fn event(&self, event: QuorumEvent) {
        let leader = event.leader.map(|leader| leader.0);
        let (role, term, stopping) = (event.role, event.term.0, event.stopping);
        let campaigning = matches!(role, Role::PreCandidate | Role::Candidate);
        self.metrics
            .raft
            .observe_election(campaigning, leader.is_some());
        match role {
            // An election that nobody wins makes a line per round; it is shown by metrics.
            Role::PreCandidate | Role::Candidate => {
                tracing::debug!(?role, term, "campaigning");
            }
            _ => tracing::info!(?role, term, leader, stopping, "quorum state"),
        }
        if stopping {
            self.demand.stop();
        }
    }

    fn alarm(&self, alarm: Alarm) {
        let (name, detail) = (alarm_name(alarm.kind), alarm.detail);
        if alarm.raised {
            tracing::error!(alarm = name, detail, "alarm raised");
        } else {
            tracing::info!(alarm = name, "alarm over");
        }
    }

    fn status(&mut self, status: Status) {
        let snapshot = status
            .snapshot
            .map_or(MetadataIndex(0), |id| MetadataIndex(id.index.0));
        if *self.snapshot_index.borrow() != snapshot {
            self.snapshot_index.send_replace(snapshot);
        }
        self.metrics.raft.observe_counters(&status.counters);
        self.published
            .send_replace(Arc::new(self.view.update(&status)));
    }

    fn exit(&self, reason: ExitReason) {
        drop(self.exits.send(reason));
    }
}
