//! Feature level and state hash.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer of `GET` and `PUT /features`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeaturesResponse {
    /// Version of command semantics, encodings and peer messages in force.
    pub feature_level: u32,
    /// Lowest level that this node's program reads and writes.
    pub supported_min: u32,
    /// Highest one.
    pub supported_max: u32,
}

/// Body of `PUT /features`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetFeaturesRequest {
    /// The new level: higher than the one in force and supported by all voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub feature_level: Option<u32>,
}

/// Answer of `GET /state-hash`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateHashResponse {
    /// The index at which the hash was taken.
    pub index: u64,
    /// 128 bits as 32 hex digits. Equal on all nodes at one index.
    pub state_hash: String,
    /// The feature level, which defines the bytes that are hashed.
    pub feature_level: u32,
    /// The node that answers.
    pub node_id: u32,
}
