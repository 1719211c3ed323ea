//! The container image of the nodes.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Says, rule, set_list};

/// Image of the nodes: `<repository>:<tag>`, or `<repository>@<digest>` if there is a digest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct Image {
    /// Repository without tag, such as ghcr.io/dmq-io/dmq-metadata. Default: the one that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub repository: Option<String>,
    /// Tag. Default: spec.version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tag: Option<String>,
    /// Digest, as sha256: and 64 hexadecimal digits; it is used in place of the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub digest: Option<String>,
    /// When the image is pulled, the sidecar's too.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Names of Secrets of the same namespace with credentials for the registry; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)), transform = set_list)]
    pub pull_secrets: Vec<String>,
}

/// Host with optional port, then path components.
pub(crate) const REPOSITORY: &str =
    "[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*";

fn rules(schema: &mut Schema) {
    rule(
        schema,
        "repository",
        format!("!has(self.repository) || self.repository.matches('^{REPOSITORY}$')"),
        Says::Must(
            "be an image name without tag or digest, such as ghcr.io/dmq-io/dmq-metadata; those have fields of their own",
        ),
    );
    rule(
        schema,
        "tag",
        "!has(self.tag) || self.tag.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$')",
        Says::Must("be 1 to 128 of A-Z a-z 0-9 _ . - and not begin with . or -"),
    );
    rule(
        schema,
        "digest",
        "!has(self.digest) || self.digest.matches('^sha256:[a-f0-9]{64}$')",
        Says::Must("be sha256: and 64 hexadecimal digits"),
    );
}

/// When an image is pulled: `Always` at every start of a pod, `IfNotPresent` if the Kubernetes node lacks it, `Never`.
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
