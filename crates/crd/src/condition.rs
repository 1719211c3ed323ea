//! The conditions: one word each, with the reasons that they carry.

/// Types of conditions. All but `Reconciling` and `Stalled` are always present; those two only while `True` (kstatus).
pub mod kind {
    /// This generation's spec is fully in place, the quorum is healthy, all members are Ready.
    pub const READY: &str = "Ready";
    /// A leader exists that a quorum read confirmed; independent of rollouts.
    pub const AVAILABLE: &str = "Available";
    /// Every voter is up and within the lag limit.
    pub const QUORUM_HEALTHY: &str = "QuorumHealthy";
    /// Every pod is on the newest revision and version.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// Every member's database is written and within the lag limit; never part of `Ready`.
    pub const PROJECTION_HEALTHY: &str = "ProjectionHealthy";
    /// `suspend` is set; the status is still updated.
    pub const PAUSED: &str = "Paused";
    /// Work is in progress; present only when `True`.
    pub const RECONCILING: &str = "Reconciling";
    /// A human is needed; present only when `True`.
    pub const STALLED: &str = "Stalled";
}
