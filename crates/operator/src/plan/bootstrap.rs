//! From an identity to an initialised quorum (DESIGN 6.1). Every step resumes from what exists, whoever made it.

use dmq_crd::names;
use dmq_crd::status::OperationType;

use super::draft::Draft;
use super::operation::{self, Course};
use super::view::{View, node_id, ordinal_of};
use super::{Action, Again, Stage, children};
use crate::observed::{Identity, Latch, Pod, Problem, Voter};

const WAIT: (Stage, Again) = (Stage::Bootstrapping, Again::Soon);

/// The next step towards the first controller. Nobody has a configuration, as far as can be seen.
pub(super) fn advance(view: &View<'_>, course: &Course<'_>, draft: &mut Draft) -> (Stage, Again) {
    let (Some(set), Latch::Set(identity)) = (&view.observed.stateful_set, &view.observed.identity)
    else {
        draft.wait("CreatingPods", "the StatefulSet is being made");
        return WAIT;
    };
    if !set.terminating
        && children::template_stands(view, set)
        && replace_broken(view, course, draft)
    {
        return WAIT;
    }
    if !view.all_answer() {
        say_who_is_silent(view, draft);
        return WAIT;
    }
    if let Some(problem) = wrong_identity(view, identity) {
        draft.stall(problem);
        return (Stage::Blocked, Again::Soon);
    }
    match &view.observed.voters {
        Latch::Absent => write_down_voters(view, draft),
        Latch::Set(voters) => initialize(view, identity, voters, draft),
        Latch::Unreadable(why) => {
            let latch = names::voters(view.name(), 1);
            let message = format!(
                "ConfigMap {latch} cannot be read: {why}. It says who the first voters are; without it nothing is initialised"
            );
            draft.stall(Problem::new("VotersUnreadable", message));
            (Stage::Blocked, Again::Idle)
        }
    }
}

/// A pod that never came up and whose template was changed meanwhile is replaced at once: there is no quorum yet
/// that could miss it, and waiting for it would be waiting for ever.
fn replace_broken(view: &View<'_>, course: &Course<'_>, draft: &mut Draft) -> bool {
    if matches!(course, Course::Over(_)) {
        return false;
    }
    let leaving = |(_, pod): (i32, &Pod)| pod.terminating;
    if matches!(course, Course::Under(_)) || view.pods().any(leaving) {
        return false;
    }
    // With the voters written down they may have been initialised, and a controller may be there that is only not seen:
    // then only what has failed for certain goes.
    let written = view.observed.voters != Latch::Absent;
    let broken = view
        .pods()
        .filter(|(ordinal, pod)| {
            view.outdated(pod)
                && !pod.ready
                && view.member(*ordinal).is_none()
                && (!written || view.failure(pod).is_some())
        })
        .last();
    let Some((_, pod)) = broken else {
        return false;
    };
    let reason = "it did not come up, and its template has changed";
    draft.wait(
        "ReplacingPod",
        format!("pod {} is replaced: {reason}", pod.name),
    );
    operation::begin(view, OperationType::Restart, pod, reason, draft);
    draft.act(operation::deletion(pod, reason));
    true
}

fn say_who_is_silent(view: &View<'_>, draft: &mut Draft) {
    if let Some(problem) = class_missing(view) {
        draft.stall(problem);
    }
    let silent: Vec<i32> = view
        .ordinals()
        .filter(|ordinal| view.member(*ordinal).is_none())
        .collect();
    for ordinal in &silent {
        if let Some(failure) = view.pod(*ordinal).and_then(|pod| view.failure(pod)) {
            draft.stall(Problem::new("PodStuck", failure.message));
        }
    }
    let names: Vec<String> = silent
        .iter()
        .map(|ordinal| view.pod_name(*ordinal))
        .collect();
    let message = format!("waiting for the nodes of {}", names.join(", "));
    draft.wait("WaitingForPods", message);
}

/// A claim that can never be bound.
pub(super) fn class_missing(view: &View<'_>) -> Option<Problem> {
    let claim = view
        .observed
        .claims
        .values()
        .find(|claim| claim.class_missing)?;
    let class = claim.storage_class.as_deref().unwrap_or_default();
    let message = format!(
        "claim {} asks for the StorageClass {class}, which does not exist: create it, or delete this object and its \
         claims and create it again with another class",
        claim.name
    );
    Some(Problem::new("StorageClassMissing", message))
}

/// A node that was formatted for something else: its volume is not ours.
fn wrong_identity(view: &View<'_>, identity: &Identity) -> Option<Problem> {
    view.ordinals().find_map(|ordinal| {
        let said = &view.member(ordinal)?.quorum;
        let right = said.cluster_id == identity.cluster_id
            && said.incarnation == identity.incarnation
            && said.node_id == node_id(ordinal);
        let message = format!(
            "the volume of pod {} was formatted for node {} of cluster {}, incarnation {}; it should be node {} of \
             cluster {}, incarnation {}. Delete the claim and the pod if the volume may be emptied",
            view.pod_name(ordinal),
            said.node_id,
            said.cluster_id,
            said.incarnation,
            node_id(ordinal),
            identity.cluster_id,
            identity.incarnation,
        );
        (!right).then(|| Problem::new("WrongIdentity", message))
    })
}

/// All answer, all are empty and ours: these are the first voters, for good.
fn write_down_voters(view: &View<'_>, draft: &mut Draft) -> (Stage, Again) {
    let pods = view.observed.stateful_set.as_ref().map(|set| set.replicas);
    if pods != Some(view.replicas) {
        // Somebody scaled the StatefulSet, or changed their mind: whoever is written down now stays for good.
        let message = "the StatefulSet has another number of pods than spec.replicas: nothing is initialised before they agree";
        draft.wait("ReplicasDiffer", message);
        return WAIT;
    }
    let voters: Vec<Voter> = view
        .ordinals()
        .filter_map(|ordinal| {
            Some(Voter {
                id: node_id(ordinal),
                directory_id: view.member(ordinal)?.quorum.directory_id,
            })
        })
        .collect();
    let mut directories: Vec<_> = voters.iter().map(|voter| voter.directory_id).collect();
    directories.sort_unstable();
    directories.dedup();
    if directories.len() != voters.len() {
        let message = "two pods show the same data directory: volumes were copied. Delete the claims and pods of the copies";
        draft.stall(Problem::new("WrongIdentity", message));
        return (Stage::Blocked, Again::Soon);
    }
    draft.wait(
        "WritingVoters",
        "all nodes answer; the first voters are written down",
    );
    draft.act(Action::CreateVoters(voters));
    (Stage::Bootstrapping, Again::Now)
}

/// All voters that were written down answer, empty, with the directories that were written down.
fn initialize(
    view: &View<'_>,
    identity: &Identity,
    voters: &[Voter],
    draft: &mut Draft,
) -> (Stage, Again) {
    let Some(lowest) = voters.iter().map(|voter| voter.id).min() else {
        let latch = names::voters(view.name(), 1);
        let message = format!("ConfigMap {latch} names no voter");
        draft.stall(Problem::new("VotersUnreadable", message));
        return (Stage::Blocked, Again::Idle);
    };
    draft.wait(
        "Initializing",
        "the first voters are made the configuration",
    );
    draft.act(Action::Initialize {
        ordinal: ordinal_of(lowest),
        cluster_id: identity.cluster_id.clone(),
        incarnation: identity.incarnation.clone(),
        voters: voters.to_vec(),
    });
    WAIT
}
