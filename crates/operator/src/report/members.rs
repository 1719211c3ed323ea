//! Who belongs to the quorum, and what is the matter with each: the rows of `status.members`.

use dmq_api::rest::controller::NodeState;
use dmq_api::rest::quorum::MemberResponse;
use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::names;
use dmq_crd::status::{Member, Role};

use super::words;
use crate::observed::{self, Observed, Pod};

/// A voter that lacks more entries than this is not healthy; as in the node's probe before a restart.
const LAG_MAX: u64 = 1_000;
/// A voter that the leader has not heard from for longer is not healthy; as in the node's probe before a restart.
const CONTACT_MAX_MS: u64 = 2_000;

/// A member as the quorum knows it.
struct Known {
    id: u32,
    directory_id: String,
    role: Role,
}

/// All rows: the members of the quorum, and pods that are none, by id and directory id.
pub(super) fn members(
    observed: &Observed,
    previous: Option<&DmqMetadataClusterStatus>,
) -> Vec<Member> {
    let before = previous.map_or(&[][..], |previous| &previous.members);
    let known = roster(observed, before);
    let mut rows: Vec<Member> = known
        .iter()
        .map(|member| member_row(observed, member, before))
        .collect();
    for (&ordinal, pod) in &observed.pods {
        rows.extend(pod_row(observed, ordinal, pod, before, &rows));
    }
    rows.sort_by(|a, b| (a.id, &a.directory_id).cmp(&(b.id, &b.directory_id)));
    rows
}

/// The members, from the confirmed leader or, without one, as they were last seen.
fn roster(observed: &Observed, before: &[Member]) -> Vec<Known> {
    // What a member claims that does not lead is no proof: it may be cut off, or of another life of the quorum.
    let Some(leader) = &observed.leader else {
        return remembered(before);
    };
    let view = &leader.quorum;
    let of = |members: &[MemberResponse], role: Role| -> Vec<Known> {
        let known = members.iter().map(|member| Known {
            id: member.id,
            directory_id: member.directory_id.to_string(),
            role: if leads(observed, member) {
                Role::Leader
            } else {
                role
            },
        });
        known.collect()
    };
    let mut roster = of(&view.voters, Role::Follower);
    roster.extend(of(&view.observers, Role::Learner));
    roster
}

fn remembered(before: &[Member]) -> Vec<Known> {
    let members = before.iter().filter(|member| is_member(member.role));
    members
        .filter_map(|member| {
            Some(Known {
                id: u32::try_from(member.id).ok()?,
                directory_id: member.directory_id.clone(),
                role: match member.role {
                    Role::Learner => Role::Learner,
                    _ => Role::Follower,
                },
            })
        })
        .collect()
}

/// Whether a row is a member of the quorum, and not just a pod.
pub(super) fn is_member(role: Role) -> bool {
    matches!(role, Role::Leader | Role::Follower | Role::Learner)
}

/// Whether a row is a voter.
pub(super) fn is_voter(role: Role) -> bool {
    matches!(role, Role::Leader | Role::Follower)
}

fn leads(observed: &Observed, member: &MemberResponse) -> bool {
    observed.leader.as_ref().is_some_and(|leader| {
        leader.id == member.id && leader.quorum.directory_id == member.directory_id
    })
}

fn member_row(observed: &Observed, known: &Known, before: &[Member]) -> Member {
    let ordinal = i32::try_from(known.id).map_or(-1, |id| id - 1);
    let pod = observed.pods.get(&ordinal);
    let answer = observed.members.get(&ordinal);
    let own = answer.filter(|answer| answer.quorum.directory_id.to_string() == known.directory_id);
    let replaced = answer.is_some() && own.is_none();
    let trouble = if replaced {
        Some("its data is gone: the pod of this name holds another data directory".to_owned())
    } else {
        pod_trouble(pod, words::pod_name(observed, ordinal).as_str())
            .or_else(|| progress_trouble(observed, known))
    };
    let silent = own.is_none() && observed.leader.is_none();
    let last = before
        .iter()
        .find(|row| row.id == ordinal + 1 && row.directory_id == known.directory_id);
    let version = own.map(|own| own.version.clone());
    Member {
        id: ordinal + 1,
        directory_id: known.directory_id.clone(),
        pod_name: words::pod_name(observed, ordinal),
        role: known.role,
        ready: !replaced && pod.is_some_and(is_ready),
        healthy: trouble.is_none() && !silent,
        version: version.or_else(|| last.and_then(|last| last.version.clone())),
        revision: pod.and_then(|pod| pod.revision.clone()),
        message: trouble
            .or_else(|| own.and_then(alarms))
            .or_else(|| silent.then(|| "it does not answer".to_owned())),
    }
}

