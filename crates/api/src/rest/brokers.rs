//! Brokers and their heartbeats.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Body of `POST /brokers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterBrokerRequest {
    /// Number of the broker. Range: 0 to 2147483647.
    #[serde(default, alias = "brokerId", skip_serializing_if = "Option::is_none")]
    #[schema(required = true, example = 101)]
    pub id: Option<u32>,
    /// Host that clients connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true, example = "localhost")]
    pub host: Option<String>,
    /// Port that clients connect to. Range: 1 to 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true, example = 8081)]
    pub port: Option<u16>,
    /// Failure domain for placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// UUID of this run of the broker's process; brokers without one are told apart by address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation_id: Option<Uuid>,
    /// The cluster that the broker belongs to; refused if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerResponse {
    /// Number of the broker.
    pub id: u32,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// Failure domain for placement.
    pub rack: Option<String>,
    /// `ONLINE`, or `OFFLINE` while fenced.
    pub status: BrokerStatus,
    /// `host:port`.
    pub address: String,
    /// Milliseconds since 1970-01-01 UTC, by the clock of the controller of that time.
    pub registered_at: i64,
    /// Fencing number of the registration.
    pub broker_epoch: u64,
    /// UUID of the run of the process that registered, if it named one.
    pub incarnation_id: Option<Uuid>,
    /// A fenced broker leads nothing and joins no ISR.
    pub fenced: bool,
}

/// Whether a broker serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BrokerStatus {
    /// Unfenced.
    Online,
    /// Fenced.
    Offline,
}

/// Body of `POST /brokers/{id}/heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// Epoch of the registration, as `POST /brokers` answered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub broker_epoch: Option<u64>,
    /// How far the broker has read the metadata; absent counts as caught up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_metadata_index: Option<u64>,
    /// The broker asks to be fenced, or to stay so. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want_fence: Option<bool>,
    /// The broker asks for a controlled shutdown. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want_shut_down: Option<bool>,
}

/// What the controller tells the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    /// The broker has read at least its own registration.
    pub is_caught_up: bool,
    /// The broker may not lead partitions.
    pub is_fenced: bool,
    /// The broker leads nothing any more and may stop.
    pub should_shut_down: bool,
}

/// The answer to `POST /heartbeat/{id}`, which has no body: as brokers of the Java system read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlainHeartbeatResponse {
    /// Always true: failures are problem documents.
    pub success: bool,
    /// The controller's metadata index; a broker that is behind pulls `/cluster`.
    pub metadata_version: u64,
    /// Text for people.
    pub message: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp: i64,
}
