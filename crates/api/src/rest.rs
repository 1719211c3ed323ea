//! The JSON shapes of the REST interface: requests refuse unknown fields, `null` counts as absent, ids that
//! may be missing are printed as `null`.

pub mod brokers;
pub mod controller;
pub mod features;
pub mod membership;
pub mod query;
pub mod quorum;
pub mod topics;

/// Prefix of all routes but health and metrics.
pub const PREFIX: &str = "/api/v1/metadata";

/// Headers that the interface defines.
pub mod header {
    /// Node id of the controller, on a non-controller's 503.
    pub const CONTROLLER_LEADER: &str = "x-controller-leader";
    /// Index of the metadata log that the answer shows or made.
    pub const METADATA_INDEX: &str = "x-metadata-index";
    /// Term of the entry at that index.
    pub const METADATA_TERM: &str = "x-metadata-term";
    /// How far the controller's database was when a write was answered.
    pub const METADATA_PROJECTED_INDEX: &str = "x-metadata-projected-index";
    /// The client's key that makes a repeated write take effect once.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
}
