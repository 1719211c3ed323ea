//! What the operator reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::map_list;

/// What the operator saw last. Written only when something in it differs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DmqMetadataClusterStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for people; programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Name of the DMQ cluster: a copy for people, the latch is the ConfigMap `<name>-identity-<incarnation>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
    /// Raft term of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// Log index of the committed configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership_index: Option<i64>,
    /// Number of voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<i32>,
    /// Number of members without a vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learners: Option<i32>,
    /// Voters that a decision needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum_size: Option<i32>,
    /// Voters that are up and within the lag limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_voters: Option<i32>,
    /// Voters that may fail now without a loss of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_tolerated: Option<i32>,
    /// Number of pods.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that are Ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Pods on the newest revision.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Lowest version that a member runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version that the spec asks for, while it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,
    /// Revision of the pods before a roll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// Revision that pods are brought to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_revision: Option<String>,
    /// The members, pods without a membership included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = members)]
    pub members: Vec<Member>,
    /// The single disruptive operation, written before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// `Ready`, `Available`, `QuorumHealthy`, `UpToDate`, `ProjectionHealthy`, `Paused`; `Reconciling` and `Stalled` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = conditions)]
    pub conditions: Vec<Condition>,
}

/// A node that lost its data comes back under the same id as another member, so both make the key.
fn members(schema: &mut Schema) {
    map_list(schema, &["id", "directoryId"]);
}

fn conditions(schema: &mut Schema) {
    map_list(schema, &["type"]);
}

/// One word for people.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing exists yet.
    #[default]
    Pending,
    /// The quorum is being made.
    Bootstrapping,
    /// All is well.
    Running,
    /// Serving, with members missing.
    Degraded,
    /// Pods are being replaced.
    Updating,
    /// No controller at the moment.
    NoLeader,
    /// A majority is gone.
    QuorumLost,
    /// The spec says `suspend`.
    Suspended,
    /// The object is being deleted.
    Deleting,
    /// A human is needed; the condition `Stalled` says why.
    Failed,
}

/// The controller.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// Node id.
    pub id: i32,
    /// Its pod.
    pub pod_name: String,
    /// REST address inside of the Kubernetes cluster.
    pub endpoint: String,
    /// When the operator first saw it lead in this term.
    pub since: Time,
}

/// A member, or a pod that is none.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Node id.
    pub id: i32,
    /// Its data directory; empty if the pod never answered.
    #[serde(default)]
    pub directory_id: String,
    /// Its pod.
    pub pod_name: String,
    /// Part in the quorum.
    pub role: Role,
    /// The pod is Ready.
    #[serde(default)]
    pub ready: bool,
    /// Up and within the lag limit.
    #[serde(default)]
    pub healthy: bool,
    /// Version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Revision of its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Part in the quorum.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The controller.
    Leader,
    /// A voter that follows.
    Follower,
    /// Replicates without a vote.
    Learner,
    /// Formatted, without a configuration.
    Uninitialized,
    /// Not a member, or never heard of.
    Unknown,
}

/// The single disruptive operation: a lock and a note. It resumes from what is observed, never from this.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What is done.
    #[serde(rename = "type")]
    pub type_: OperationType,
    /// Pod that it is done to.
    pub pod_name: String,
    /// uid of that pod; a restart ends when its successor has caught up or failed.
    pub pod_uid: String,
    /// Why.
    pub reason: String,
    /// When it was written.
    pub started_at: Time,
}

/// What is done.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationType {
    /// A pod is replaced.
    Restart,
    /// Leadership is moved away from a pod that is to be replaced.
    TransferLeadership,
}
