//! Who is next: what does not run anyway, members without a vote, followers (the furthest behind first), the leader last.

use super::view::{View, node_id};
use crate::observed::{Leader, Pod};

/// The next outdated pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Nobody misses it: it does not run, has no vote, or follows.
    Pod(i32, &'a Pod, &'static str),
    /// Only the leader is left.
    Leader(i32, &'a Pod),
}

/// The next outdated pod; `None` if there is none.
pub(super) fn next<'a>(view: &View<'a>, leader: &Leader) -> Option<Next<'a>> {
    let outdated: Vec<(i32, &Pod)> = view.pods().filter(|(_, pod)| view.outdated(pod)).collect();
    let others = || {
        outdated
            .iter()
            .copied()
            .filter(|(ordinal, _)| *ordinal != leader.ordinal)
    };
    let votes = |ordinal: i32| {
        let id = node_id(ordinal);
        leader.quorum.voters.iter().any(|voter| voter.id == id)
    };
    let broken = others().filter(|(_, pod)| !pod.ready);
    if let Some((ordinal, pod)) =
        broken.max_by_key(|(ordinal, pod)| surely_down(view, *ordinal, pod))
    {
        let reason = "it does not run, and its template has changed";
        return Some(Next::Pod(ordinal, pod, reason));
    }
    if let Some((ordinal, pod)) = others().rfind(|(ordinal, _)| !votes(*ordinal)) {
        return Some(Next::Pod(ordinal, pod, "its template has changed"));
    }
    if let Some((ordinal, pod)) =
        others().max_by_key(|(ordinal, _)| (lag(leader, *ordinal), *ordinal))
    {
        return Some(Next::Pod(ordinal, pod, "its template has changed"));
    }
    outdated
        .iter()
        .find(|(ordinal, _)| *ordinal == leader.ordinal)
        .map(|(ordinal, pod)| Next::Leader(*ordinal, pod))
}

/// How sure it is that a pod does not run: a silent node, a failure, the time. One that may only have stumbled must
/// not go while one that is down by our own hand is still to be brought back.
fn surely_down(view: &View<'_>, ordinal: i32, pod: &Pod) -> (bool, bool, i64, i32) {
    let since = pod.unready_since.unwrap_or(pod.created);
    (
        view.member(ordinal).is_none(),
        view.failure(pod).is_some(),
        view.since(since).as_secs(),
        ordinal,
    )
}

/// Entries that a follower lacks, in steps of what counts as caught up: a few entries more or less say nothing.
fn lag(leader: &Leader, ordinal: i32) -> u64 {
    let id = node_id(ordinal);
    let voter = leader.quorum.voters.iter().find(|voter| voter.id == id);
    voter.and_then(|voter| voter.lag).unwrap_or(u64::MAX) / 1_000
}
