//! Events: what changed between the stored status and the next one, and what was done. Each comes once, on the change.

use dmq_crd::DmqMetadataClusterStatus as Status;
use dmq_crd::condition::{kind, reason};
use dmq_crd::names;
use dmq_crd::status::{OperationType, Phase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;

use super::words;
use crate::observed::Problem;
use crate::plan::{Action, Plan, Stage};

/// Longest note that the API server takes, with some room.
const NOTE_MAX: usize = 1_000;

/// An Event on the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// `Normal` or `Warning`.
    pub type_: EventType,
    /// One word.
    pub reason: String,
    /// A sentence, at most 1,000 bytes.
    pub note: String,
    /// The pod that it is also about.
    pub pod: Option<String>,
}

impl EventNote {
    fn normal(reason: &str, note: &str) -> Self {
        Self {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: words::cut(&words::tidy(note), NOTE_MAX),
            pod: None,
        }
    }

    fn warning(reason: &str, note: &str) -> Self {
        Self {
            type_: EventType::Warning,
            ..Self::normal(reason, note)
        }
    }

    fn about(self, pod: &str) -> Self {
        Self {
            pod: Some(pod.to_owned()),
            ..self
        }
    }
}

/// The Events of a pass: `previous` is the status that was stored, `next` the one that replaces it, `done` the actions
/// that succeeded. `name` of the object makes the names of its pods.
pub fn events(
    name: &str,
    previous: Option<&Status>,
    next: &Status,
    plan: &Plan,
    done: &[Action],
) -> Vec<EventNote> {
    let nothing = Status::default();
    let previous = previous.unwrap_or(&nothing);
    let mut notes = Vec::new();
    notes.extend(done.iter().filter_map(|action| of_action(name, action)));
    notes.extend(of_leader(previous, next));
    notes.extend(of_roll(previous, next));
    notes.extend(of_problems(previous, next, plan));
    // A quorum that is being made is neither at risk nor behind: it has not been up yet.
    if previous.current_revision.is_some() {
        notes.extend(of_quorum(previous, next, plan));
        notes.extend(of_projection(previous, next));
    }
    notes
}

fn of_action(name: &str, action: &Action) -> Option<EventNote> {
    match action {
        Action::DeletePod { pod, reason, .. } => {
            let note =
                format!("Deleted pod {pod}, which comes back from the newest template: {reason}");
            Some(EventNote::normal("PodRestarted", &note).about(pod))
        }
        Action::Transfer { from, target, .. } => {
            let from = names::pod(name, *from);
            let to = names::pod(name, ordinal_of(*target));
            let note = format!("{from} handed leadership to {to}");
            Some(EventNote::normal("LeadershipTransferred", &note).about(&to))
        }
        Action::Initialize {
            cluster_id, voters, ..
        } => {
            let note = format!(
                "Made the quorum of DMQ cluster {cluster_id} with {} voters",
                voters.len()
            );
            Some(EventNote::normal("ClusterBootstrapped", &note))
        }
        _ => None,
    }
}

fn ordinal_of(node: u32) -> i32 {
    i32::try_from(node).map_or(-1, |id| id - 1)
}

/// A reign that ended, and one that began.
fn of_leader(previous: &Status, next: &Status) -> Option<EventNote> {
    match (&previous.leader, &next.leader) {
        (Some(old), None) => {
            let transfers = next
                .operation
                .as_ref()
                .is_some_and(|operation| operation.type_ == OperationType::TransferLeadership);
            let term = previous.term.unwrap_or_default();
            let note = format!(
                "{} no longer leads (term {term}); no other member does yet",
                old.pod_name
            );
            // Leadership that is handed over on purpose is on its way: nothing to look at.
            (!transfers).then(|| EventNote::warning("LeaderLost", &note).about(&old.pod_name))
        }
        (old, Some(new))
            if previous.term != next.term || old.as_ref().is_some_and(|old| old.id != new.id) =>
        {
            let term = next.term.unwrap_or_default();
            let before = match (old, previous.term) {
                (Some(old), Some(term)) => format!("; before, {} led in term {term}", old.pod_name),
                (None, Some(term)) => format!("; the term before was {term}"),
                _ => String::new(),
            };
            let note = format!("{} leads in term {term}{before}", new.pod_name);
            Some(EventNote::normal("LeaderChanged", &note).about(&new.pod_name))
        }
        _ => None,
    }
}

