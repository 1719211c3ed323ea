//! Who is the controller, and the cluster in one document.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::brokers::BrokerResponse;

/// What a node is doing in the quorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NodeState {
    /// No configuration yet.
    #[default]
    Uninitialized,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Campaigns.
    Candidate,
    /// The controller.
    Leader,
    /// Replicates without a vote.
    Observer,
}

/// Answer of `GET /controller`: 200 on every node, from its own view. Ids are null without a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerResponse {
    /// Whether the node that was asked is the controller.
    pub is_leader: bool,
    /// Node id of the controller.
    pub leader_id: Option<u32>,
    /// REST address of the controller.
    pub leader_url: Option<String>,
    /// Raft term.
    pub term: u64,
    /// What the node that was asked is doing.
    pub state: NodeState,
    /// The node that was asked.
    pub node_id: u32,
    /// The DMQ cluster.
    pub cluster_id: String,
    /// The log history, `1` for the first.
    pub incarnation: String,
    /// Index up to which a majority has the log.
    pub commit_index: u64,
    /// Index of the node's state.
    pub applied_index: u64,
    /// Index of the node's database.
    pub projected_index: u64,
    /// Version of command semantics in force.
    pub feature_level: u32,
    /// Version of the program.
    pub version: String,
    /// Standing alarms, for example `NO_SPACE`.
    pub alarms: Vec<String>,
    /// As `leaderId`.
    pub controller_id: Option<u32>,
    /// As `leaderUrl`.
    pub controller_url: Option<String>,
    /// As `term`.
    pub controller_term: u64,
    /// Milliseconds since 1970-01-01 UTC, by this node's clock.
    pub timestamp: i64,
}

/// Answer of `GET /cluster`: all metadata in one document, in the shape that brokers pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterResponse {
    /// Metadata index.
    pub version: u64,
    /// The DMQ cluster.
    pub cluster_id: String,
    /// All brokers.
    pub brokers: Vec<ClusterBroker>,
    /// All topics.
    pub topics: Vec<ClusterTopic>,
    /// Milliseconds since 1970-01-01 UTC, by this node's clock.
    pub timestamp: i64,
    /// Node id of the controller.
    pub controller_leader_id: Option<u32>,
    /// Number of partitions of all topics.
    pub total_partitions: u64,
    /// The controller.
    pub controller_info: ControllerInfo,
    /// The members of the quorum.
    pub active_metadata_nodes: Vec<MetadataNode>,
}

/// A broker in the cluster document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBroker {
    /// The broker.
    #[serde(flatten)]
    pub broker: BrokerResponse,
    /// Unfenced.
    pub alive: bool,
}

/// A topic in the cluster document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTopic {
    /// Name.
    pub topic_name: String,
    /// Number of partitions.
    pub partition_count: u32,
    /// Replicas of each partition at creation.
    pub replication_factor: u32,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The partitions by number.
    pub partitions: Vec<ClusterPartition>,
    /// Settings in force.
    pub config: ClusterTopicConfig,
}

/// A partition in the cluster document. Its leader is never null: an offline partition names the first
/// in-sync replica, the one that led last or may lead next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPartition {
    /// Name of the topic.
    pub topic_name: String,
    /// Number within the topic.
    pub partition_id: u32,
    /// The broker that serves it.
    pub leader: ReplicaBroker,
    /// Fencing number of the leader.
    pub leader_epoch: u32,
    /// The brokers that hold a copy.
    pub replicas: Vec<ReplicaBroker>,
    /// The in-sync replicas.
    pub isr: Vec<ReplicaBroker>,
    /// Always 0: offsets are the brokers' business.
    pub start_offset: u64,
    /// Always 0.
    pub end_offset: u64,
}

/// A broker as holder of a replica. Host, port and address are null for a broker that is not registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaBroker {
    /// Number of the broker.
    pub broker_id: u32,
    /// Host that clients connect to.
    pub host: Option<String>,
    /// Port that clients connect to.
    pub port: Option<u16>,
    /// `ONLINE`, or `OFFLINE` while fenced or not registered.
    pub status: super::brokers::BrokerStatus,
    /// `host:port`.
    pub address: Option<String>,
}

/// The settings of a topic that brokers read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTopicConfig {
    /// `retention.ms`.
    pub retention_ms: i64,
    /// `retention.bytes`.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: i64,
    /// `compression.type`.
    pub compression_type: String,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i64,
}

/// The controller, as brokers read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerInfo {
    /// Node id.
    pub controller_id: Option<u32>,
    /// REST address.
    pub controller_url: Option<String>,
    /// Raft term.
    pub controller_term: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
}

/// A member of the quorum in the cluster document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetadataNode {
    /// Node id.
    pub id: u32,
    /// REST address, once the peer has told it.
    pub url: Option<String>,
    /// Whether it is the controller.
    pub is_leader: bool,
    /// Heard of within the last 10 s; null where this node cannot know.
    pub healthy: Option<bool>,
    /// When it was last heard of, in milliseconds since 1970-01-01 UTC; null where this node cannot know.
    pub last_seen: Option<i64>,
}
