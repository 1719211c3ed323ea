//! The quorum: members, events, snapshots, probes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::controller::NodeState;

/// Answer of `GET /quorum`: the node's own view; on the controller with the progress of every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumResponse {
    /// The DMQ cluster.
    pub cluster_id: String,
    /// The log history, `1` for the first; as `format --incarnation` takes it.
    pub incarnation: String,
    /// The node that was asked.
    pub node_id: u32,
    /// Its data directory.
    pub directory_id: Uuid,
    /// What it is doing.
    pub state: NodeState,
    /// Node id of the controller.
    pub leader_id: Option<u32>,
    /// REST address of the controller.
    pub leader_url: Option<String>,
    /// Raft term.
    pub term: u64,
    /// Kafka's high watermark: index up to which a majority has the log.
    pub commit_index: u64,
    /// Last index of the node's log.
    pub last_index: u64,
    /// Last durable index of the node's log.
    pub durable_index: u64,
    /// Index of the node's state.
    pub applied_index: u64,
    /// Index before the first entry that the node's log still holds.
    pub log_start_index: u64,
    /// The node's database.
    pub projection: ProjectionResponse,
    /// Index of the configuration in force; 0 while uninitialised.
    pub membership_index: u64,
    /// Index of the newest committed configuration.
    pub committed_membership_index: u64,
    /// Members that vote.
    pub voters: Vec<MemberResponse>,
    /// While one voter set replaces another: the voters that are being replaced, whose majority must agree
    /// to everything as well. Null otherwise.
    pub outgoing_voters: Option<Vec<MemberResponse>>,
    /// Members that only replicate.
    pub observers: Vec<MemberResponse>,
    /// The largest `lag` of a voter; null unless the node leads.
    pub max_follower_lag: Option<u64>,
    /// The largest `lastCaughtUpMs` of a voter; null unless the node leads and all were caught up once.
    pub max_follower_lag_time_ms: Option<u64>,
    /// Target of a running leadership transfer.
    pub transferring_to: Option<u32>,
    /// The node's state has reached what was committed when it started.
    pub ready: bool,
    /// The node was told to stop.
    pub stopping: bool,
    /// Standing alarms.
    pub alarms: Vec<String>,
}

/// A member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberResponse {
    /// Node id.
    pub id: u32,
    /// Its data directory.
    pub directory_id: Uuid,
    /// `host:port` of its peer listener, from the address book.
    pub peer_address: Option<String>,
    /// REST address, once it has told it.
    pub url: Option<String>,
    /// Highest index known to be durable there; null unless the node that was asked leads.
    pub matched_index: Option<u64>,
    /// Entries that it lacks.
    pub lag: Option<u64>,
    /// Milliseconds since it last answered.
    pub last_contact_ms: Option<u64>,
    /// Milliseconds since it last had everything that the leader had.
    pub last_caught_up_ms: Option<u64>,
    /// It is being sent a snapshot.
    pub receiving_snapshot: Option<bool>,
    /// It announced that it is about to stop.
    pub stopping: Option<bool>,
    /// This observer may be made a voter: it answers and lacks next to nothing. Null for voters, and unless
    /// the node that was asked leads.
    pub caught_up: Option<bool>,
}

/// The node's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionResponse {
    /// Last index in the database.
    pub index: u64,
    /// Entries that it lacks.
    pub lag: u64,
    /// It is up, and neither rebuilding nor stopped.
    pub healthy: bool,
    /// It stopped for good: somebody has to look.
    pub stopped: bool,
}

/// Body of `POST /quorum:initialize`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InitializeRequest {
    /// Must be that of every voter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub cluster_id: Option<String>,
    /// Must be that of every voter, as `GET /quorum` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true, example = "1")]
    pub incarnation: Option<String>,
    /// 1 to 7 voters, better an odd number.
    #[serde(
        default,
        deserialize_with = "crate::object::optional_list",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(required = true)]
    pub voters: Option<Vec<VoterBody>>,
}

/// A voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VoterBody {
    /// Node id.
    pub id: u32,
    /// Its data directory.
    pub directory_id: Uuid,
}

/// Answer of `POST /quorum:initialize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// Index of the first configuration.
    pub membership_index: u64,
    /// Its voters.
    pub voters: Vec<VoterBody>,
}

/// Body of `POST /quorum/leader:transfer`; may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferRequest {
    /// Node id of the next controller; absent: the most caught-up voter that is not stopping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Refuse if the term is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_term: Option<u64>,
}

/// Answer of `POST /quorum/leader:transfer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransferResponse {
    /// Node id of the controller now.
    pub leader_id: u32,
    /// Its term.
    pub term: u64,
}

/// One event: a node's own view of the quorum after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuorumEvent {
    /// What the node is doing.
    pub state: NodeState,
    /// Raft term.
    pub term: u64,
    /// Node id of the controller.
    pub leader_id: Option<u32>,
    /// Index of the configuration in force.
    pub membership_index: u64,
    /// The log history.
    pub incarnation: String,
    /// The node was told to stop.
    pub stopping: bool,
}

/// An event with its place in the node's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// Counts from 1 since the start of the process; the `id` of the streamed event.
    pub sequence: u64,
    /// Milliseconds since 1970-01-01 UTC, by this node's clock.
    pub timestamp: i64,
    /// What was seen.
    #[serde(flatten)]
    pub event: QuorumEvent,
}

/// Answer of `GET /quorum/events` without `follow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventHistory {
    /// The latest events, oldest first.
    pub events: Vec<RecordedEvent>,
}

/// A durable snapshot of the node that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotResponse {
    /// Last index that it covers.
    pub index: u64,
    /// Term of the entry there.
    pub term: u64,
    /// Size of the file.
    pub size_bytes: u64,
    /// State hash, 32 hex digits.
    pub state_hash: String,
    /// Feature level of the state.
    pub feature_level: u32,
}

/// Answer of `GET /quorum/snapshots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotList {
    /// Newest first.
    pub snapshots: Vec<SnapshotResponse>,
}

/// Answer of `GET /quorum/probe/pre-restart`: may this member be stopped? Only the controller knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreRestartResponse {
    /// The member that was asked about.
    pub node_id: u32,
    /// A majority that is caught up stays without it.
    pub safe: bool,
    /// Why not; null if safe.
    pub reason: Option<String>,
    /// It is the controller: transfer leadership first.
    pub is_leader: bool,
    /// Voters that are caught up and not stopping, without the member: each could take over.
    pub successors: Vec<u32>,
    /// Voters that must stay.
    pub majority: u32,
    /// Commit index now, for the probe after the restart.
    pub commit_index: u64,
}

/// Answer of `GET /quorum/probe/post-restart`: has this node caught up again?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostRestartResponse {
    /// The node that was asked.
    pub node_id: u32,
    /// It knows a leader, is ready and has applied the index.
    pub caught_up: bool,
    /// Why not; null if caught up.
    pub reason: Option<String>,
    /// Index of its state.
    pub applied_index: u64,
    /// Node id of the controller.
    pub leader_id: Option<u32>,
    /// Raft term.
    pub term: u64,
}

/// Answer of `/livez` and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthResponse {
    /// Always `UP`: failures are problem documents.
    pub status: String,
}
