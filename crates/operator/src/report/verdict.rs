//! What each condition says of an observation. Only verdicts: when a condition flipped is for `conditions`.

use dmq_crd::condition::{kind, reason};

use super::facts::Facts;
use super::members::is_voter;
use super::{stalled, words};
use crate::plan::Stage;

/// A condition without its times.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

pub(super) fn verdict(
    kind: &'static str,
    status: &'static str,
    why: &str,
    message: &str,
) -> Verdict {
    Verdict {
        kind,
        status,
        reason: why.to_owned(),
        message: words::tidy(message),
    }
}

pub(super) fn yes(kind: &'static str, message: &str) -> Verdict {
    verdict(kind, "True", reason::AS_EXPECTED, message)
}

/// `Ready`: this generation is fully in place, the quorum is whole, all pods are Ready.
pub(super) fn ready(facts: &Facts<'_>) -> Verdict {
    if let Some((why, message)) = obstacle(facts) {
        return verdict(kind::READY, "False", &why, &message);
    }
    match facts.wanted_pods() {
        1 => yes(kind::READY, "The member is Ready."),
        wanted => yes(kind::READY, &format!("All {wanted} members are Ready.")),
    }
}

/// The first thing that stands between the object and `Ready`: reason and message.
fn obstacle(facts: &Facts<'_>) -> Option<(String, String)> {
    let because = |reason: &str, message: String| Some((reason.to_owned(), message));
    let stalled = stalled::problems(facts);
    if let Some(first) = stalled.first() {
        let messages = stalled.iter().map(|one| one.message.as_str());
        return because(&first.reason, words::sentences(messages));
    }
    match facts.stage() {
        Stage::Deleting => {
            return because(reason::DELETING, "The object is being deleted.".to_owned());
        }
        Stage::Bootstrapping => return because(reason::BOOTSTRAPPING, bootstrapping(facts)),
        _ if !facts.has_leader() => return because(reason::NO_LEADER, no_leader(facts)),
        _ => {}
    }
    if !facts.is_applied() {
        return Some(not_applied(facts));
    }
    if !facts.is_updated() {
        return because(reason::ROLLING_UPDATE, rolling(facts));
    }
    if facts.ready_pods() < facts.wanted_pods() {
        return because(reason::PODS_NOT_READY, pods_not_ready(facts));
    }
    if !facts.counts().is_some_and(super::facts::Counts::is_whole) {
        return because(reason::MEMBERS_UNHEALTHY, unhealthy_voters(facts));
    }
    let progress = facts.plan.report.progress.as_ref()?;
    because(&progress.reason, progress.message.clone())
}

/// `Available`: a leader exists that a quorum confirmed.
pub(super) fn available(facts: &Facts<'_>) -> Verdict {
    if let Some(leader) = &facts.observed.leader {
        let pod = words::pod_name(facts.observed, leader.ordinal);
        let message = format!("{pod} leads in term {}.", leader.term);
        return verdict(kind::AVAILABLE, "True", reason::LEADER_CONFIRMED, &message);
    }
    no_leader_verdict(facts, kind::AVAILABLE)
}

/// `QuorumHealthy`: every voter is up and caught up.
pub(super) fn quorum_healthy(facts: &Facts<'_>) -> Verdict {
    let Some(counts) = facts.counts().filter(|_| facts.has_leader()) else {
        return no_leader_verdict(facts, kind::QUORUM_HEALTHY);
    };
    if counts.is_whole() {
        let message = match counts.failures_tolerated(true) {
            0 => "The voter is healthy. A quorum of one tolerates no failure.".to_owned(),
            tolerated => format!(
                "All {} voters are healthy; {tolerated} may fail.",
                counts.voters
            ),
        };
        return yes(kind::QUORUM_HEALTHY, &message);
    }
    verdict(
        kind::QUORUM_HEALTHY,
        "False",
        reason::MEMBERS_UNHEALTHY,
        &unhealthy_voters(facts),
    )
}

fn no_leader_verdict(facts: &Facts<'_>, kind: &'static str) -> Verdict {
    let stalled = stalled::problems(facts);
    let serious = matches!(facts.stage(), Stage::QuorumLost | Stage::DataLost);
    if let Some(problem) = stalled.first().filter(|_| serious) {
        return verdict(kind, "False", &problem.reason, &problem.message);
    }
    match facts.stage() {
        Stage::Bootstrapping => verdict(
            kind,
            "False",
            reason::BOOTSTRAPPING,
            "The quorum has not been made yet.",
        ),
        _ => verdict(kind, "False", reason::NO_LEADER, &no_leader(facts)),
    }
}

