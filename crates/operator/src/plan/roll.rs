//! A running quorum: pods on an older template are replaced one at a time, the leader last and after it handed over.

use dmq_crd::status::OperationType;

use super::draft::Draft;
use super::gates::{self, Hold};
use super::operation::{self, Course};
use super::order::{self, Next};
use super::view::{Health, View, node_id};
use super::{Action, Again, Stage, bootstrap, children};
use crate::observed::{Leader, Pod, Problem};

/// The next step of a roll, or why there is none.
pub(super) fn advance(
    view: &View<'_>,
    leader: &Leader,
    course: &Course<'_>,
    draft: &mut Draft,
) -> (Stage, Again) {
    if let Some(problem) = members_without_data(view, leader) {
        draft.stall(problem);
    }
    if let Some(waiting) = template(view) {
        draft.wait(&waiting.reason, waiting.message);
        return (Stage::Steady, Again::Soon);
    }
    if !view.pods().any(|(_, pod)| view.outdated(pod)) {
        return all_replaced(view, course, draft);
    }
    if draft.is_stalled() {
        // Data or Secrets are missing: a pod that is stopped now might not come back.
        return (Stage::RollPaused, Again::Soon);
    }
    if let Course::Under(operation) = course {
        let message = format!("pod {}: {}", operation.pod_name, operation.reason);
        draft.wait("ReplacingPod", under_way(view).unwrap_or(message));
        return (Stage::Rolling, Again::Soon);
    }
    if let Course::Over(why) = course {
        draft.wait(
            "ReplacingPods",
            format!("pods are being replaced; of the last one: {why}"),
        );
        return (Stage::Rolling, Again::Now);
    }
    match step(view, leader, course, draft) {
        Ok(()) => (Stage::Rolling, Again::Soon),
        Err(Hold::Wait(why)) => {
            draft.wait(&why.reason, why.message);
            (Stage::Rolling, Again::Soon)
        }
        Err(Hold::Stop(why)) => {
            draft.stall(why);
            (Stage::RollPaused, Again::Soon)
        }
    }
}

/// Why it is not known yet which template the pods are to have.
fn template(view: &View<'_>) -> Option<Problem> {
    let Some(set) = &view.observed.stateful_set else {
        return Some(Problem::new(
            "CreatingPods",
            "the StatefulSet is being made",
        ));
    };
    if set.terminating {
        return Some(Problem::new(
            "StatefulSetTerminating",
            "the StatefulSet is being deleted",
        ));
    }
    if !children::template_stands(view, set) {
        return Some(Problem::new(
            "ApplyingTemplate",
            "the StatefulSet is being changed",
        ));
    }
    if view.target.is_none() {
        let message = "Kubernetes has not looked at the new template yet";
        return Some(Problem::new("WaitingForRevision", message));
    }
    None
}

/// Members that came back with another data directory than the quorum knows: their log is gone, and with it their vote.
fn members_without_data(view: &View<'_>, leader: &Leader) -> Option<Problem> {
    let known = || leader.quorum.voters.iter().chain(&leader.quorum.observers);
    let lost: Vec<String> = view
        .pods()
        .filter(|(ordinal, _)| {
            let mine = known().find(|member| member.id == node_id(*ordinal));
            let said = view
                .member(*ordinal)
                .map(|member| member.quorum.directory_id);
            mine.zip(said)
                .is_some_and(|(mine, said)| mine.directory_id != said)
        })
        .map(|(_, pod)| pod.name.clone())
        .collect();
    if lost.is_empty() {
        return None;
    }
    let message = format!(
        "{} came up with an empty data directory and is no member any more; the others serve, with fewer to spare. \
         Bring its volume back, or change the voters by PUT /api/v1/metadata/quorum/voters. Until then no pod is replaced",
        lost.join(", ")
    );
    Some(Problem::new("MemberDataLost", message))
}

