//! The client against nodes that follow a script.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::rest::quorum::TransferRequest;
use crate::rest::topics::{CreateTopicRequest, PartitionResponse, UpdatePartitionRequest};
use crate::status::Code;

/// A node that gives each connection its next answer; an empty one closes without a word.
struct ScriptedNode {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl ScriptedNode {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                heard.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
            rest.split("\r\n").next().unwrap().parse().unwrap()
        });
        if body.len() >= length {
            return text;
        }
    }
}

fn answer(status: u16, body: &impl Serialize) -> String {
    let body = serde_json::to_string(body).unwrap();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\nx-metadata-index: 7\r\n\
         x-metadata-term: 2\r\n\r\n{body}",
        body.len(),
    )
}

fn problem(code: Code, leader: Option<&str>) -> String {
    let mut problem = Problem::new(code, "because");
    problem.leader_url = leader.map(str::to_owned);
    answer(problem.status, &problem)
}

fn partition() -> PartitionResponse {
    PartitionResponse {
        partition_id: 0,
        leader_id: Some(101),
        leader_epoch: 1,
        partition_epoch: 2,
        replicas: vec![101],
        isr: vec![101],
        leader_recovery_state: crate::rest::topics::RecoveryState::Recovered,
    }
}

fn key_of(request: &str) -> &str {
    request
        .split("idempotency-key: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
}

#[tokio::test]
async fn a_write_follows_the_controller_and_the_next_one_goes_there_at_once() {
    let leader =
        ScriptedNode::start(vec![answer(200, &partition()), answer(200, &partition())]).await;
    let follower = ScriptedNode::start(vec![problem(Code::NotController, Some(&leader.url))]).await;
    let client = Client::new([follower.url.clone()]).unwrap();
    let request = UpdatePartitionRequest::default();
    for _ in 0..2 {
        let done = client
            .update_partition("orders", 0, &request)
            .await
            .unwrap();
        assert_eq!(
            (done.body, done.index, done.term),
            (partition(), Some(7), Some(2))
        );
    }
    assert_eq!((follower.seen().len(), leader.seen().len()), (1, 2));
    assert!(leader.seen()[0].starts_with("patch /api/v1/metadata/topics/orders/partitions/0 "));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let node = ScriptedNode::start(vec![
        String::new(),
        problem(Code::OutcomeUnknown, None),
        problem(Code::NoLeader, None),
        answer(200, &partition()),
    ])
    .await;
    let client = Client::new([node.url.clone()]).unwrap();
    client
        .update_partition("orders", 0, &UpdatePartitionRequest::default())
        .await
        .unwrap();
    let seen = node.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen.iter()
            .all(|request| key_of(request) == key_of(&seen[0]))
    );
}

#[tokio::test]
async fn a_refusal_is_final_and_carries_the_problem() {
    let node = ScriptedNode::start(vec![problem(Code::TopicAlreadyExists, None)]).await;
    let client = Client::new([node.url.clone()]).unwrap();
    let error = client
        .create_topic(&CreateTopicRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.problem().map(|problem| problem.code.as_str()),
        Some("TOPIC_ALREADY_EXISTS")
    );
    assert_eq!(node.seen().len(), 1);
}

#[tokio::test]
async fn a_dead_node_is_passed_over() {
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let node = ScriptedNode::start(vec![answer(200, &Vec::<u8>::new())]).await;
    let client = Client::new([dead, node.url.clone()])
        .unwrap()
        .with_token("secret\n")
        .unwrap();
    client.read::<Vec<u8>>("/brokers").await.unwrap();
    assert!(node.seen()[0].contains("authorization: bearer secret\r\n"));
}

#[tokio::test]
async fn the_deadline_ends_the_attempts_and_names_the_last_error() {
    let node = ScriptedNode::start(vec![problem(Code::NoQuorum, None); 50]).await;
    let client = Client::new([node.url.clone()])
        .unwrap()
        .with_deadline(Duration::from_millis(300));
    let error = client.delete_topic("orders").await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
    assert_eq!(
        error.problem().map(|problem| problem.code.as_str()),
        Some("NO_QUORUM")
    );
}

#[test]
fn addresses_are_checked() {
    for wrong in [
        "",
        "localhost:8080",
        "https://a:1",
        "http://",
        "http://a/b",
        "ftp://a",
    ] {
        assert!(Client::new([wrong]).is_err(), "{wrong}");
    }
    assert!(Client::new(Vec::<String>::new()).is_err());
    assert!(Client::new(["http://localhost:8080/"]).is_ok());
}

#[tokio::test]
async fn a_transfer_follows_the_controller_and_is_not_repeated_when_its_outcome_is_unknown() {
    let lost = vec![String::new(), problem(Code::OutcomeUnknown, None)];
    let leader = ScriptedNode::start(lost).await;
    let follower = ScriptedNode::start(vec![problem(Code::NotController, Some(&leader.url))]).await;
    let client = Client::new([follower.url.clone()]).unwrap();
    for attempts in 1..=2 {
        client
            .transfer(&TransferRequest::default())
            .await
            .unwrap_err();
        assert_eq!((follower.seen().len(), leader.seen().len()), (1, attempts));
        // Only the transport's own end makes the client forget who leads.
        client.remember(Some(leader.url.clone()));
    }
    assert!(!leader.seen()[0].contains("idempotency-key"));
}
