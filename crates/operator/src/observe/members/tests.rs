//! Nodes that answer, are silent, or believe that they lead.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use dmq_api::rest::quorum::{MemberResponse, PostRestartResponse, PreRestartResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

/// A node that says what it is told to.
#[derive(Clone, Debug)]
struct Said {
    id: u32,
    state: NodeState,
    term: u64,
    confirms: bool,
    slow: Duration,
    leader: Option<u32>,
    cluster: &'static str,
}

impl Said {
    fn follower(id: u32) -> Self {
        Self {
            id,
            state: NodeState::Follower,
            term: 7,
            confirms: false,
            slow: Duration::ZERO,
            leader: None,
            cluster: "c",
        }
    }

    fn leader(id: u32, term: u64, confirms: bool) -> Self {
        Self {
            state: NodeState::Leader,
            leader: Some(id),
            term,
            confirms,
            ..Self::follower(id)
        }
    }

    fn quorum(&self) -> Value {
        let voters: Vec<Value> = (1..=3)
            .map(|id| serde_json::to_value(member(id)).unwrap())
            .collect();
        json!({
            "clusterId": self.cluster, "incarnation": "1", "nodeId": self.id, "directoryId": Uuid::nil(), "state": self.state,
            "leaderId": self.leader, "leaderUrl": null, "term": self.term,
            "commitIndex": 42, "lastIndex": 42, "durableIndex": 42, "appliedIndex": 42, "logStartIndex": 0,
            "projection": {"index": 42, "lag": 0, "healthy": true, "stopped": false},
            "membershipIndex": 1, "committedMembershipIndex": 1, "voters": voters, "observers": [],
            "maxFollowerLag": null, "maxFollowerLagTimeMs": null, "transferringTo": null,
            "ready": true, "stopping": false, "alarms": [],
        })
    }
}

fn member(id: u32) -> MemberResponse {
    MemberResponse {
        id,
        directory_id: Uuid::nil(),
        peer_address: None,
        url: None,
        matched_index: None,
        lag: None,
        last_contact_ms: None,
        last_caught_up_ms: None,
        receiving_snapshot: None,
        stopping: None,
        caught_up: None,
    }
}