/// Nobody is outdated: only what is not there yet has to be told.
fn all_replaced(view: &View<'_>, course: &Course<'_>, draft: &mut Draft) -> (Stage, Again) {
    if let Some(problem) = bootstrap::class_missing(view) {
        draft.stall(problem);
    }
    for (_, pod) in view.pods() {
        if let Some(failure) = view.failure(pod) {
            let message = format!("{}. The other members serve without it", failure.message);
            draft.stall(Problem::new("PodStuck", message));
        }
    }
    if let Some(message) = under_way(view) {
        draft.wait("PodStarting", message);
    }
    match course {
        Course::Under(_) => {
            draft.wait("ReplacingPod", "the last pod is being replaced");
            (Stage::Rolling, Again::Soon)
        }
        Course::Free if !draft.is_busy() => (Stage::Steady, Again::Idle),
        _ => (Stage::Steady, Again::Soon),
    }
}

/// The first pod that is not there yet, and why.
fn under_way(view: &View<'_>) -> Option<String> {
    view.ordinals().find_map(|ordinal| {
        let name = view.pod_name(ordinal);
        let Some(pod) = view.pod(ordinal) else {
            return Some(format!("pod {name} does not exist yet"));
        };
        if pod.terminating {
            return Some(format!("pod {name} is stopping"));
        }
        if view.outdated(pod) {
            return None;
        }
        match view.health(ordinal, pod) {
            Health::Coming(why) if !pod.ready || why.reason == "CatchingUp" => Some(why.message),
            _ => None,
        }
    })
}

/// Takes the next pod down, or leadership away from it, if the gates are open.
fn step(
    view: &View<'_>,
    leader: &Leader,
    course: &Course<'_>,
    draft: &mut Draft,
) -> Result<(), Hold> {
    gates::everybody(view)?;
    match order::next(view, leader) {
        None => Ok(()),
        Some(Next::Pod(ordinal, pod, reason)) => {
            gates::candidate(view, leader, ordinal)?;
            restart(view, pod, reason, draft);
            Ok(())
        }
        Some(Next::Leader(ordinal, pod)) => {
            gates::candidate(view, leader, ordinal)?;
            if leader.quorum.voters.len() == 1 {
                restart(view, pod, "its template has changed", draft);
                return Ok(());
            }
            if matches!(course, Course::GivenUp) {
                // It hands over by itself when it is told to stop.
                let reason = "its template has changed, and leadership could not be moved before";
                restart(view, pod, reason, draft);
                return Ok(());
            }
            hand_over(view, leader, pod, draft)
        }
    }
}

fn restart(view: &View<'_>, pod: &Pod, reason: &str, draft: &mut Draft) {
    draft.wait(
        "ReplacingPod",
        format!("pod {} is replaced: {reason}", pod.name),
    );
    operation::begin(view, OperationType::Restart, pod, reason, draft);
    draft.act(operation::deletion(pod, reason));
}

/// Moves leadership to a replaced follower, so that it moves once in a roll.
fn hand_over(view: &View<'_>, leader: &Leader, pod: &Pod, draft: &mut Draft) -> Result<(), Hold> {
    if let Some(target) = leader.quorum.transferring_to {
        draft.wait(
            "TransferringLeadership",
            format!("leadership moves to node {target}"),
        );
        return Ok(());
    }
    let Some(target) = successor(view, leader) else {
        let message = "no replaced follower is caught up to take leadership over";
        return Err(Hold::Wait(Problem::new("NoSuccessor", message)));
    };
    let reason = "its template has changed; leadership moves before it is replaced";
    draft.wait(
        "TransferringLeadership",
        format!("leadership moves from pod {} to node {target}", pod.name),
    );
    operation::begin(view, OperationType::TransferLeadership, pod, reason, draft);
    draft.act(Action::Transfer {
        from: leader.ordinal,
        target,
        expected_term: leader.term,
    });
    Ok(())
}

/// Of the replaced followers that could take over, the one that lacks least; of those, the lowest id.
fn successor(view: &View<'_>, leader: &Leader) -> Option<u32> {
    let able = &leader.pre_restart.get(&leader.id)?.successors;
    view.pods()
        .filter(|(ordinal, pod)| {
            able.contains(&node_id(*ordinal))
                && node_id(*ordinal) != leader.id
                && !view.outdated(pod)
                && view.health(*ordinal, pod) == Health::Fine
        })
        .map(|(ordinal, _)| node_id(ordinal))
        .min_by_key(|id| {
            let voter = leader.quorum.voters.iter().find(|voter| voter.id == *id);
            (voter.and_then(|voter| voter.lag).unwrap_or(u64::MAX), *id)
        })
}
