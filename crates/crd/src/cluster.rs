//! The object that a user applies: one metadata quorum.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::image::Image;
use crate::pod::PodSettings;
use crate::policy::{NetworkPolicySettings, PodDisruptionBudgetSettings, UpdateStrategy};
use crate::raft::Raft;
use crate::rule::{Says, immutable_optional, rule};
use crate::service::Service;
use crate::status::DmqMetadataClusterStatus;
use crate::storage::Storage;
use crate::store::Store;

/// A DMQ metadata quorum: 1, 3, 5 or 7 nodes that elect a controller by Raft and keep the metadata of a DMQ cluster.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dmq.io",
    version = "v1alpha1",
    kind = "DmqMetadataCluster",
    plural = "dmqmetadataclusters",
    singular = "dmqmetadatacluster",
    shortname = "dmqmc",
    category = "dmq",
    doc = "A DMQ metadata quorum: 1, 3, 5 or 7 nodes that elect a controller by Raft and keep the metadata of a DMQ cluster.",
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
        .message("metadata.name must not be longer than 40 characters: the names of Services and pods are built from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must begin with a letter and hold a-z, 0-9 and - only: Services are named after it")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct DmqMetadataClusterSpec {
    /// Number of nodes, all of them voters: 1, 3, 5 or 7. The number of a running quorum cannot be changed yet: the operator says so in the
    /// condition `Stalled` (`ScaleRejected`) and leaves the quorum as it is.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 7))]
    pub replicas: i32,
    /// Name of the DMQ cluster, which its brokers keep: 1 to 64 of A-Z a-z 0-9 _ -. Default: made from the object's uid. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub cluster_id: Option<String>,
    /// Release of DMQ Metadata as major.minor.patch. Default: the operator's own. It goes up by at most one minor release at a time and
    /// never down, unless the object has the annotation dmq.io/allow-unsafe-upgrade: "true".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub version: Option<String>,
    /// Image of the nodes. Default: the repository that the operator was installed with, and spec.version as tag.
    #[serde(default)]
    pub image: Image,
    /// DNS domain of the Kubernetes cluster, such as cluster.local. Default: as the operator sees it when it first meets this object;
    /// ConfigMap `<name>-identity-1` keeps that. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 96))]
    pub cluster_domain: Option<String>,
    /// The operator observes and reports, and changes nothing: the Service `<name>-controller` does not follow the leader either.
    #[serde(default)]
    pub suspend: bool,
    /// Volume of the Raft log, one for each node.
    #[serde(default)]
    pub storage: Storage,
    /// Where each node keeps a copy of the metadata in SQL, for people and tools: exactly one of `postgres` and `sqlite`. Left out: a
    /// PostgreSQL in each pod. The kind cannot be changed. A node starts, votes and serves without its database.
    #[serde(default)]
    pub store: Store,
    /// Timing and limits of consensus. A change restarts the nodes one by one.
    #[serde(default)]
    pub raft: Raft,
    /// The Services `<name>` (every ready node) and `<name>-controller` (the node that leads), and the ports of the nodes. A name that
    /// is taken, as by an object `meta-controller` beside one named `meta`, is reported as a conflict and left to its owner.
    #[serde(default)]
    pub service: Service,
    /// Further configuration of the nodes, with values as text: log.level, log.format, broker.session-timeout-ms,
    /// dmq.kraft.raft.snapshot-interval-ms, dmq.kraft.raft.kept-entries. A change restarts the nodes one by one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = config::rules)]
    pub config: BTreeMap<String, String>,
    /// How pods are replaced when their template changes: one at a time, the controller's last.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,
    /// The PodDisruptionBudget of the pods.
    #[serde(default)]
    pub pod_disruption_budget: PodDisruptionBudgetSettings,
    /// The NetworkPolicies of the pods.
    #[serde(default)]
    pub network_policy: NetworkPolicySettings,
    /// Scheduling, resources and metadata of the pods. A change restarts the nodes one by one.
    #[serde(default)]
    pub pod: PodSettings,
}

fn rules(schema: &mut Schema) {
    rule(
        schema,
        "replicas",
        "self.replicas in [1, 3, 5, 7]",
        Says::Invalid(
            "replicas must be 1, 3, 5 or 7: an even number of voters tolerates no more failures than one less",
        ),
    );
    rule(
        schema,
        "clusterId",
        "!has(self.clusterId) || self.clusterId.matches('^[A-Za-z0-9_-]+$')",
        Says::Must("be 1 to 64 of A-Z a-z 0-9 _ -"),
    );
    immutable_optional(
        schema,
        "clusterId",
        "clusterId cannot be changed, added or removed: brokers and volumes keep it",
    );
    rule(
        schema,
        "version",
        "!has(self.version) || self.version.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)(-[0-9A-Za-z-]+([.][0-9A-Za-z-]+)*)?$')",
        Says::Must("be major.minor.patch, such as 0.1.0, without v in front"),
    );
    rule(
        schema,
        "clusterDomain",
        "!has(self.clusterDomain) || self.clusterDomain.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
        Says::Must("be a DNS domain without dots at its ends, such as cluster.local"),
    );
    immutable_optional(
        schema,
        "clusterDomain",
        "clusterDomain cannot be changed, added or removed: the members reach each other by it",
    );
}

impl Default for DmqMetadataClusterSpec {
    fn default() -> Self {
        Self {
            replicas: three(),
            cluster_id: None,
            version: None,
            image: Image::default(),
            cluster_domain: None,
            suspend: false,
            storage: Storage::default(),
            store: Store::default(),
            raft: Raft::default(),
            service: Service::default(),
            config: BTreeMap::new(),
            update_strategy: UpdateStrategy::default(),
            pod_disruption_budget: PodDisruptionBudgetSettings::default(),
            network_policy: NetworkPolicySettings::default(),
            pod: PodSettings::default(),
        }
    }
}

fn three() -> i32 {
    3
}

impl DmqMetadataCluster {
    /// Name of the object, from which all children's names are built.
    pub fn instance(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Namespace of the object; empty only on one that was never stored.
    pub fn in_namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// uid of the object; empty only on one that was never stored.
    pub fn object_uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Generation of the spec; 0 only on an object that was never stored.
    pub fn spec_generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// An annotation of the object.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    /// `kubectl delete` was called.
    pub fn is_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
