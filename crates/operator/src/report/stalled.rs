//! Why a human is needed, if so.

use dmq_crd::condition::reason;

use super::facts::Facts;
use super::words;
use crate::observed::Problem;
use crate::plan::Stage;

/// Everything that a human is asked to do something about, the worst first. Empty: nothing.
pub(super) fn problems(facts: &Facts<'_>) -> Vec<Problem> {
    let report = &facts.plan.report;
    let mut problems: Vec<Problem> = report.stalled.iter().cloned().collect();
    if problems.is_empty() {
        problems.extend(of_stage(facts));
    }
    for rejected in &report.rejected {
        if !problems.contains(rejected) {
            problems.push(rejected.clone());
        }
    }
    problems
}

/// Stages that always need a human, should the plan not say why.
fn of_stage(facts: &Facts<'_>) -> Option<Problem> {
    let (reason, message) = match facts.stage() {
        Stage::QuorumLost => (reason::QUORUM_LOST, lost_quorum(facts)),
        Stage::DataLost => (
            reason::DATA_LOST,
            "The data of this quorum is gone. It is never made anew: that would hide the loss. Bring the volumes back, \
             or delete the object and its claims and create it again."
                .to_owned(),
        ),
        Stage::Invalid => (
            reason::INVALID_SPEC,
            "The spec breaks a rule; nothing is changed until it is corrected.".to_owned(),
        ),
        Stage::Blocked => (
            "Blocked",
            "Something that this quorum needs is not in place.".to_owned(),
        ),
        Stage::RollPaused => (
            reason::ROLL_PAUSED,
            format!(
                "A replaced pod does not become Ready, so the other pods keep the old template. {} Correct the spec to go on.",
                words::troubles(facts)
            ),
        ),
        _ => return None,
    };
    Some(Problem {
        reason: reason.to_owned(),
        message: words::tidy(&message),
    })
}

fn lost_quorum(facts: &Facts<'_>) -> String {
    let numbers = facts.counts().map_or(String::new(), |counts| {
        format!(
            "{} of {} voters are up, {} are needed.",
            counts.healthy,
            counts.voters,
            counts.quorum_size()
        )
    });
    format!(
        "{numbers} {} Bring the missing pods and their volumes back; the operator never makes a new quorum over an old one.",
        words::troubles(facts)
    )
}
