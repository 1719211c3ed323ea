//! What the nodes say of themselves, and which of them leads: all are asked at once, nobody waits long for the dead.

use std::collections::BTreeMap;
use std::time::Duration;

use dmq_api::rest::controller::NodeState;
use dmq_api::rest::quorum::QuorumResponse;
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::nodes::{ASK_TIMEOUT, Nodes};
use crate::observed::{Leader, Member};

/// Once a leader is confirmed, the others have this much longer to answer: a new leader must show soon.
const GRACE: Duration = Duration::from_millis(500);

/// A pod that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Ordinal of the pod.
    pub ordinal: i32,
    /// REST address of its node.
    pub url: String,
}

/// What the nodes said.
#[derive(Debug, Default)]
pub struct Views {
    /// By ordinal; who did not answer is absent.
    pub members: BTreeMap<i32, Member>,
    /// Who leads in the highest term that a majority confirmed.
    pub leader: Option<Leader>,
}

/// Asks all of them. `may_restart`: the controller is asked too whether each voter may be stopped.
pub async fn ask(nodes: &Nodes, targets: &[Target], may_restart: bool) -> Views {
    let mut views = first_round(nodes, targets).await;
    if let Some(leader) = &mut views.leader {
        second_round(nodes, targets, leader, &mut views.members, may_restart).await;
    }
    views
}

/// Everybody's own view, and a confirmation from whoever claims to lead.
async fn first_round(nodes: &Nodes, targets: &[Target]) -> Views {
    let mut views = Views::default();
    let mut asked: FuturesUnordered<_> = targets.iter().map(|target| hear(nodes, target)).collect();
    let mut confirming = FuturesUnordered::new();
    let mut ends = Instant::now() + 2 * ASK_TIMEOUT;
    while !(asked.is_empty() && confirming.is_empty()) {
        tokio::select! {
            Some((target, member)) = asked.next(), if !asked.is_empty() => {
                let Some(member) = member else { continue };
                if member.quorum.state == NodeState::Leader {
                    confirming.push(confirm(nodes, target));
                }
                views.members.insert(target.ordinal, member);
            }
            Some(confirmed) = confirming.next(), if !confirming.is_empty() => {
                let Some((target, quorum)) = confirmed else { continue };
                ends = ends.min(Instant::now() + GRACE);
                views.leader = Some(later(views.leader.take(), led_by(target, quorum)));
            }
            () = sleep_until(ends) => break,
        }
    }
    views
}

async fn hear<'a>(nodes: &Nodes, target: &'a Target) -> (&'a Target, Option<Member>) {
    let asked = tokio::try_join!(nodes.quorum(&target.url), nodes.controller(&target.url));
    let member = asked
        .inspect_err(|error| tracing::debug!(url = target.url, %error, "a node does not answer"))
        .ok();
    let member = member.map(|(quorum, controller)| Member {
        quorum,
        version: controller.version,
        post_restart: None,
    });
    (target, member)
}

/// A leader that lost its majority and has not noticed cannot confirm.
async fn confirm<'a>(nodes: &Nodes, target: &'a Target) -> Option<(&'a Target, QuorumResponse)> {
    let confirmed = nodes.confirmed_quorum(&target.url).await;
    let quorum = confirmed
        .inspect_err(
            |error| tracing::debug!(url = target.url, %error, "leadership is not confirmed"),
        )
        .ok()?;
    (quorum.state == NodeState::Leader && quorum.leader_id == Some(quorum.node_id))
        .then_some((target, quorum))
}

fn led_by(target: &Target, quorum: QuorumResponse) -> Leader {
    Leader {
        id: quorum.node_id,
        ordinal: target.ordinal,
        term: quorum.term,
        quorum,
        pre_restart: BTreeMap::new(),
    }
}

fn later(known: Option<Leader>, next: Leader) -> Leader {
    match known {
        Some(known) if known.term > next.term => known,
        _ => next,
    }
}

/// What only makes sense once a leader is known: who has caught up with it, and whom it could do without.
async fn second_round(
    nodes: &Nodes,
    targets: &[Target],
    leader: &mut Leader,
    members: &mut BTreeMap<i32, Member>,
    may_restart: bool,
) {
    let url_of = |ordinal: i32| {
        targets
            .iter()
            .find(|target| target.ordinal == ordinal)
            .map_or("", |target| target.url.as_str())
    };
    let index = leader.quorum.commit_index;
    let caught_up = join_all(members.keys().map(|&ordinal| async move {
        let answer = nodes.post_restart(url_of(ordinal), index).await;
        (ordinal, answer.ok())
    }));
    let leader_url = url_of(leader.ordinal);
    let voters = leader.quorum.voters.iter().map(|voter| voter.id);
    let asked: Vec<u32> = voters.filter(|_| may_restart).collect();
    let dispensable = join_all(asked.into_iter().map(|id| async move {
        let answer = nodes.pre_restart(leader_url, id).await;
        (id, answer.ok())
    }));
    let (caught_up, dispensable) = tokio::join!(caught_up, dispensable);
    for (ordinal, answer) in caught_up {
        if let Some(member) = members.get_mut(&ordinal) {
            member.post_restart = answer;
        }
    }
    leader.pre_restart = dispensable
        .into_iter()
        .filter_map(|(id, answer)| Some((id, answer?)))
        .collect();
}

#[cfg(test)]
mod tests;
