//! No confirmed controller: how bad is it? It is reported and never acted upon, since whatever is deleted now may be
//! what the quorum comes back with.

use dmq_crd::condition;
use dmq_crd::status::OperationType;
use jiff::SignedDuration;

use super::draft::Draft;
use super::operation::{self, Course};
use super::view::{View, initialized, not_ready, ordinal_of};
use super::{Again, Stage, children};
use crate::observed::{Latch, Member, Observed, Pod, Problem, Voter};

/// An absence of a controller is not called a lost quorum before this, however fast elections are.
const SETTLE: SignedDuration = SignedDuration::from_secs(10);

/// Reports a quorum without a controller.
pub(super) fn leaderless(
    view: &View<'_>,
    course: &Course<'_>,
    draft: &mut Draft,
) -> (Stage, Again) {
    let voters = voters(view.observed);
    let down: Vec<Down> = voters
        .iter()
        .filter_map(|voter| down(view, voter))
        .collect();
    let majority = voters.len() / 2 + 1;
    let up = voters.len().saturating_sub(down.len());
    let coming = down.iter().filter(|down| down.coming).count();
    if let [only] = voters.as_slice()
        && restart_the_only_one(view, only, course, draft)
    {
        return (Stage::Rolling, Again::Soon);
    }
    let lasting = leaderless_for(view).is_some_and(|time| time >= settle(view));
    if up + coming >= majority || !lasting {
        let (stage, message) = if view.led_once() {
            (Stage::NoLeader, waiting(&down))
        } else {
            (
                Stage::Bootstrapping,
                "the first controller is being elected".to_owned(),
            )
        };
        draft.wait("NoLeader", message);
        return (stage, Again::Soon);
    }
    let list: Vec<String> = down.into_iter().map(|down| down.why).collect();
    let message = format!(
        "{up} of {} voters are up, {majority} are needed: {}. Nothing is deleted or initialised to repair this: bring \
         the pods back{}",
        voters.len(),
        list.join("; "),
        hint(view),
    );
    draft.stall(Problem::new("QuorumLost", message));
    (Stage::QuorumLost, Again::Soon)
}

/// What a user can do where the operator must not.
fn hint(view: &View<'_>) -> String {
    let outdated: Vec<&str> = view
        .pods()
        .filter(|(_, pod)| view.outdated(pod) && !pod.ready)
        .map(|(_, pod)| pod.name.as_str())
        .collect();
    if outdated.is_empty() {
        return String::new();
    }
    format!(
        ". These run an older template than the present one, delete them to have them made again from it: {}",
        outdated.join(", ")
    )
}

fn waiting(down: &[Down]) -> String {
    if down.is_empty() {
        return "no controller is confirmed: an election may be under way".to_owned();
    }
    let list: Vec<&str> = down.iter().map(|down| down.why.as_str()).collect();
    format!("no controller is confirmed: {}", list.join("; "))
}

/// A voter that is not there.
struct Down {
    /// Which, and why.
    why: String,
    /// Its pod is starting, and nothing says yet that it will not come up.
    coming: bool,
}

/// The voters as far as they are known: from the member that knows the newest configuration, else the first ones.
pub(super) fn voters(observed: &Observed) -> Vec<Voter> {
    let newest = observed
        .members
        .values()
        .filter(|member| initialized(member) && !member.quorum.voters.is_empty())
        .max_by_key(|member| (member.quorum.membership_index, member.quorum.term));
    if let Some(Member { quorum, .. }) = newest {
        let voter = |voter: &dmq_api::rest::quorum::MemberResponse| Voter {
            id: voter.id,
            directory_id: voter.directory_id,
        };
        return quorum.voters.iter().map(voter).collect();
    }
    match &observed.voters {
        Latch::Set(voters) => voters.clone(),
        _ => Vec::new(),
    }
}

/// Why a voter is down, if it is: its pod is gone or neither Ready nor answering, or it came back empty.
fn down(view: &View<'_>, voter: &Voter) -> Option<Down> {
    let gone = |why: String| Some(Down { why, coming: false });
    let ordinal = ordinal_of(voter.id);
    let name = view.pod_name(ordinal);
    let Some(pod) = view.pod(ordinal) else {
        return gone(format!("pod {name} does not exist"));
    };
    if pod.terminating {
        return gone(format!("pod {name} is stopping"));
    }
    if let Some(member) = view.member(ordinal) {
        if member.quorum.directory_id == voter.directory_id {
            return None;
        }
        return gone(format!(
            "pod {name} lost its data: it came up with another data directory"
        ));
    }
    (!pod.ready).then(|| Down {
        why: not_ready(pod).message,
        coming: view.failure(pod).is_none(),
    })
}

/// How long there has been no controller, by the status: `Available` is `False` since then.
fn leaderless_for(view: &View<'_>) -> Option<SignedDuration> {
    let status = view.observed.cluster.status.as_ref()?;
    let available = status
        .conditions
        .iter()
        .find(|known| known.type_ == condition::kind::AVAILABLE && known.status == "False")?;
    Some(view.since(available.last_transition_time.0))
}

/// Three elections' time: each may take twice the timeout.
fn settle(view: &View<'_>) -> SignedDuration {
    let election = i64::from(view.spec().raft.election_timeout_ms);
    SignedDuration::from_millis(election * 6).max(SETTLE)
}

/// The only voter has failed and its template was changed: it cannot get worse, and only this lets the new template in.
fn restart_the_only_one(
    view: &View<'_>,
    voter: &Voter,
    course: &Course<'_>,
    draft: &mut Draft,
) -> bool {
    let set = view.observed.stateful_set.as_ref();
    let stands = set.is_some_and(|set| !set.terminating && children::template_stands(view, set));
    let secrets = view.observed.missing.is_empty();
    if !stands || !secrets || !matches!(course, Course::Free | Course::Written) {
        return false;
    }
    let Some(pod) = view.pod(ordinal_of(voter.id)) else {
        return false;
    };
    if !is_hopeless(view, ordinal_of(voter.id), pod) {
        return false;
    }
    let reason = "it does not run, and its template has changed";
    draft.wait(
        "ReplacingPod",
        format!("pod {} is replaced: {reason}", pod.name),
    );
    operation::begin(view, OperationType::Restart, pod, reason, draft);
    draft.act(operation::deletion(pod, reason));
    true
}

fn is_hopeless(view: &View<'_>, ordinal: i32, pod: &Pod) -> bool {
    view.outdated(pod)
        && !pod.terminating
        && view.member(ordinal).is_none()
        && view.failure(pod).is_some()
}
