//! Timing and limits of consensus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Timing and limits of consensus. A change restarts the nodes one by one.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Raft {
    /// A follower that hears nothing for longer campaigns; randomized in [t, 2t). At least three heartbeats.
    pub election_timeout_ms: i32,
    /// Interval of the controller's heartbeats.
    pub heartbeat_interval_ms: i32,
    /// Growth of the log that triggers a snapshot, in MiB.
    pub snapshot_megabytes: i32,
    /// How long a transfer of leadership may take before a roll gives up on it.
    pub transfer_timeout_seconds: i32,
}

impl Default for Raft {
    fn default() -> Self {
        Self {
            election_timeout_ms: 1000,
            heartbeat_interval_ms: 150,
            snapshot_megabytes: 20,
            transfer_timeout_seconds: 10,
        }
    }
}
