//! What the nodes say of themselves, and which of them leads: all are asked at once, nobody waits long for the dead.

use std::collections::BTreeMap;
use std::time::Duration;

use dmq_api::rest::controller::NodeState;
use dmq_api::rest::quorum::QuorumResponse;
use dmq_crd::names;
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::nodes::{ASK_TIMEOUT, Nodes};
use crate::observed::{Leader, Member};

/// Once a leader is confirmed, the others have this much longer to answer: a new leader must show soon.
const GRACE: Duration = Duration::from_millis(500);
/// Followers that are asked who leads when the leader cannot be.
const WITNESSES: usize = 2;

/// A pod that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Ordinal of the pod.
    pub ordinal: i32,
    /// REST address of its node.
    pub url: String,
    /// Kubernetes calls the pod Ready, so the address is its own.
    pub ready: bool,
}

/// What the nodes said.
#[derive(Debug, Default)]
pub struct Views {
    /// By ordinal; who did not answer is absent.
    pub members: BTreeMap<i32, Member>,
    /// Who leads in the highest term that a majority confirmed.
    pub leader: Option<Leader>,
    /// Pods at whose address somebody else's node answers, by ordinal, and what it says that it is.
    pub strangers: BTreeMap<i32, String>,
}

/// What there is to ask.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Name of the DMQ cluster, once it is latched.
    pub cluster_id: Option<&'a str>,
    /// The controller is asked too whether each voter may be stopped.
    pub may_restart: bool,
}

/// Asks all of them.
pub async fn ask(nodes: &Nodes, targets: &[Target], question: Question<'_>) -> Views {
    let mut views = first_round(nodes, targets, question.cluster_id).await;
    let direct = views.leader.is_some();
    if !direct {
        views.leader = second_hand(nodes, targets, &views.members).await;
    }
    let may_restart = question.may_restart && direct;
    if let Some(leader) = &mut views.leader {
        second_round(nodes, targets, leader, &mut views.members, may_restart).await;
    }
    views
}

/// Everybody's own view, and a confirmation from whoever claims to lead.
async fn first_round(nodes: &Nodes, targets: &[Target], cluster_id: Option<&str>) -> Views {
    let mut views = Views::default();
    let mut asked: FuturesUnordered<_> = targets.iter().map(|target| hear(nodes, target)).collect();
    let mut confirming = FuturesUnordered::new();
    let mut ends = Instant::now() + 2 * ASK_TIMEOUT;
    while !(asked.is_empty() && confirming.is_empty()) {
        tokio::select! {
            Some((target, member)) = asked.next(), if !asked.is_empty() => {
                let Some(member) = member else { continue };
                if let Some(stranger) = stranger(target, &member.quorum, cluster_id) {
                    views.strangers.insert(target.ordinal, stranger);
                    continue;
                }
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

/// The address of a pod that is down may have been given to another pod in the meantime, even to a node of another
/// quorum: what that one says is not taken for the pod's own words.
fn stranger(target: &Target, quorum: &QuorumResponse, cluster_id: Option<&str>) -> Option<String> {
    let wanted = u32::try_from(names::node_id(target.ordinal)).ok();
    let other_cluster = cluster_id.is_some_and(|id| id != quorum.cluster_id) && !target.ready;
    if wanted == Some(quorum.node_id) && !other_cluster {
        return None;
    }
    Some(format!(
        "node {} of DMQ cluster {} answers at {}, which was the address of this pod",
        quorum.node_id, quorum.cluster_id, target.url
    ))
}

/// Who leads, if the leader itself cannot be reached from here: a follower has a majority confirm it too. It does not
/// know the progress of the others, so nothing can be restarted on its word.
async fn second_hand(
    nodes: &Nodes,
    targets: &[Target],
    members: &BTreeMap<i32, Member>,
) -> Option<Leader> {
    let mut witnesses: Vec<(u64, &Target)> = members
        .iter()
        .filter(|(_, member)| member.quorum.leader_id.is_some())
        .filter_map(|(ordinal, member)| {
            let target = targets.iter().find(|target| target.ordinal == *ordinal)?;
            Some((member.quorum.term, target))
        })
        .collect();
    witnesses.sort_by_key(|(term, target)| (std::cmp::Reverse(*term), target.ordinal));
    let asked = witnesses
        .into_iter()
        .take(WITNESSES)
        .map(|(_, target)| nodes.confirmed_quorum(&target.url));
    let answers = join_all(asked).await.into_iter().filter_map(Result::ok);
    answers.filter_map(named).max_by_key(|leader| leader.term)
}

/// The leader that a follower names, with the document turned into what the leader would say of itself.
fn named(mut quorum: QuorumResponse) -> Option<Leader> {
    let id = quorum.leader_id?;
    // While one voter set replaces another, a leader may be on its way out.
    let leaving = quorum.outgoing_voters.iter().flatten();
    let mut voters = quorum.voters.iter().chain(leaving);
    let directory_id = voters.find(|voter| voter.id == id)?.directory_id;
    quorum.node_id = id;
    quorum.directory_id = directory_id;
    quorum.state = NodeState::Leader;
    Some(Leader {
        id,
        ordinal: i32::try_from(id).ok()? - 1,
        term: quorum.term,
        quorum,
        pre_restart: BTreeMap::new(),
    })
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
