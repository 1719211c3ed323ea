//! What is to be done about what was seen: a pure function. No client, no clock, not `async`.
//!
//! At most one of the actions of a plan is disruptive, and it comes last. A pass that dies between any two actions is
//! taken up by the next one from what is observed then.
//!
//! The steps, in this order: deletion, `suspend`, the controller's label, the running operation, what is refused
//! altogether ([`refusals`]), identity, children, lost data ([`birth`]), [`bootstrap`], [`quorum`] (no leader),
//! [`roll`] (with [`gates`] and [`order`]). `suspend` means observe and report: not even the label is moved.

mod birth;
mod bootstrap;
mod children;
mod draft;
mod gates;
mod identity;
mod label;
mod operation;
mod order;
mod quorum;
mod roll;
#[cfg(test)]
mod tests;
mod upgrade;
mod view;

use std::collections::BTreeMap;

use dmq_crd::status::Operation;

use self::draft::Draft;
use self::identity::Settled;
use self::operation::Course;
use self::view::View;
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
pub fn plan(observed: &Observed) -> Plan {
    let view = View::new(observed);
    if view.deleting() {
        // The children go with their owner, the claims as the retention policy says: nothing to be done by hand.
        return Draft::new(&view).end(Stage::Deleting, Again::Idle);
    }
    if view.spec().suspend {
        return Draft::new(&view).end(Stage::Suspended, Again::Idle);
    }
    let mut draft = Draft::new(&view);
    label::follow_the_leader(&view, &mut draft);
    let course = operation::course(&view);
    if matches!(course, Course::Over(_)) {
        draft.act(Action::EndOperation);
    }
    if let Some(stage) = refusals(&view, &mut draft) {
        return draft.end(stage, Again::Idle);
    }
    match identity::settle(&view, &mut draft) {
        Settled::Known => {}
        Settled::Stop(stage, again) => return draft.end(stage, again),
    }
    children::keep(&view, &mut draft);
    let (stage, again) = if let Some(problem) = birth::data_lost(&view) {
        draft.stall(problem);
        (Stage::DataLost, Again::Idle)
    } else if !view.born() {
        bootstrap::advance(&view, &course, &mut draft)
    } else if let Some(leader) = &observed.leader {
        roll::advance(&view, leader, &course, &mut draft)
    } else {
        quorum::leaderless(&view, &course, &mut draft)
    };
    // What ended is written down and read back before anything new begins.
    let again = match course {
        Course::Over(_) => Again::Now,
        _ => again,
    };
    draft.end(stage, again)
}

/// What keeps everything but the controller's label from being touched.
fn refusals(view: &View<'_>, draft: &mut Draft) -> Option<Stage> {
    let observed = view.observed;
    if let Some(first) = observed.invalid.first() {
        let all: Vec<&str> = observed
            .invalid
            .iter()
            .map(|rule| rule.message.as_str())
            .collect();
        draft.stall(Problem::new(&first.reason, all.join("; ")));
        return Some(Stage::Invalid);
    }
    if !observed.conflicts.is_empty() {
        let all: Vec<String> = observed
            .conflicts
            .iter()
            .map(|taken| format!("{} belongs to {}", taken.object, taken.owner))
            .collect();
        let message = format!(
            "names that this quorum needs are taken: {}. Remove or rename them, or give this object another name",
            all.join("; ")
        );
        draft.stall(Problem::new("NameConflict", message));
        return Some(Stage::Blocked);
    }
    None
}

/// Number of pods that the StatefulSet is to have: one for each voter. What the StatefulSet says itself is never the truth
/// while there is another: somebody may have scaled it by hand. Before there are voters the spec decides.
pub fn replicas(observed: &Observed) -> i32 {
    if let Some(voters) = number_of_voters(observed) {
        return voters;
    }
    match (&observed.identity, &observed.stateful_set) {
        // Whose pods these are is being found out: their number stays.
        (Latch::Absent | Latch::Unreadable(_), Some(set)) => set.replicas,
        _ => observed.cluster.spec.replicas,
    }
}

/// From whoever knows it best: the controller, a member with a configuration or the latch, what an earlier controller said.
fn number_of_voters(observed: &Observed) -> Option<i32> {
    let led = observed.leader.as_ref();
    let led = led.map_or(0, |leader| leader.quorum.voters.len());
    let known = [led, quorum::voters(observed).len()].map(i32::try_from);
    let status = observed.cluster.status.as_ref();
    let reported = status.and_then(|status| status.voters);
    let mut counts = known.into_iter().filter_map(Result::ok).chain(reported);
    counts.find(|count| *count > 0)
}
