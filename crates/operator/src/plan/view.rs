//! What follows from an observation without deciding anything: who is outdated, who is down, who is fine.

use dmq_api::rest::controller::NodeState;
use dmq_crd::{DmqMetadataClusterSpec, UpdateStrategy, names};
use jiff::{SignedDuration, Timestamp};

use crate::observed::{Claim, Member, Observed, Pod, Problem, StatefulSet};

/// How long the troubles of a pod's start are not called a failure, after it was made or stopped being Ready: a volume that
/// is still being bound looks like an unschedulable pod for a moment, and one crash is over in another.
const STARTING: SignedDuration = SignedDuration::from_secs(10);

/// An observation, and what follows from it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// What was seen.
    pub(super) observed: &'a Observed,
    /// Number of pods that there are to be.
    pub(super) replicas: i32,
    /// Revision that pods are to have, once that is known.
    pub(super) target: Option<&'a str>,
}

/// How a pod of the target revision is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Ready for long enough, and caught up.
    Fine,
    /// On its way: why it is not there yet.
    Coming(Problem),
    /// It will not get there by itself: why.
    Failed(Problem),
}

impl<'a> View<'a> {
    /// The view of an observation.
    pub(super) fn new(observed: &'a Observed) -> Self {
        let target = observed
            .stateful_set
            .as_ref()
            .and_then(StatefulSet::target_revision);
        Self {
            observed,
            replicas: super::replicas(observed),
            target,
        }
    }

