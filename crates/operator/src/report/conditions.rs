//! The list of conditions, and the one rule about their times: `lastTransitionTime` moves only when `status` flips.

use dmq_crd::condition::{kind, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::facts::Facts;
use super::verdict::{self, Verdict};
use super::{projection, seconds};

/// All conditions, in their fixed order.
pub(super) fn conditions(facts: &Facts<'_>) -> Vec<Condition> {
    let ready = verdict::ready(facts);
    let reconciling = verdict::reconciling(facts, &ready);
    let verdicts = [
        Some(ready),
        Some(verdict::available(facts)),
        Some(verdict::quorum_healthy(facts)),
        Some(verdict::up_to_date(facts)),
        Some(projection::verdict(facts).unwrap_or_else(|| unchanged_projection(facts))),
        Some(verdict::paused(facts)),
        reconciling,
        verdict::stalled(facts),
    ];
    let now = seconds(facts.observed.now);
    verdicts
        .into_iter()
        .flatten()
        .map(|verdict| dated(facts, verdict, &now))
        .collect()
}

/// The condition of this type in the status before.
pub(super) fn before<'a>(facts: &Facts<'a>, kind: &str) -> Option<&'a Condition> {
    let conditions = &facts.previous?.conditions;
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn dated(facts: &Facts<'_>, verdict: Verdict, now: &Time) -> Condition {
    let last = before(facts, verdict.kind).filter(|last| last.status == verdict.status);
    Condition {
        type_: verdict.kind.to_owned(),
        status: verdict.status.to_owned(),
        reason: word(&verdict.reason),
        message: verdict.message,
        observed_generation: facts.observed.cluster.metadata.generation,
        last_transition_time: last
            .map_or_else(|| now.clone(), |last| last.last_transition_time.clone()),
    }
}

/// No news of a database: its member did not answer this time, or was started just now.
fn unchanged_projection(facts: &Facts<'_>) -> Verdict {
    let last = before(facts, kind::PROJECTION_HEALTHY);
    let known = last.and_then(|last| {
        let status = ["True", "False"]
            .into_iter()
            .find(|status| *status == last.status)?;
        Some((status, last.reason.clone(), last.message.clone()))
    });
    let (status, reason, message) = known.unwrap_or_else(|| {
        let message = "Not every member has told about its database yet.".to_owned();
        ("Unknown", reason::UNKNOWN.to_owned(), message)
    });
    Verdict {
        kind: kind::PROJECTION_HEALTHY,
        status,
        reason,
        message,
    }
}

/// Kubernetes takes only one word of letters and digits as a reason.
fn word(said: &str) -> String {
    let word: String = said.chars().filter(char::is_ascii_alphanumeric).collect();
    if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return word;
    }
    reason::UNKNOWN.to_owned()
}
