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

/// Reasons of conditions, in one place: scripts and alerts compare them, so none is renamed.
pub mod reason {
    /// All is as it should be.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// Nobody has looked yet; with the message of [`super::PENDING_MESSAGE`] also the default of the CRD.
    pub const PENDING: &str = "Pending";
    /// The quorum is being made.
    pub const BOOTSTRAPPING: &str = "Bootstrapping";
    /// Children of a new generation are being written.
    pub const APPLYING: &str = "Applying";
    /// A confirmed leader exists.
    pub const LEADER_CONFIRMED: &str = "LeaderConfirmed";
    /// No confirmed leader, for now.
    pub const NO_LEADER: &str = "NoLeader";
    /// A majority of voters is gone.
    pub const QUORUM_LOST: &str = "QuorumLost";
    /// The data of an existing quorum is gone.
    pub const DATA_LOST: &str = "DataLost";
    /// One member came back without its data, or with other data.
    pub const MEMBER_DATA_LOST: &str = "MemberDataLost";
    /// Members are down or behind, and the quorum serves.
    pub const MEMBERS_UNHEALTHY: &str = "MembersUnhealthy";
    /// Pods are not Ready yet.
    pub const PODS_NOT_READY: &str = "PodsNotReady";
    /// Pods are being replaced.
    pub const ROLLING_UPDATE: &str = "RollingUpdate";
    /// A roll stopped after a failure.
    pub const ROLL_PAUSED: &str = "RollPaused";
    /// A pod that is not outdated does not run, and a roll waits for it.
    pub const POD_STUCK: &str = "PodStuck";
    /// `suspend` is set.
    pub const SUSPENDED: &str = "Suspended";
    /// `suspend` is not set.
    pub const NOT_SUSPENDED: &str = "NotSuspended";
    /// The object is being deleted.
    pub const DELETING: &str = "Deleting";
    /// The spec breaks a rule that the API server could not check.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// A Secret that the spec names is missing or lacks a key.
    pub const MISSING_SECRET: &str = "MissingSecret";
    /// A StorageClass that the spec names does not exist.
    pub const MISSING_STORAGE_CLASS: &str = "MissingStorageClass";
    /// A child's name is taken by somebody else's object.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// Another number of replicas was asked for.
    pub const SCALE_REJECTED: &str = "ScaleRejected";
    /// Another size of volumes was asked for.
    pub const RESIZE_REJECTED: &str = "ResizeRejected";
    /// An older version, or one that is too new, was asked for.
    pub const UPGRADE_REJECTED: &str = "UpgradeRejected";
    /// A database is down, behind or being filled again.
    pub const PROJECTION_BEHIND: &str = "ProjectionBehind";
    /// Members did not answer, so nothing can be said.
    pub const UNKNOWN: &str = "Unknown";
}

/// Message of `Ready=Unknown/Pending`, which every object has before the operator has looked at it.
pub const PENDING_MESSAGE: &str = "waiting for the operator";
