//! Probes: a controller that was deposed must not call a restart safe.

use std::sync::Arc;

use dmq_metadata::{NodeId, Term};

use super::fake::Rig;
use crate::handle::{Consistency, NodeState, NodeStatus, RequestError};

const PROBE: &str = "/quorum/probe/pre-restart?nodeId=3";

/// Changes the status while the probe waits for its read.
fn meanwhile(rig: &Rig, edit: impl FnOnce(&mut NodeStatus) + Send + 'static) {
    let status = rig.status.clone();
    *rig.member.during_read.lock().unwrap() = Some(Box::new(move || {
        status.send_modify(|status| edit(Arc::make_mut(status)));
    }));
}

#[tokio::test]
async fn a_controller_without_a_majority_gives_no_verdict() {
    let rig = Rig::new();
    rig.get(PROBE).await.json();
    let reads = rig.member.reads.lock().unwrap().clone();
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0].consistency, Consistency::Linearizable);
    rig.member.refuse(|| RequestError::NoQuorum);
    rig.get(PROBE).await.assert_problem(503, "NO_QUORUM");
}

#[tokio::test]
async fn an_unsafe_restart_names_the_voters_that_are_missing_and_why() {
    let rig = Rig::new();
    rig.status.send_modify(|status| {
        let status = Arc::make_mut(status);
        let own = status.node;
        let voter = status
            .voters
            .iter_mut()
            .find(|voter| voter.id.0 == 2 && voter.id != own);
        let progress = voter.and_then(|voter| voter.progress.as_mut()).unwrap();
        progress.last_contact = Some(std::time::Duration::from_millis(5_200));
    });
    let verdict = rig.get(PROBE).await.json();
    assert_eq!(verdict["safe"], false, "{verdict}");
    assert_eq!(
        verdict["reason"],
        "1 of 3 voters would stay and be caught up, 2 are needed; voter 2 is silent for 5200 ms"
    );
}

#[tokio::test]
async fn both_voter_sets_must_keep_a_majority_while_one_replaces_the_other() {
    let rig = Rig::new();
    rig.publish(|status| {
        // 1 and 2 are caught up, 3 was never heard of: the old set is 1, 2, 3, the new one 1, 2.
        status.outgoing = status.voters.clone();
        status.voters.truncate(2);
    });
    let of = |node: u32| format!("/quorum/probe/pre-restart?nodeId={node}");
    let verdict = rig.get(&of(3)).await.json();
    assert_eq!(verdict["safe"], true, "{verdict}");
    let verdict = rig.get(&of(2)).await.json();
    assert_eq!(
        verdict["reason"],
        "1 of 2 voters would stay and be caught up, 2 are needed"
    );
    rig.publish(|status| status.voters.truncate(1));
    let verdict = rig.get(&of(2)).await.json();
    assert_eq!(
        verdict["reason"],
        "1 of 3 outgoing voters would stay and be caught up, 2 are needed; voter 3 has not answered this \
         controller yet"
    );
}

#[tokio::test]
async fn a_linearizable_quorum_names_the_controller_that_was_confirmed() {
    const QUORUM: &str = "/quorum?consistency=linearizable";
    let rig = Rig::new();
    assert!(rig.get(QUORUM).await.json()["leaderId"].is_number());
    meanwhile(&rig, |status| status.term = Term(8));
    rig.get(QUORUM).await.assert_problem(503, "LEADER_CHANGED");
    meanwhile(&rig, |status| {
        status.state = NodeState::Follower;
        status.leader = None;
    });
    rig.get(QUORUM).await.assert_problem(503, "LEADER_CHANGED");
}

#[tokio::test]
async fn a_controller_that_is_deposed_meanwhile_gives_no_verdict() {
    let rig = Rig::new();
    meanwhile(&rig, |status| {
        status.state = NodeState::Follower;
        status.leader = Some(NodeId(2));
    });
    rig.get(PROBE).await.assert_problem(503, "NOT_CONTROLLER");
    let rig = Rig::new();
    meanwhile(&rig, |status| status.term = Term(8));
    rig.get(PROBE).await.assert_problem(503, "LEADER_CHANGED");
}