/// The row of a pod that holds no member of the quorum; none if its member has a row already.
fn pod_row(
    observed: &Observed,
    ordinal: i32,
    pod: &Pod,
    before: &[Member],
    rows: &[Member],
) -> Option<Member> {
    let answer = observed.members.get(&ordinal);
    let id = names::node_id(ordinal);
    let directory_id = answer.map(|answer| answer.quorum.directory_id.to_string());
    let has_row = rows.iter().any(|row| {
        row.id == id
            && directory_id
                .as_ref()
                .is_none_or(|directory| *directory == row.directory_id)
    });
    if has_row {
        return None;
    }
    let last = before
        .iter()
        .find(|row| row.id == id && !is_member(row.role));
    let role = match answer {
        Some(answer) if answer.quorum.state == NodeState::Uninitialized => Role::Uninitialized,
        Some(_) => Role::Unknown,
        None => last.map_or(Role::Unknown, |last| last.role),
    };
    let version = answer.map(|answer| answer.version.clone());
    let was = last.map(|last| last.directory_id.clone());
    Some(Member {
        id,
        directory_id: directory_id.or(was).unwrap_or_default(),
        pod_name: pod.name.clone(),
        role,
        ready: is_ready(pod),
        healthy: false,
        version: version.or_else(|| last.and_then(|last| last.version.clone())),
        revision: pod.revision.clone(),
        message: pod_trouble(Some(pod), &pod.name).or_else(|| answer.and_then(alarms)),
    })
}

/// Ready, and not on its way out.
pub(super) fn is_ready(pod: &Pod) -> bool {
    pod.ready && !pod.terminating
}

/// What is wrong with a pod; nothing if it is Ready.
pub(super) fn pod_trouble(pod: Option<&Pod>, name: &str) -> Option<String> {
    let Some(pod) = pod else {
        return Some(format!("pod {name} does not exist"));
    };
    if pod.terminating {
        return Some(format!("pod {name} is being deleted"));
    }
    if pod.ready {
        return None;
    }
    Some(match &pod.problem {
        Some(problem) => words::problem(problem),
        None => format!("pod {name} is not Ready yet"),
    })
}

/// What is wrong with a member of a quorum whose pod is Ready, as the leader sees it. A leader that only another member
/// could confirm is not asked how far the others are: then no voter has a time of contact, not even the leader.
fn progress_trouble(observed: &Observed, known: &Known) -> Option<String> {
    let view = &observed.leader.as_ref()?.quorum;
    if view
        .voters
        .iter()
        .all(|voter| voter.last_contact_ms.is_none())
    {
        return Some("the operator cannot ask the controller how far it is".to_owned());
    }
    let mut members = view.voters.iter().chain(&view.observers);
    let seen = members.find(|member| {
        member.id == known.id && member.directory_id.to_string() == known.directory_id
    })?;
    if seen
        .last_contact_ms
        .is_none_or(|contact| contact > CONTACT_MAX_MS)
    {
        return Some("the controller does not hear from it".to_owned());
    }
    if seen.stopping == Some(true) {
        return Some("it is stopping".to_owned());
    }
    if seen.receiving_snapshot == Some(true) {
        return Some("the controller is sending it a snapshot".to_owned());
    }
    (seen.lag.is_none_or(|lag| lag > LAG_MAX))
        .then(|| format!("it lacks more than {LAG_MAX} entries of the log"))
}

fn alarms(answer: &observed::Member) -> Option<String> {
    let alarms = &answer.quorum.alarms;
    (!alarms.is_empty()).then(|| format!("alarm: {}", alarms.join(", ")))
}
