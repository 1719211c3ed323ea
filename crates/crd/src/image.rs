//! The container image of the nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `<repository>:<tag>`, or `<repository>@<digest>`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Repository without tag. Default: the one that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Tag. Default: `spec.version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// `sha256:...`; goes before the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the kubelet pulls it.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Names of Secrets with registry credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

/// When the kubelet pulls an image.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// If the node lacks it.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}
