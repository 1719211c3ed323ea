//! How the quorum is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Services `<name>` and `<name>-controller`, and the ports of the nodes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Type of the two client Services.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the two client Services.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// REST port. Cannot be changed.
    pub rest_port: u16,
    /// Port of the Raft peers. Cannot be changed.
    pub raft_port: u16,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            type_: ServiceType::default(),
            annotations: BTreeMap::new(),
            rest_port: 8080,
            raft_port: 9093,
        }
    }
}

/// Type of a Service.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// An address inside of the Kubernetes cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// A port of every Kubernetes node.
    NodePort,
    /// A load balancer of the cloud provider.
    LoadBalancer,
}
