//! Query parameters.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Consistency {
    /// The node's own state, at once.
    #[default]
    Local,
    /// Everything that was acknowledged before the read began, confirmed by the controller.
    Linearizable,
}

/// What a write waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Ack {
    /// Committed and applied.
    Applied,
    /// Also in the controller's database: at most 1 s longer, and not while that is known to be down.
    #[default]
    Projected,
}

/// Parameters of every read of metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ReadQuery {
    /// How fresh the answer has to be. Default: local.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub consistency: Option<Consistency>,
    /// Wait until this index is applied here: reads one's own write on any node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_index: Option<u64>,
    /// Longest wait in milliseconds. Range: 1 to 60000. Default: 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Parameters of the list of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ListTopicsQuery {
    /// How fresh the answer has to be. Default: local.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub consistency: Option<Consistency>,
    /// Wait until this index is applied here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_index: Option<u64>,
    /// Longest wait in milliseconds. Range: 1 to 60000. Default: 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Most topics in the answer. Range: 1 to 1000. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only topics behind this name: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only topics whose names begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Parameters of every write of metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// What the answer waits for. Default: projected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub ack: Option<Ack>,
    /// After this the answer is 504 with an unknown outcome. Range: 1 to 60000. Default: 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Parameters of writes that can be tried without effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TryWriteQuery {
    /// What the answer waits for. Default: projected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub ack: Option<Ack>,
    /// After this the answer is 504 with an unknown outcome. Range: 1 to 60000. Default: 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Answer as if it were done, on a linearizable view, and do nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_only: Option<bool>,
}

/// Parameters of the event stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Stay connected and stream server-sent events; otherwise the recent history as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// Parameters of the state hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct StateHashQuery {
    /// The index whose hash is wanted; absent: the present one. Waits until it is applied. Kept are the
    /// present index and the latest ones divisible by 1024; others answer 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Longest wait in milliseconds. Range: 1 to 60000. Default: 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Parameters of the probe before a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PreRestartQuery {
    /// The member that is to be stopped. Default: the node that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<u32>,
}

/// Parameters of the probe after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PostRestartQuery {
    /// The index that must be applied here. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}
