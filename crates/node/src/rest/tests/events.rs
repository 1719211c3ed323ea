//! The stream of events, over a real connection.

use std::time::Duration;

use dmq_api::client::Client;
use dmq_api::rest::controller::NodeState as WireState;
use dmq_metadata::{NodeId, Term};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::fake::Rig;
use crate::handle::NodeState;
use crate::rest::Surface;

/// More than any of these tests needs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Serves the rig's interface; answers its address and the switch that stops it.
pub(super) async fn served(rig: &Rig) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = watch::Sender::new(false);
    let (rest, told) = (rig.rest.clone(), stop.subscribe());
    tokio::spawn(async move { rest.serve(listener, Surface::Full, told).await });
    (url, stop)
}

#[tokio::test]
async fn a_follower_of_the_stream_sees_the_present_every_change_and_the_end() {
    let rig = Rig::new();
    let (url, stop) = served(&rig).await;
    let client = Client::new([url.clone()]).unwrap();
    let mut stream = client.events_of(&url).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (first.event.state, first.event.leader_id, first.event.term),
        (WireState::Leader, Some(1), 7)
    );

    rig.publish(|status| {
        status.state = NodeState::Follower;
        status.leader = Some(NodeId(2));
        status.term = Term(8);
    });
    let second = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (
            second.event.state,
            second.event.leader_id,
            second.event.term
        ),
        (WireState::Follower, Some(2), 8)
    );
    assert_eq!(second.sequence, first.sequence + 1);

    // What is no event of the quorum is not streamed: the next event is the one after it.
    rig.publish(|status| status.applied = dmq_metadata::MetadataIndex(99));
    rig.publish(|status| status.stopping = true);
    assert!(stream.next().await.unwrap().unwrap().event.stopping);

    stop.send_replace(true);
    let end = tokio::time::timeout(PATIENCE, stream.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_silent_stream_says_that_it_lives() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let address = format!("{url}/api/v1/metadata/quorum/events?follow=true");
    let mut response = reqwest::get(address).await.unwrap();
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        content_type.starts_with("text/event-stream"),
        "{content_type}"
    );
    let mut text = String::new();
    while !text.contains(": keep-alive\n\n") {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk())
            .await
            .unwrap()
            .unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert!(
        text.contains("id: 1\nevent: quorum\n") || text.contains("event: quorum\n"),
        "{text}"
    );
}

#[tokio::test]
async fn the_history_is_kept_in_order_without_repeats() {
    let rig = Rig::new();
    let mut seen = rig.rest.app.events.subscribe();
    for term in 8..12 {
        rig.publish(|status| status.term = Term(term));
        rig.publish(|_| ());
        seen.wait_for(|last| last.as_ref().is_some_and(|last| last.event.term == term))
            .await
            .unwrap();
    }
    let history = rig.get("/quorum/events").await.json();
    let events = history["events"].as_array().unwrap();
    let terms: Vec<u64> = events
        .iter()
        .map(|event| event["term"].as_u64().unwrap())
        .collect();
    let sequence: Vec<u64> = events
        .iter()
        .map(|event| event["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (terms, sequence),
        (vec![7, 8, 9, 10, 11], vec![1, 2, 3, 4, 5])
    );
}