    /// The spec.
    pub(super) fn spec(&self) -> &'a DmqMetadataClusterSpec {
        &self.observed.cluster.spec
    }

    /// How pods are replaced.
    pub(super) fn strategy(&self) -> &'a UpdateStrategy {
        &self.spec().update_strategy
    }

    /// Name of the object.
    pub(super) fn name(&self) -> &'a str {
        self.observed
            .cluster
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
    }

    /// An annotation of the object.
    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        let all = self.observed.cluster.metadata.annotations.as_ref()?;
        all.get(key).map(String::as_str)
    }

    /// The object is being deleted.
    pub(super) fn deleting(&self) -> bool {
        self.observed.cluster.metadata.deletion_timestamp.is_some()
    }

    /// How long ago that was.
    pub(super) fn since(&self, then: Timestamp) -> SignedDuration {
        self.observed.now.duration_since(then)
    }

    /// Ordinals that there are to be.
    pub(super) fn ordinals(&self) -> std::ops::Range<i32> {
        0..self.replicas
    }

    /// The pods that there are to be and are, by ordinal.
    pub(super) fn pods(&self) -> impl Iterator<Item = (i32, &'a Pod)> + use<'a> {
        let replicas = self.replicas;
        self.observed
            .pods
            .iter()
            .map(|(ordinal, pod)| (*ordinal, pod))
            .filter(move |(ordinal, _)| (0..replicas).contains(ordinal))
    }

    /// A pod.
    pub(super) fn pod(&self, ordinal: i32) -> Option<&'a Pod> {
        self.observed.pods.get(&ordinal)
    }

    /// What a pod's node said.
    pub(super) fn member(&self, ordinal: i32) -> Option<&'a Member> {
        self.observed.members.get(&ordinal)
    }

    /// The claim of a pod's log.
    pub(super) fn log_claim(&self, ordinal: i32) -> Option<&'a Claim> {
        self.observed.claims.get(&("log".to_owned(), ordinal))
    }

    /// A pod's name, whether it exists or not.
    pub(super) fn pod_name(&self, ordinal: i32) -> String {
        names::pod(self.name(), ordinal)
    }

    /// It runs an older template than it should. Nobody is outdated while the target is unknown.
    pub(super) fn outdated(&self, pod: &Pod) -> bool {
        self.target
            .is_some_and(|target| pod.revision.as_deref() != Some(target))
    }

    /// Number of pods on the target revision.
    pub(super) fn updated(&self) -> i32 {
        let on_target = |(_, pod): &(i32, &Pod)| self.target.is_some() && !self.outdated(pod);
        i32::try_from(self.pods().filter(on_target).count()).unwrap_or(i32::MAX)
    }

    /// The status says that a leader was confirmed once. It is a copy, never the latch: it can stop a bootstrap, not start one.
    pub(super) fn led_once(&self) -> bool {
        let Some(status) = &self.observed.cluster.status else {
            return false;
        };
        status.term.is_some_and(|term| term > 0)
            || status.membership_index.is_some_and(|index| index > 0)
            || status.voters.is_some_and(|voters| voters > 0)
    }

    /// Somebody has a configuration, or had one.
    pub(super) fn born(&self) -> bool {
        self.observed.leader.is_some()
            || self.observed.members.values().any(initialized)
            || self.led_once()
    }

    /// Every pod that there is to be answered, and none is on its way out.
    pub(super) fn all_answer(&self) -> bool {
        self.ordinals().all(|ordinal| {
            self.member(ordinal).is_some() && self.pod(ordinal).is_some_and(|pod| !pod.terminating)
        })
    }

    /// How a pod of the target revision is doing.
    pub(super) fn health(&self, ordinal: i32, pod: &Pod) -> Health {
        if let Some(problem) = self.failure(pod) {
            return Health::Failed(problem);
        }
        if !pod.ready {
            return Health::Coming(not_ready(pod));
        }
        let wanted = SignedDuration::from_secs(i64::from(self.strategy().min_ready_seconds));
        if pod.ready_since.is_none_or(|then| self.since(then) < wanted) {
            let message = format!(
                "pod {} is Ready; it has to stay so for {} s",
                pod.name,
                wanted.as_secs()
            );
            return Health::Coming(Problem::new("MinReadySeconds", message));
        }
        let probe = self
            .member(ordinal)
            .and_then(|member| member.post_restart.as_ref());
        match probe {
            Some(probe) if probe.caught_up => Health::Fine,
            Some(probe) => {
                // Not the node's own words: they have the indexes of the moment, and the status would be written at every look.
                let why = match probe.leader_id {
                    None => "its node knows no controller",
                    Some(_) => "its node has not applied everything that was committed",
                };
                let message = format!("pod {} is catching up: {why}", pod.name);
                Health::Coming(Problem::new("CatchingUp", message))
            }
            None => {
                let message = format!("the node of pod {} does not answer", pod.name);
                Health::Coming(Problem::new("NoAnswer", message))
            }
        }
    }

    /// Why a pod will not become Ready by itself: a problem that outlived a start, or the deadline.
    pub(super) fn failure(&self, pod: &Pod) -> Option<Problem> {
        if pod.ready {
            return None;
        }
        let begun = pod
            .unready_since
            .map_or(pod.created, |then| then.max(pod.created));
        if let Some(problem) = &pod.problem
            && self.since(begun) >= STARTING
        {
            let message = format!("pod {}: {}: {}", pod.name, problem.reason, problem.message);
            return Some(Problem::new(&problem.reason, message));
        }
        let deadline = i64::from(self.strategy().progress_deadline_seconds);
        if self.since(begun).as_secs() < deadline {
            return None;
        }
        let message = format!("pod {} did not become Ready within {deadline} s", pod.name);
        Some(Problem::new("ProgressDeadlineExceeded", message))
    }
}

/// What is known of a pod that is not Ready.
pub(super) fn not_ready(pod: &Pod) -> Problem {
    match &pod.problem {
        Some(problem) => {
            let message = format!("pod {}: {}: {}", pod.name, problem.reason, problem.message);
            Problem::new("PodStarting", message)
        }
        None => Problem::new("PodStarting", format!("pod {} is not Ready yet", pod.name)),
    }
}

/// The node has a configuration.
pub(super) fn initialized(member: &Member) -> bool {
    let quorum = &member.quorum;
    quorum.state != NodeState::Uninitialized
        || !quorum.voters.is_empty()
        || quorum.membership_index > 0
}

/// Node id of the pod with this ordinal.
pub(super) fn node_id(ordinal: i32) -> u32 {
    u32::try_from(names::node_id(ordinal)).unwrap_or_default()
}

/// Ordinal of the pod of this node.
pub(super) fn ordinal_of(node: u32) -> i32 {
    i32::try_from(node).map_or(-1, |id| id - 1)
}