/// `UpToDate`: every pod is on the newest revision.
pub(super) fn up_to_date(facts: &Facts<'_>) -> Verdict {
    if facts.stage() == Stage::RollPaused {
        return verdict(
            kind::UP_TO_DATE,
            "False",
            reason::ROLL_PAUSED,
            &rolling(facts),
        );
    }
    if facts.stage() == Stage::Bootstrapping && !facts.is_updated() {
        return verdict(
            kind::UP_TO_DATE,
            "False",
            reason::BOOTSTRAPPING,
            "The pods are being created.",
        );
    }
    if !facts.is_applied() {
        let (reason, message) = not_applied(facts);
        return verdict(kind::UP_TO_DATE, "False", &reason, &message);
    }
    if !facts.is_updated() {
        return verdict(
            kind::UP_TO_DATE,
            "False",
            reason::ROLLING_UPDATE,
            &rolling(facts),
        );
    }
    let revision = facts.target_revision().unwrap_or_default();
    let other_version = facts.target_version().map_or(String::new(), |wanted| {
        let version = facts.version().unwrap_or_default();
        format!(
            " The program says that it is version {version}, not {wanted}: the image holds another release than spec.version."
        )
    });
    let message = format!("Every pod is on revision {revision}.{other_version}");
    yes(kind::UP_TO_DATE, &message)
}

/// `Paused`: `spec.suspend`.
pub(super) fn paused(facts: &Facts<'_>) -> Verdict {
    if facts.observed.cluster.spec.suspend {
        return verdict(
            kind::PAUSED,
            "True",
            reason::SUSPENDED,
            "spec.suspend is set: the operator observes and reports, and changes nothing.",
        );
    }
    verdict(
        kind::PAUSED,
        "False",
        reason::NOT_SUSPENDED,
        "spec.suspend is not set.",
    )
}

/// `Reconciling`, only while there is something to be done that needs no human.
pub(super) fn reconciling(facts: &Facts<'_>, ready: &Verdict) -> Option<Verdict> {
    if facts.stage() == Stage::Suspended {
        return None;
    }
    let progress = facts.plan.report.progress.as_ref();
    if !stalled::problems(facts).is_empty() {
        // Work that goes on beside what a human is asked for, such as a roll after a refused number of replicas.
        let progress = progress?;
        return Some(verdict(
            kind::RECONCILING,
            "True",
            &progress.reason,
            &progress.message,
        ));
    }
    if ready.status == "True" {
        return None;
    }
    Some(match progress {
        Some(progress) => verdict(
            kind::RECONCILING,
            "True",
            &progress.reason,
            &progress.message,
        ),
        None => verdict(kind::RECONCILING, "True", &ready.reason, &ready.message),
    })
}

/// `Stalled`, only while a human is needed.
pub(super) fn stalled(facts: &Facts<'_>) -> Option<Verdict> {
    let problems = stalled::problems(facts);
    let first = problems.first()?;
    let messages = problems.iter().map(|one| one.message.as_str());
    Some(verdict(
        kind::STALLED,
        "True",
        &first.reason,
        &words::sentences(messages),
    ))
}

fn bootstrapping(facts: &Facts<'_>) -> String {
    let progress = facts.plan.report.progress.as_ref();
    let what = progress.map_or("The quorum is being made.", |progress| &progress.message);
    let has_problem = facts
        .observed
        .pods
        .values()
        .any(|pod| pod.problem.is_some());
    if has_problem {
        return format!("{what} {}", words::troubles(facts));
    }
    what.to_owned()
}

fn no_leader(facts: &Facts<'_>) -> String {
    let numbers = facts.counts().map_or(String::new(), |counts| {
        format!(
            "{} of {} voters are up, {} are needed to elect one.",
            counts.healthy,
            counts.voters,
            counts.quorum_size()
        )
    });
    format!("No member leads. {numbers} {}", words::troubles(facts))
}

fn not_applied(facts: &Facts<'_>) -> (String, String) {
    let generation = facts.generation();
    if facts.observed.cluster.spec.suspend {
        let message =
            format!("spec.suspend is set: generation {generation} of the spec is not applied.");
        return (reason::SUSPENDED.to_owned(), message);
    }
    let message = format!("Generation {generation} of the spec is being applied.");
    (reason::APPLYING.to_owned(), message)
}

fn rolling(facts: &Facts<'_>) -> String {
    let numbers = format!(
        "{} of {} pods are on the newest revision.",
        facts.updated_pods(),
        facts.wanted_pods()
    );
    match &facts.plan.report.progress {
        Some(progress) => format!("{numbers} {}", progress.message),
        None => format!("{numbers} {}", words::troubles(facts)),
    }
}

fn pods_not_ready(facts: &Facts<'_>) -> String {
    format!(
        "{} of {} pods are Ready. {}",
        facts.ready_pods(),
        facts.wanted_pods(),
        words::troubles(facts)
    )
}

fn unhealthy_voters(facts: &Facts<'_>) -> String {
    let unhealthy = facts
        .members
        .iter()
        .filter(|member| is_voter(member.role) && !member.healthy);
    let each: Vec<String> = unhealthy
        .map(|member| match &member.message {
            Some(message) => format!("{}: {message}.", member.pod_name),
            None => format!("{} is not healthy.", member.pod_name),
        })
        .collect();
    let numbers = facts.counts().map_or(String::new(), |counts| {
        let more = match counts.failures_tolerated(facts.has_leader()) {
            0 => "no more may fail".to_owned(),
            more => format!("{more} more may fail"),
        };
        format!(
            "{} of {} voters are healthy; {more}.",
            counts.healthy, counts.voters
        )
    });
    format!("{numbers} {}", each.join(" "))
}
