//! The volumes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The volume of the Raft log, one for each node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// Size as a Kubernetes quantity. May not shrink; growing a running quorum's volumes is refused by the operator for now.
    pub size: String,
    /// StorageClass; default: the default class of the Kubernetes cluster. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// What becomes of the claims.
    pub retention_policy: RetentionPolicy,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            size: "10Gi".to_owned(),
            storage_class_name: None,
            retention_policy: RetentionPolicy::default(),
        }
    }
}

/// The volume of a database, one for each node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageRequest {
    /// Size as a Kubernetes quantity. May not shrink.
    pub size: String,
    /// StorageClass; default: the default class of the Kubernetes cluster. Cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

impl Default for StorageRequest {
    fn default() -> Self {
        Self {
            size: "10Gi".to_owned(),
            storage_class_name: None,
        }
    }
}

/// What becomes of a node's claims.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionPolicy {
    /// When the object is deleted. `Retain`: an object of the same name brings the quorum back with its data.
    pub when_deleted: Retention,
}

/// Keep or delete.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// Keep them.
    #[default]
    Retain,
    /// Delete them.
    Delete,
}
