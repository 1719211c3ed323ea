//! What must hold before a pod of a running quorum is taken down. In doubt they are shut.

use dmq_api::rest::quorum::{MemberResponse, PreRestartResponse};
use jiff::SignedDuration;

use super::view::{Health, View, node_id, ordinal_of};
use crate::observed::{Leader, Pod, Problem};

/// A voter that lacks more entries does not count as caught up; as in the node's own probe.
const LAG_MAX: u64 = 1_000;
/// A voter that the leader has not heard of for longer does not count.
const SILENT_MAX_MS: u64 = 5_000;

/// Why a roll does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It will by itself.
    Wait(Problem),
    /// It needs a human, or a new template.
    Stop(Problem),
}

/// What must hold whoever is next: nobody is on the way out or missing, and who was replaced before is back.
pub(super) fn everybody(view: &View<'_>) -> Result<(), Hold> {
    for ordinal in view.ordinals() {
        match view.pod(ordinal) {
            None => {
                return Err(wait(
                    "PodMissing",
                    format!("pod {} does not exist yet", view.pod_name(ordinal)),
                ));
            }
            Some(pod) if pod.terminating => return Err(stopping(view, pod)),
            Some(_) => {}
        }
    }
    replaced_ones(view)
}

fn stopping(view: &View<'_>, pod: &Pod) -> Hold {
    let deadline = SignedDuration::from_secs(i64::from(view.strategy().progress_deadline_seconds));
    if pod
        .unready_since
        .is_some_and(|then| view.since(then) >= deadline)
    {
        let message = format!(
            "pod {} does not stop; the roll waits for it. If its Kubernetes node is gone for good, delete the pod by force",
            pod.name
        );
        return Hold::Stop(Problem::new("PodStuck", message));
    }
    wait("PodStopping", format!("pod {} is stopping", pod.name))
}

/// Pods on the target revision are Ready for long enough and caught up. The last one that was replaced failing means
/// that the new template is at fault; an earlier one failing means that something else is.
fn replaced_ones(view: &View<'_>) -> Result<(), Hold> {
    let mut coming = None;
    let updated = || view.pods().filter(|(_, pod)| !view.outdated(pod));
    let newest = updated().map(|(_, pod)| pod.created).max();
    for (ordinal, pod) in updated() {
        match view.health(ordinal, pod) {
            Health::Fine => {}
            Health::Coming(why) => coming = coming.or(Some(Hold::Wait(why))),
            // Two that are down by our hand are never worth it: the roll waits, it only calls nobody.
            Health::Failed(why) if !view.strategy().pause_on_failure => {
                coming = coming.or(Some(Hold::Wait(why)));
            }
            Health::Failed(why) if Some(pod.created) == newest => {
                let message = format!(
                    "the roll stopped after {}, the other pods keep serving: put the template right, or take the change back",
                    why.message
                );
                return Err(Hold::Stop(Problem::new("RollPaused", message)));
            }
            Health::Failed(why) => {
                let message = format!(
                    "the roll waits for a pod that is not outdated: {}. Repair it, or delete it if its volumes are in order",
                    why.message
                );
                return Err(Hold::Stop(Problem::new("PodStuck", message)));
            }
        }
    }
    coming.map_or(Ok(()), Err)
}

