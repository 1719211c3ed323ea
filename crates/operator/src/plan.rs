//! What is to be done about what was seen: a pure function. No client, no clock, not `async`.
//!
//! At most one of the actions of a plan is disruptive, and it comes last. A pass that dies between any two actions is
//! taken up by the next one from what is observed then.

use std::collections::BTreeMap;

use dmq_crd::status::Operation;

use crate::observed::{Identity, Latch, Observed, Problem, Voter};

/// What is to be done, and what there is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In this order; the pass ends with the first that fails.
    pub actions: Vec<Action>,
    /// What the status says beside what was seen.
    pub report: Report,
    /// When to look again if nothing happens before.
    pub again: Again,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create `<name>-identity-1`; an existing one is never touched.
    CreateIdentity(Identity),
    /// Create `<name>-operator-token` with a random token.
    CreateToken,
    /// Apply all children that are not the StatefulSet (server-side apply).
    ApplyChildren,
    /// Apply the StatefulSet. Only if its claim templates and replicas are as they may be.
    ApplyStatefulSet {
        /// Number of pods.
        replicas: i32,
        /// Size of each claim template by its name, instead of the spec's: those of the existing StatefulSet, where
        /// they cannot be changed. Empty when there is none yet.
        claim_sizes: BTreeMap<String, String>,
    },
    /// Create `<name>-voters-1`; an existing one is never touched.
    CreateVoters(Vec<Voter>),
    /// `POST /quorum:initialize` at the lowest id, with the voters of `<name>-voters-1`.
    Initialize {
        /// Ordinal of the node that is asked.
        ordinal: i32,
        /// Name of the DMQ cluster.
        cluster_id: String,
        /// The log history.
        incarnation: String,
        /// The voters.
        voters: Vec<Voter>,
    },
    /// Take the controller's label from these pods.
    UnlabelController {
        /// Names of the pods.
        pods: Vec<String>,
    },
    /// Give this pod the controller's label.
    LabelController {
        /// Name of the pod.
        pod: String,
        /// Its uid: never another pod of that name.
        uid: String,
    },
    /// Write `status.operation` before acting; fails if the object changed since it was read.
    BeginOperation(Operation),
    /// Remove `status.operation`: done, superseded or pointless.
    EndOperation,
    /// Disruptive: move leadership.
    Transfer {
        /// Ordinal of the controller, which is asked.
        from: i32,
        /// Node id that is to lead.
        target: u32,
        /// Refused in another term.
        expected_term: u64,
    },
    /// Disruptive: delete a pod, so that it comes back from the present template. Only with these preconditions.
    DeletePod {
        /// Name.
        pod: String,
        /// uid.
        uid: String,
        /// resourceVersion.
        resource_version: String,
        /// Why, for the Event.
        reason: String,
    },
}

impl Action {
    /// Whether it takes something away from the running quorum.
    pub fn is_disruptive(&self) -> bool {
        matches!(self, Self::Transfer { .. } | Self::DeletePod { .. })
    }
}

/// What the planner has to say; the status is made from it and from what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Which step this pass is at.
    pub stage: Stage,
    /// A human is needed: condition `Stalled` with this reason and message.
    pub stalled: Option<Problem>,
    /// Why the pass waits or works, for `Reconciling`; `None`: nothing to do.
    pub progress: Option<Problem>,
    /// What was refused and what to do about it (`ScaleRejected`, `UpgradeRejected`, `ResizeRejected`): an Event, and `Stalled`.
    pub rejected: Vec<Problem>,
    /// Pods on the target revision.
    pub updated: i32,
}

/// Which step a pass is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// `deletionTimestamp` is set.
    Deleting,
    /// `suspend` is set.
    Suspended,
    /// The spec breaks a rule that Kubernetes could not check.
    Invalid,
    /// Something beside the spec needs a human first: a name is taken, a latch is gone or cannot be read.
    Blocked,
    /// The quorum is being made.
    #[default]
    Bootstrapping,
    /// The data of an existing quorum is gone: reported, never repaired by a second bootstrap.
    DataLost,
    /// No confirmed leader, for now.
    NoLeader,
    /// A majority of voters is gone.
    QuorumLost,
    /// Pods are being replaced.
    Rolling,
    /// A roll stopped and waits for a human or a new template.
    RollPaused,
    /// All is in place.
    Steady,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// At once: the last action made a further step possible.
    Now,
    /// In two seconds: something is on its way.
    Soon,
    /// In thirty seconds: nothing is expected.
    Idle,
}

/// The plan for what was seen.
pub fn plan(_observed: &Observed) -> Plan {
    todo_by_owner()
}

/// Number of pods that the StatefulSet is to have: the first voters' if they are known, else what it has, else the spec's.
pub fn replicas(observed: &Observed) -> i32 {
    if let Latch::Set(voters) = &observed.voters
        && let Ok(count) = i32::try_from(voters.len())
    {
        return count;
    }
    observed
        .stateful_set
        .as_ref()
        .map_or(observed.cluster.spec.replicas, |set| set.replicas)
}

fn todo_by_owner() -> Plan {
    Plan {
        actions: Vec::new(),
        report: Report::default(),
        again: Again::Idle,
    }
}
