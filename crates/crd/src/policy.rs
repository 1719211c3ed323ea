//! How pods are replaced, and what protects them.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Says, rule};

/// How pods are replaced when their template changes: one at a time, the controller's last.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules)]
pub struct UpdateStrategy {
    /// How long a replaced pod must be Ready before the next one goes, in seconds; 0 to 3600.
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: i32,
    /// When a replaced pod fails or does not become Ready in time, stop and call for a human with the condition Stalled. If false,
    /// the roll waits for the pod as long as it takes. A second pod is never taken down before the first one is back.
    pub pause_on_failure: bool,
    /// How long a replaced pod may take to become Ready, in seconds; 10 to 86400, and more than minReadySeconds.
    #[schemars(range(min = 10, max = 86_400))]
    pub progress_deadline_seconds: i32,
}

fn rules(schema: &mut Schema) {
    rule(
        schema,
        "progressDeadlineSeconds",
        "self.progressDeadlineSeconds > self.minReadySeconds",
        Says::Invalid("progressDeadlineSeconds must be greater than minReadySeconds"),
    );
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

/// The PodDisruptionBudget: voluntary evictions, such as of `kubectl drain`, take at most as many pods as the quorum can lose. There is
/// none with replicas 1, since it would only block drains.
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

/// NetworkPolicies of the pods: the Raft port is for the members only, the REST port for `clients`, the port of health and metrics for
/// `prometheus`. The operator and the members always get in.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySettings {
    /// Create them.
    pub enabled: bool,
    /// Who may use the REST port; at most 32 peers as in a NetworkPolicy. Empty: everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub clients: Vec<NetworkPolicyPeer>,
    /// Who may read health and metrics; at most 32 peers as in a NetworkPolicy. Empty: everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
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