/// What must hold for this pod to be taken down: it keeps its log, and those that stay are a majority that is caught up.
pub(super) fn candidate(view: &View<'_>, leader: &Leader, ordinal: i32) -> Result<(), Hold> {
    if view
        .log_claim(ordinal)
        .is_some_and(|claim| claim.terminating)
    {
        let message = format!(
            "the claim of the log of pod {} is being deleted: its next stop would lose its data, so it is not stopped",
            view.pod_name(ordinal)
        );
        return Err(Hold::Stop(Problem::new("ClaimTerminating", message)));
    }
    if leader.quorum.outgoing_voters.is_some() {
        let message = format!(
            "one voter set is replacing another: pod {} is not stopped before that is done",
            view.pod_name(ordinal)
        );
        return Err(wait("MembershipChanging", message));
    }
    let id = node_id(ordinal);
    let voters = &leader.quorum.voters;
    if !voters.iter().any(|voter| voter.id == id) || voters.len() == 1 {
        // Without a vote nobody misses it; alone nobody can stand in for it.
        return Ok(());
    }
    probe(view, leader, ordinal)?;
    let staying: Vec<&MemberResponse> = voters.iter().filter(|voter| voter.id != id).collect();
    let missed: Vec<String> = staying
        .iter()
        .filter(|voter| !counts(view, leader, voter))
        .map(|voter| view.pod_name(ordinal_of(voter.id)))
        .collect();
    let majority = voters.len() / 2 + 1;
    if staying.len() - missed.len() >= majority {
        return Ok(());
    }
    let message = format!(
        "pod {} is not stopped: {majority} other voters have to be up and caught up, but {} cannot be counted",
        view.pod_name(ordinal),
        missed.join(", ")
    );
    Err(stuck_or_wait(view, message))
}

/// The leader's own verdict.
fn probe(view: &View<'_>, leader: &Leader, ordinal: i32) -> Result<(), Hold> {
    let name = view.pod_name(ordinal);
    match leader.pre_restart.get(&node_id(ordinal)) {
        Some(verdict) if verdict.safe => Ok(()),
        Some(verdict) => {
            let why = why_unsafe(view, leader, verdict);
            Err(stuck_or_wait(
                view,
                format!("pod {name} is not stopped: {why}"),
            ))
        }
        None => Err(wait(
            "NoAnswer",
            format!("the controller did not say whether pod {name} may be stopped"),
        )),
    }
}

/// The verdict in words that stay while it does. The controller's own have the milliseconds and entries of the moment,
/// and the status, which quotes this, would be written at every look.
fn why_unsafe(view: &View<'_>, leader: &Leader, verdict: &PreRestartResponse) -> String {
    let others = leader.quorum.voters.iter().map(|voter| voter.id);
    let missed: Vec<String> = others
        .filter(|id| *id != verdict.node_id && !verdict.successors.contains(id))
        .map(|id| view.pod_name(ordinal_of(id)))
        .collect();
    if missed.is_empty() {
        return "the controller says so".to_owned();
    }
    format!(
        "{} other voters have to be up and caught up, but the controller does not count {}",
        verdict.majority,
        missed.join(", ")
    )
}

/// Too few would stay. With a replaced pod that failed among the others nobody but a human can change that.
fn stuck_or_wait(view: &View<'_>, message: String) -> Hold {
    let failed = view
        .pods()
        .filter(|(_, pod)| !view.outdated(pod))
        .find_map(|(_, pod)| view.failure(pod));
    match failed {
        Some(failed) => Hold::Stop(Problem::new(
            "PodStuck",
            format!("{message}; {}", failed.message),
        )),
        None => wait("QuorumAtRisk", message),
    }
}

/// Whether a voter holds the quorum up: it is there, it is itself, and the leader has it close behind.
fn counts(view: &View<'_>, leader: &Leader, voter: &MemberResponse) -> bool {
    let ordinal = ordinal_of(voter.id);
    let Some(pod) = view.pod(ordinal) else {
        return false;
    };
    if pod.terminating {
        return false;
    }
    if voter.id == leader.id {
        // A majority has just confirmed it.
        return !leader.quorum.stopping;
    }
    let Some(member) = view.member(ordinal) else {
        return false;
    };
    pod.ready
        && member.quorum.directory_id == voter.directory_id
        && !member.quorum.stopping
        && voter.stopping != Some(true)
        && voter.receiving_snapshot != Some(true)
        && voter.lag.is_some_and(|lag| lag <= LAG_MAX)
        && voter
            .last_contact_ms
            .is_some_and(|silent| silent <= SILENT_MAX_MS)
}

fn wait(reason: &str, message: String) -> Hold {
    Hold::Wait(Problem::new(reason, message))
}