fn of_roll(previous: &Status, next: &Status) -> Vec<EventNote> {
    let mut notes = Vec::new();
    if let (Some(old), Some(new)) = (&previous.update_revision, &next.update_revision)
        && old != new
    {
        let note = format!(
            "The pods are replaced one by one, the controller's last: from revision {} to {new}",
            next.current_revision.as_ref().unwrap_or(old)
        );
        notes.push(EventNote::normal("RollingUpdateStarted", &note));
    }
    let was_rolling = condition(previous, kind::UP_TO_DATE).is_some_and(|before| {
        before.status == "False"
            && [reason::ROLLING_UPDATE, reason::ROLL_PAUSED].contains(&before.reason.as_str())
    });
    let is_done = condition(next, kind::UP_TO_DATE).is_some_and(|now| now.status == "True");
    if was_rolling && is_done {
        let note = format!(
            "Every pod is on revision {}",
            next.update_revision.as_deref().unwrap_or_default()
        );
        notes.push(EventNote::normal("RollingUpdateCompleted", &note));
    }
    notes
}

/// What a human is asked for, once: when it was not in the status before.
fn of_problems(previous: &Status, next: &Status, plan: &Plan) -> Vec<EventNote> {
    let Some(stalled) = condition(next, kind::STALLED) else {
        return Vec::new();
    };
    let report = &plan.report;
    let mut problems: Vec<Problem> = report.stalled.iter().cloned().collect();
    problems.extend(
        report
            .rejected
            .iter()
            .filter(|one| Some(*one) != report.stalled.as_ref())
            .cloned(),
    );
    if problems.is_empty() {
        problems.push(Problem {
            reason: stalled.reason.clone(),
            message: stalled.message.clone(),
        });
    }
    let said = condition(previous, kind::STALLED).map_or("", |before| before.message.as_str());
    let said = words::gist(said);
    problems
        .iter()
        .filter(|problem| !said.contains(&words::gist(&words::tidy(&problem.message))))
        .map(|problem| {
            let reason = match problem.reason.as_str() {
                reason::ROLL_PAUSED => "RollingUpdatePaused",
                other => other,
            };
            EventNote::warning(reason, &problem.message)
        })
        .collect()
}

/// One more failure would stop the quorum, or no longer would. Pods that we replace ourselves are no alarm.
fn of_quorum(previous: &Status, next: &Status, plan: &Plan) -> Option<EventNote> {
    let lost = |status: &Status| status.phase == Some(Phase::QuorumLost) && status.leader.is_none();
    let rolls = plan.report.stage == Stage::Rolling || previous.phase == Some(Phase::Updating);
    if lost(previous) && next.leader.is_some() {
        let note = format!(
            "The quorum serves again. {}",
            message(next, kind::QUORUM_HEALTHY)
        );
        return Some(EventNote::normal("QuorumRecovered", &note));
    }
    if rolls {
        return None;
    }
    match (is_at_risk(previous), is_at_risk(next)) {
        (false, true) => Some(EventNote::warning(
            "QuorumAtRisk",
            message(next, kind::QUORUM_HEALTHY),
        )),
        (true, false) if next.leader.is_some() => Some(EventNote::normal(
            "QuorumRecovered",
            message(next, kind::QUORUM_HEALTHY),
        )),
        _ => None,
    }
}

/// It serves, and would not with one voter less, though it was made to bear that.
fn is_at_risk(status: &Status) -> bool {
    status.leader.is_some()
        && status.voters.is_some_and(|voters| voters > 1)
        && status.failures_tolerated == Some(0)
}

fn of_projection(previous: &Status, next: &Status) -> Option<EventNote> {
    let status =
        |of: &Status| condition(of, kind::PROJECTION_HEALTHY).map(|one| one.status.clone());
    let (before, now) = (status(previous), status(next));
    if before == now {
        return None;
    }
    let note = message(next, kind::PROJECTION_HEALTHY);
    match (before.as_deref(), now.as_deref()) {
        (_, Some("False")) => Some(EventNote::warning("ProjectionUnhealthy", note)),
        (Some("False"), Some("True")) => Some(EventNote::normal("ProjectionRecovered", note)),
        _ => None,
    }
}

fn condition<'a>(status: &'a Status, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

fn message<'a>(status: &'a Status, kind: &str) -> &'a str {
    condition(status, kind).map_or("", |condition| condition.message.as_str())
}
