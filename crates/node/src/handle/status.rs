//! What a member publishes about itself and its quorum.

use std::time::Duration;

use dmq_metadata::{
    ClusterId, DirectoryId, FeatureLevel, Incarnation, LogTime, MetadataIndex, NodeId, Term,
};

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
    /// It is an observer that could be made a voter now.
    pub caught_up: bool,
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
    /// The voters in force; the new ones while one voter set replaces another.
    pub voters: Vec<MemberStatus>,
    /// The voters that are being replaced, whose majority must agree as well; empty otherwise.
    pub outgoing: Vec<MemberStatus>,
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
    /// Every member once: voters, those that are on their way out, observers.
    pub fn members(&self) -> impl Iterator<Item = &MemberStatus> {
        let is_new = |member: &&MemberStatus| {
            let same =
                |other: &MemberStatus| (other.id, other.directory) == (member.id, member.directory);
            !self.voters.iter().any(same)
        };
        let leaving = self.outgoing.iter().filter(is_new);
        self.voters.iter().chain(leaving).chain(&self.observers)
    }

    /// Whether this node is the controller.
    pub fn is_leader(&self) -> bool {
        self.state == NodeState::Leader
    }
}
