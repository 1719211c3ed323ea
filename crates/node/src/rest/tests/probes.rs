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
