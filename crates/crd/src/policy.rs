//! How pods are replaced, and what protects them.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How pods are replaced when their template changes: one at a time, the controller last.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateStrategy {
    /// How long a replaced pod must be Ready before the next one goes.
    pub min_ready_seconds: i32,
    /// Stop the roll when a replaced pod does not become Ready, until the template changes again. `false`: go on while the quorum holds without it.
    pub pause_on_failure: bool,
    /// How long a replaced pod may take to become Ready.
    pub progress_deadline_seconds: i32,
}

impl Default for UpdateStrategy {
    fn default() -> Self {
        Self {
            min_ready_seconds: 5,
            pause_on_failure: true,
            progress_deadline_seconds: 300,
        }
    }
}

/// The PodDisruptionBudget: as many pods may be evicted as the quorum can lose. None for `replicas: 1`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodDisruptionBudgetSettings {
    /// Create it.
    pub enabled: bool,
}

impl Default for PodDisruptionBudgetSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Two NetworkPolicies: the Raft port is for the members only, the REST port for `clients`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySettings {
    /// Create them.
    pub enabled: bool,
    /// Who may use the REST port beside the members and the operator. Empty: everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<NetworkPolicyPeer>,
    /// Who may read metrics beside the operator. Empty: everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prometheus: Vec<NetworkPolicyPeer>,
}

impl Default for NetworkPolicySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            clients: Vec::new(),
            prometheus: Vec::new(),
        }
    }
}