async fn start(said: Said) -> Target {
    let ordinal = i32::try_from(said.id).unwrap() - 1;
    let quorum = async |State(said): State<Arc<Said>>,
                        Query(query): Query<BTreeMap<String, String>>| {
        tokio::time::sleep(said.slow).await;
        if query.contains_key("consistency") && !said.confirms {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(axum::Json(said.quorum()))
    };
    let controller = async |State(said): State<Arc<Said>>| {
        axum::Json(json!({
            "isLeader": false, "leaderId": null, "leaderUrl": null, "term": said.term, "state": said.state,
            "nodeId": said.id, "clusterId": "c", "incarnation": "1", "commitIndex": 42, "appliedIndex": 42,
            "projectedIndex": 42, "featureLevel": 1, "version": format!("0.1.{}", said.id), "alarms": [],
            "controllerId": null, "controllerUrl": null, "controllerTerm": 7, "timestamp": 0,
        }))
    };
    let post = async |State(said): State<Arc<Said>>,
                      Query(query): Query<BTreeMap<String, String>>| {
        axum::Json(PostRestartResponse {
            node_id: said.id,
            caught_up: query["index"] == "42",
            reason: None,
            applied_index: 42,
            leader_id: Some(1),
            term: 7,
        })
    };
    let pre = async |Query(query): Query<BTreeMap<String, String>>| {
        axum::Json(PreRestartResponse {
            node_id: query["nodeId"].parse().unwrap(),
            safe: true,
            reason: None,
            is_leader: false,
            successors: vec![1],
            majority: 2,
            commit_index: 42,
        })
    };
    let prefix = dmq_api::rest::PREFIX;
    let routes = Router::new()
        .route(&format!("{prefix}/quorum"), get(quorum))
        .route(&format!("{prefix}/controller"), get(controller))
        .route(&format!("{prefix}/quorum/probe/post-restart"), get(post))
        .route(&format!("{prefix}/quorum/probe/pre-restart"), get(pre))
        .with_state(Arc::new(said));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Target {
        ordinal,
        url,
        ready: true,
    }
}

async fn seen(said: Vec<Said>, may_restart: bool) -> Views {
    let mut targets = Vec::new();
    for said in said {
        targets.push(start(said).await);
    }
    asked(&targets, may_restart).await
}

async fn asked(targets: &[Target], may_restart: bool) -> Views {
    let question = Question {
        cluster_id: Some("c"),
        may_restart,
    };
    ask(&Nodes::new().unwrap(), targets, question).await
}

#[tokio::test]
async fn a_follower_names_a_leader_that_cannot_be_reached() {
    let witness = Said {
        leader: Some(1),
        confirms: true,
        ..Said::follower(2)
    };
    let gone = Target {
        ordinal: 0,
        url: "http://127.0.0.1:9".to_owned(),
        ready: true,
    };
    let views = asked(&[gone, start(witness).await], true).await;
    let leader = views.leader.unwrap();
    assert_eq!((leader.id, leader.ordinal, leader.term), (1, 0, 7));
    assert_eq!(
        (leader.quorum.node_id, leader.quorum.state),
        (1, NodeState::Leader)
    );
    assert!(
        leader.pre_restart.is_empty(),
        "nothing is restarted on its word"
    );
}

#[tokio::test]
async fn a_follower_that_cannot_have_it_confirmed_is_not_believed() {
    let witness = Said {
        leader: Some(1),
        ..Said::follower(2)
    };
    assert!(seen(vec![witness], false).await.leader.is_none());
}

#[tokio::test]
async fn another_node_at_the_address_of_a_pod_is_not_its_node() {
    let mut moved = start(Said::leader(2, 9, true)).await;
    moved.ordinal = 0;
    let mut foreign = start(Said {
        cluster: "other",
        ..Said::leader(3, 9, true)
    })
    .await;
    foreign.ready = false;
    let views = asked(&[moved, foreign], false).await;
    assert!(views.leader.is_none() && views.members.is_empty());
    assert_eq!(views.strangers.keys().copied().collect::<Vec<_>>(), [0, 2]);
    assert!(
        views.strangers[&2].contains("DMQ cluster other"),
        "{:?}",
        views.strangers
    );
}

#[tokio::test]
async fn the_leader_of_the_highest_term_that_confirms_is_believed() {
    let views = seen(
        vec![
            Said::leader(1, 9, false),
            Said::leader(2, 8, true),
            Said::leader(3, 7, true),
        ],
        false,
    )
    .await;
    let leader = views.leader.unwrap();
    assert_eq!((leader.id, leader.ordinal, leader.term), (2, 1, 8));
    assert!(leader.pre_restart.is_empty());
    assert_eq!(views.members.len(), 3);
    assert_eq!(views.members[&2].version, "0.1.3");
}

#[tokio::test]
async fn nobody_leads_while_nobody_confirms() {
    let views = seen(vec![Said::leader(1, 9, false), Said::follower(2)], true).await;
    assert!(views.leader.is_none());
    assert_eq!(views.members.len(), 2);
    assert!(views.members[&1].post_restart.is_none());
}

#[tokio::test]
async fn progress_is_asked_against_the_leader_and_for_every_voter() {
    let views = seen(vec![Said::leader(1, 7, true), Said::follower(2)], true).await;
    let leader = views.leader.unwrap();
    assert_eq!(
        leader.pre_restart.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3]
    );
    for member in views.members.values() {
        assert!(member.post_restart.as_ref().unwrap().caught_up);
    }
}

#[tokio::test]
async fn a_silent_node_does_not_hold_up_what_the_others_say() {
    let silent = Said {
        slow: Duration::from_secs(30),
        ..Said::follower(3)
    };
    let views = seen(
        vec![Said::leader(1, 7, true), Said::follower(2), silent],
        false,
    )
    .await;
    assert_eq!(views.members.keys().copied().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(views.leader.unwrap().id, 1);
}
