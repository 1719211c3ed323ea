//! Streams against a node that says what the test wants.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::*;

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    url: String,
    says: broadcast::Sender<Option<u64>>,
}

/// A node whose streams carry the terms that it is told; `None` ends them.
async fn node() -> Node {
    let (says, _) = broadcast::channel(16);
    let events = async |State(says): State<broadcast::Sender<Option<u64>>>| {
        let stream = unfold(says.subscribe(), async |mut told| {
            let term = told.recv().await.ok()??;
            let body = json!({
                "sequence": 1, "timestamp": 0, "state": "FOLLOWER", "term": term, "leaderId": null,
                "membershipIndex": 1, "incarnation": "1", "stopping": false,
            });
            Some((
                Ok::<_, Infallible>(Event::default().data(body.to_string())),
                told,
            ))
        });
        Sse::new(stream)
    };
    let path = format!("{}/quorum/events", dmq_api::rest::PREFIX);
    let routes = Router::new()
        .route(&path, get(events))
        .with_state(says.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Node { url, says }
}

impl Node {
    /// Says it once somebody listens.
    async fn say(&self, term: Option<u64>) {
        let listened = async {
            while self.says.receiver_count() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, listened).await.unwrap();
        self.says.send(term).unwrap();
    }
}

fn key() -> Key {
    Key {
        namespace: "default".to_owned(),
        name: "meta".to_owned(),
    }
}

fn pod(uid: &str, url: &str) -> Followed {
    Followed {
        pod_uid: uid.to_owned(),
        url: url.to_owned(),
    }
}

fn streams() -> (Streams, mpsc::Receiver<Key>) {
    Streams::new(Arc::new(Nodes::new().unwrap()), Gauge::default())
}

async fn triggered(receiver: &mut mpsc::Receiver<Key>) {
    assert_eq!(
        timeout(PATIENCE, receiver.recv()).await.unwrap(),
        Some(key())
    );
}

#[tokio::test]
async fn a_change_triggers_and_a_repetition_does_not() {
    let node = node().await;
    let (streams, mut receiver) = streams();
    streams.follow(&key(), &[pod("a", &node.url)]);
    node.say(Some(1)).await;
    triggered(&mut receiver).await;
    node.say(Some(1)).await;
    node.say(Some(2)).await;
    triggered(&mut receiver).await;
    assert!(receiver.try_recv().is_err());
}

#[tokio::test]
async fn a_lost_stream_triggers_and_is_followed_again() {
    let node = node().await;
    let (streams, mut receiver) = streams();
    streams.follow(&key(), &[pod("a", &node.url)]);
    node.say(Some(1)).await;
    triggered(&mut receiver).await;
    node.say(None).await;
    triggered(&mut receiver).await;
    node.say(Some(1)).await;
    triggered(&mut receiver).await;
}

#[tokio::test]
async fn only_the_pods_that_are_there_are_followed() {
    let (streams, _receiver) = streams();
    let (first, second) = (
        pod("a", "http://127.0.0.1:9"),
        pod("b", "http://127.0.0.1:9"),
    );
    streams.follow(&key(), &[first.clone(), second.clone()]);
    assert_eq!(streams.running.get(), 2);
    streams.follow(&key(), &[second]);
    assert_eq!(streams.running.get(), 1);
    streams.follow(&key(), &[first]);
    assert_eq!(streams.running.get(), 1);
    streams.forget(&key());
    assert_eq!(streams.running.get(), 0);
}

#[tokio::test]
async fn a_trigger_names_the_object() {
    use futures::StreamExt as _;
    let (sender, receiver) = mpsc::channel(1);
    sender.send(key()).await.unwrap();
    let mut triggers = std::pin::pin!(triggers(receiver));
    let reference = triggers.next().await.unwrap();
    assert_eq!(reference.name, "meta");
    assert_eq!(reference.namespace.as_deref(), Some("default"));
}
