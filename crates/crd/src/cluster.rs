//! The object that a user applies: one metadata quorum.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::pod::PodSettings;
use crate::policy::{NetworkPolicySettings, PodDisruptionBudgetSettings, UpdateStrategy};
use crate::raft::Raft;
use crate::service::Service;
use crate::status::DmqMetadataClusterStatus;
use crate::storage::Storage;
use crate::store::Store;

/// A DMQ metadata quorum: 1, 3, 5 or 7 nodes that elect a controller by Raft and keep the metadata of a DMQ cluster.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "dmq.io",
    version = "v1alpha1",
    kind = "DmqMetadataCluster",
    plural = "dmqmetadataclusters",
    singular = "dmqmetadatacluster",
    shortname = "dmqmc",
    category = "dmq",
    namespaced,
    status = "DmqMetadataClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader.podName"),
    printcolumn(name = "Term", type_ = "integer", format = "int64", json_path = ".status.term"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Voters", type_ = "integer", json_path = ".status.voters", priority = 1),
    printcolumn(name = "Tolerates", type_ = "integer", json_path = ".status.failuresTolerated", priority = 1),
    printcolumn(name = "Updated", type_ = "integer", json_path = ".status.updatedReplicas", priority = 1),
    printcolumn(name = "Operation", type_ = "string", json_path = ".status.operation.type", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "ClusterId", type_ = "string", json_path = ".status.clusterId", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("metadata.name must not be longer than 40 characters: the names of its Services and pods are built from it")
)]
#[serde(rename_all = "camelCase")]
pub struct DmqMetadataClusterSpec {
    /// Number of voters: 1, 3, 5 or 7. The number of a running quorum cannot be changed yet: the operator refuses it with the condition `Stalled` and leaves the quorum as it is.
    #[serde(default = "three")]
    #[x_kube(validation = Rule::new("self in [1, 3, 5, 7]").message("replicas must be 1, 3, 5 or 7: an even number of voters tolerates no more failures than one less"))]
    pub replicas: i32,
    // H4 completes the fields' docs and rules.
    /// Name of the DMQ cluster that brokers keep; 1 to 64 of A-Z a-z 0-9 _ -. Default: made from the object's uid. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// Release of DMQ Metadata, as major.minor.patch. Default: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the image of the nodes comes from.
    #[serde(default)]
    pub image: Image,
    /// DNS domain of the Kubernetes cluster. Default: read from the operator's resolv.conf. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_domain: Option<String>,
    /// Observe and report, change nothing.
    #[serde(default)]
    pub suspend: bool,
    /// Volume of the Raft log.
    #[serde(default)]
    pub storage: Storage,
    /// The database that each node copies its state to.
    #[serde(default)]
    pub store: Store,
    /// Consensus timing.
    #[serde(default)]
    pub raft: Raft,
    /// Services and ports.
    #[serde(default)]
    pub service: Service,
    /// Further configuration keys of the nodes, such as `broker.session-timeout-ms` or `log.level`. A change restarts the nodes one by one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// How pods are replaced when their template changes.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,
    /// Protection from voluntary evictions.
    #[serde(default)]
    pub pod_disruption_budget: PodDisruptionBudgetSettings,
    /// Who may connect to the pods.
    #[serde(default)]
    pub network_policy: NetworkPolicySettings,
    /// Scheduling, resources and metadata of the pods.
    #[serde(default)]
    pub pod: PodSettings,
}

fn three() -> i32 {
    3
}
