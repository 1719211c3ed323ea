//! What the driver says of itself, put into the form that the rest of the process watches.

use std::collections::BTreeMap;

use std::time::{Duration, Instant};

use dmq_metadata::{FeatureLevel, MetadataIndex, NodeId, Term};
use dmq_raft::{LogIndex, MemberId, PeerStatus, Role};
use dmq_replica::{AlarmKind, ProjectionHealth, Status};

use crate::config::TICK;
use crate::handle::{MemberStatus, NodeState, NodeStatus, Progress, ProjectionStatus};
use crate::identity::{NodeIdentity, directory_id, node_id};
use crate::peers::PeerBook;

/// Turns the driver's status into the published one; remembers when peers were last caught up.
pub struct StatusView {
    identity: NodeIdentity,
    url: String,
    book: PeerBook,
    caught_up: BTreeMap<MemberId, Instant>,
    term: dmq_raft::Term,
}

impl StatusView {
    /// For the node with this identity and REST address.
    pub fn new(identity: NodeIdentity, url: String, book: PeerBook) -> Self {
        Self {
            identity,
            url,
            book,
            caught_up: BTreeMap::new(),
            term: dmq_raft::Term(0),
        }
    }

    /// The status before the driver has said anything.
    pub fn initial(&self) -> NodeStatus {
        NodeStatus {
            cluster: self.identity.cluster.clone(),
            incarnation: self.identity.incarnation,
            node: self.identity.node(),
            directory: self.identity.directory(),
            url: self.url.clone(),
            state: NodeState::Uninitialized,
            term: Term(0),
            leader: None,
            leader_url: None,
            last: MetadataIndex(0),
            durable: MetadataIndex(0),
            commit: MetadataIndex(0),
            applied: MetadataIndex(0),
            log_start: MetadataIndex(0),
            projection: ProjectionStatus::default(),
            log_time: dmq_metadata::LogTime(0),
            feature_level: FeatureLevel::ZERO,
            feature_level_max: FeatureLevel::MAX,
            membership_index: MetadataIndex(0),
            committed_membership_index: MetadataIndex(0),
            voters: Vec::new(),
            outgoing: Vec::new(),
            observers: Vec::new(),
            transferring: None,
            ready: false,
            stopping: false,
            alarms: Vec::new(),
        }
    }

    /// The status to publish.
    pub fn update(&mut self, status: &Status) -> NodeStatus {
        self.note_caught_up(status);
        let leader = status.leader.map(|member| node_id(member.node));
        let (membership, configuration) = &status.configuration;
        let members = |members: &std::collections::BTreeSet<MemberId>| {
            members
                .iter()
                .map(|member| self.member(*member, status))
                .collect()
        };
        NodeStatus {
            state: state(status.role),
            term: Term(status.term.0),
            leader,
            leader_url: leader.and_then(|leader| self.url_of(leader)),
            last: index(status.last.index),
            durable: index(status.durable),
            commit: index(status.commit),
            applied: index(status.applied.index),
            log_start: index(status.start.index),
            projection: projection(status),
            log_time: status.log_time,
            feature_level: status.feature_level,
            membership_index: index(*membership),
            committed_membership_index: index(status.membership_index),
            voters: members(&configuration.voters),
            outgoing: members(&configuration.outgoing),
            observers: members(&configuration.learners),
            transferring: status.transferring.map(node_id),
            ready: status.ready,
            stopping: status.stopping,
            alarms: status
                .alarms
                .keys()
                .map(|kind| alarm_name(*kind).to_owned())
                .collect(),
            ..self.initial()
        }
    }

    fn url_of(&self, node: NodeId) -> Option<String> {
        if node == self.identity.node() {
            return Some(self.url.clone());
        }
        self.book.url(dmq_raft::NodeId(node.0))
    }

    /// The address that this very member has told: another directory of its node is another process.
    fn url_of_member(&self, member: MemberId) -> Option<String> {
        if member == self.identity.member {
            return Some(self.url.clone());
        }
        let heard = self.book.heard(member.node)?;
        (heard.member == member).then_some(heard.url)
    }

    fn note_caught_up(&mut self, status: &Status) {
        if self.term != status.term || status.role != Role::Leader {
            self.term = status.term;
            self.caught_up.clear();
        }
        let now = Instant::now();
        for peer in status
            .peers
            .iter()
            .filter(|peer| peer.matched >= status.last.index)
        {
            self.caught_up.insert(peer.member, now);
        }
    }

    fn member(&self, member: MemberId, status: &Status) -> MemberStatus {
        let id = node_id(member.node);
        MemberStatus {
            id,
            directory: directory_id(member.directory),
            peer_address: self.book.authority(member.node),
            url: self.url_of_member(member),
            progress: (status.role == Role::Leader).then(|| self.progress(member, status)),
        }
    }

    fn progress(&self, member: MemberId, status: &Status) -> Progress {
        if member == self.identity.member {
            return Progress {
                matched: index(status.durable),
                last_contact: Some(Duration::ZERO),
                last_caught_up: Some(Duration::ZERO),
                receiving_snapshot: false,
                stopping: status.stopping,
                caught_up: false,
            };
        }
        let peer = status.peers.iter().find(|peer| peer.member == member);
        Progress {
            matched: peer.map_or(MetadataIndex(0), |peer| index(peer.matched)),
            last_contact: peer.and_then(last_contact),
            last_caught_up: self.caught_up.get(&member).map(Instant::elapsed),
            receiving_snapshot: peer.is_some_and(|peer| peer.in_snapshot),
            stopping: peer.is_some_and(|peer| peer.stopping),
            caught_up: peer.is_some_and(|peer| peer.caught_up),
        }
    }
}

fn last_contact(peer: &PeerStatus) -> Option<Duration> {
    (peer.silent_ticks < u32::MAX).then(|| TICK * peer.silent_ticks)
}

fn index(index: LogIndex) -> MetadataIndex {
    MetadataIndex(index.0)
}

fn state(role: Role) -> NodeState {
    match role {
        Role::Uninitialized => NodeState::Uninitialized,
        Role::Learner => NodeState::Observer,
        Role::Follower => NodeState::Follower,
        Role::PreCandidate => NodeState::PreCandidate,
        Role::Candidate => NodeState::Candidate,
        Role::Leader => NodeState::Leader,
    }
}

fn projection(status: &Status) -> ProjectionStatus {
    ProjectionStatus {
        index: index(status.projected),
        healthy: status.projection == ProjectionHealth::Healthy,
        stopped: matches!(status.projection, ProjectionHealth::Stopped(_)),
    }
}

/// The alarm's name in REST and metrics.
pub fn alarm_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NO_SPACE",
        AlarmKind::Diverged => "DIVERGED",
        AlarmKind::Corrupt => "CORRUPT",
        AlarmKind::ProjectionStopped => "PROJECTION_STOPPED",
        AlarmKind::UnknownEntry => "UNKNOWN_ENTRY",
        AlarmKind::SnapshotFailed => "SNAPSHOT_FAILED",
    }
}
