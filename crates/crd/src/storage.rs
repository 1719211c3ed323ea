//! The volumes.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Says, immutable_optional, rule};

/// The volume of the Raft log, one for each node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = volume_rules)]
pub struct Storage {
    /// Size as a Kubernetes quantity, such as 10Gi; at least 256Mi. It may not shrink. It may grow, but the operator does not
    /// resize existing volumes yet: it says so in the condition `Stalled` (`ResizeRejected`) and changes nothing.
    #[schemars(length(min = 1, max = 32))]
    pub size: String,
    /// StorageClass of the volume; absent: the default class of the Kubernetes cluster. Cannot be changed, added or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What becomes of the volumes, those of the databases included.
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
#[schemars(transform = volume_rules)]
pub struct StorageRequest {
    /// Size as a Kubernetes quantity, such as 10Gi; at least 256Mi. It may not shrink. It may grow, but the operator does not
    /// resize existing volumes yet: it says so in the condition `Stalled` (`ResizeRejected`) and changes nothing.
    #[schemars(length(min = 1, max = 32))]
    pub size: String,
    /// StorageClass of the volume; absent: the default class of the Kubernetes cluster. Cannot be changed, added or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
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

fn volume_rules(schema: &mut Schema) {
    rule(
        schema,
        "size",
        "isQuantity(self.size)",
        Says::Must("be a quantity, such as 10Gi or 500Mi"),
    );
    rule(
        schema,
        "size",
        "!isQuantity(self.size) || quantity(self.size).compareTo(quantity('256Mi')) >= 0",
        Says::Must("be at least 256Mi"),
    );
    rule(
        schema,
        "size",
        "!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
        Says::Forbidden("size may not shrink: volumes cannot be made smaller"),
    );
    immutable_optional(
        schema,
        "storageClassName",
        "storageClassName cannot be changed, added or removed: a volume keeps the class that it was made with",
    );
}

/// What becomes of the nodes' volumes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionPolicy {
    /// When the object is deleted. `Retain` keeps the volumes: an object of the same name and namespace brings the quorum back with
    /// its data. `Delete` deletes them with all data.
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
