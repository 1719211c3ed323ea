//! How the quorum is reached.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Says, annotation_syntax, bounded_map, rule};

/// The Services `<name>` (every ready node) and `<name>-controller` (the node that leads), and the ports of the nodes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules)]
pub struct Service {
    /// Type of the two Services.
    #[serde(rename = "type")]
    pub type_: ServiceType,
    /// Annotations of the two Services, for example for a load balancer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = annotations)]
    pub annotations: BTreeMap<String, String>,
    /// Port of the REST API, 1 to 65535 without 8090 (health and metrics). Cannot be changed.
    #[schemars(range(min = 1, max = 65_535))]
    pub rest_port: u16,
    /// Port on which the nodes talk to each other, 1 to 65535 without 8090 (health and metrics). Cannot be changed.
    #[schemars(range(min = 1, max = 65_535))]
    pub raft_port: u16,
}

fn rules(schema: &mut Schema) {
    rule(
        schema,
        "raftPort",
        "self.restPort != self.raftPort",
        Says::Invalid("restPort and raftPort must differ"),
    );
    for (field, expression, message) in [
        (
            "restPort",
            "self.restPort != 8090",
            "restPort must not be 8090: the nodes' health and metrics are there",
        ),
        (
            "raftPort",
            "self.raftPort != 8090",
            "raftPort must not be 8090: the nodes' health and metrics are there",
        ),
    ] {
        rule(schema, field, expression, Says::Invalid(message));
    }
    for (field, expression, message) in [
        (
            "restPort",
            "self.restPort == oldSelf.restPort",
            "restPort cannot be changed: clients and members know it",
        ),
        (
            "raftPort",
            "self.raftPort == oldSelf.raftPort",
            "raftPort cannot be changed: the members reach each other by it",
        ),
    ] {
        rule(schema, field, expression, Says::Forbidden(message));
    }
}

fn annotations(schema: &mut Schema) {
    bounded_map::<32, 4096>(schema);
    annotation_syntax(schema);
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

/// Type of a Service: `ClusterIP` an address inside of the Kubernetes cluster, `NodePort` a port of every Kubernetes node,
/// `LoadBalancer` a load balancer of the cloud provider.
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
