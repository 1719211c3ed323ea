//! Timing and limits of consensus.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::rule::{Says, rule};

/// Timing and limits of consensus. A change restarts the nodes one by one.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = rules)]
pub struct Raft {
    /// A node that hears nothing from the controller for this long, in milliseconds, campaigns; randomized in [t, 2t).
    /// 30 to 600000, and at least 3 times heartbeatIntervalMs.
    #[schemars(range(min = 30, max = 600_000))]
    pub election_timeout_ms: i32,
    /// Interval of the controller's heartbeats in milliseconds, 10 to 1000: a member that was silent for 2 s counts as gone.
    #[schemars(range(min = 10))]
    pub heartbeat_interval_ms: i32,
    /// A node writes a snapshot when its log has grown by this many MiB; 1 to 1048576.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub snapshot_megabytes: i32,
    /// How long a hand-over of leadership may take, in seconds, before the operator goes on without it; 1 to 10.
    #[schemars(range(min = 1))]
    pub transfer_timeout_seconds: i32,
}

fn rules(schema: &mut Schema) {
    rule(
        schema,
        "electionTimeoutMs",
        "self.electionTimeoutMs >= 3 * self.heartbeatIntervalMs",
        Says::Invalid(
            "electionTimeoutMs must be at least 3 times heartbeatIntervalMs: a shorter one ends healthy leaders",
        ),
    );
    // Nodes and operator call a member gone that was silent for two seconds, so two heartbeats must fit in there.
    rule(
        schema,
        "heartbeatIntervalMs",
        "self.heartbeatIntervalMs <= 1000",
        Says::Invalid(
            "heartbeatIntervalMs must be at most 1000: a member that was silent for 2 s counts as gone",
        ),
    );
    // A request to move leadership is given up after 12 s, whatever stands here.
    rule(
        schema,
        "transferTimeoutSeconds",
        "self.transferTimeoutSeconds <= 10",
        Says::Invalid(
            "transferTimeoutSeconds must be at most 10: a request to hand over is not waited for any longer",
        ),
    );
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
