//! Every class of error, as a table: what is sent, what comes back.

use std::sync::{Arc, Mutex};

use dmq_api::status::Code;
use dmq_metadata::{DirectoryId, MetadataIndex, NodeId, Rejection, RejectionCode, Term};

use super::fake::{Rig, request, request_with};
use crate::handle::{Membership, RequestError, Voter};

/// Method, path, body, status, code, field.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    Option<&'static str>,
);

async fn check(cases: &[Case]) {
    let rig = Rig::new();
    rig.member.broker(101);
    let before = rig.member.proposed.lock().unwrap().len();
    for &(method, path, body, status, code, field) in cases {
        let got = rig.json(method, path, body).await;
        got.assert_problem(status, code);
        assert_eq!(
            got.json()["field"].as_str(),
            field,
            "{method} {path} {body}: {got:?}"
        );
    }
    let proposed = rig.member.proposed.lock().unwrap().len() - before;
    assert_eq!(proposed, 0, "a bad request reached the log");
}

/// Requests for topics that break a rule.
const BAD_TOPICS: &[Case] = &[
    ("POST", "/topics", "{", 400, "MALFORMED_JSON", None),
    ("POST", "/topics", "null", 400, "INVALID_TYPE", Some("body")),
    (
        "POST",
        "/topics",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("topicName"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a"}"#,
        422,
        "INVALID_REQUEST",
        Some("numPartitions"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1}"#,
        422,
        "INVALID_REQUEST",
        Some("replicationFactor"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"replicationFactor":1,"x":1}"#,
        400,
        "UNKNOWN_FIELD",
        Some("x"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":7,"numPartitions":1,"replicationFactor":1}"#,
        400,
        "INVALID_TYPE",
        Some("topicName"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":"1","replicationFactor":1}"#,
        400,
        "INVALID_TYPE",
        Some("numPartitions"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":-1,"replicationFactor":1}"#,
        422,
        "INVALID_REQUEST",
        Some("numPartitions"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":0,"replicationFactor":1}"#,
        422,
        "INVALID_PARTITIONS",
        Some("numPartitions"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1000000000,"replicationFactor":1}"#,
        422,
        "INVALID_PARTITIONS",
        Some("numPartitions"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"replicationFactor":0}"#,
        422,
        "INVALID_REPLICATION_FACTOR",
        Some("replicationFactor"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"partitionCount":2,"replicationFactor":1}"#,
        422,
        "INVALID_REQUEST",
        Some("partitionCount"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"assignments":[[1]]}"#,
        422,
        "INVALID_REQUEST",
        Some("assignments"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"","numPartitions":1,"replicationFactor":1}"#,
        422,
        "INVALID_TOPIC",
        Some("topicName"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"..","numPartitions":1,"replicationFactor":1}"#,
        422,
        "INVALID_TOPIC",
        Some("topicName"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"no spaces","numPartitions":1,"replicationFactor":1}"#,
        422,
        "INVALID_TOPIC",
        Some("topicName"),
    ),
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"replicationFactor":1,"configs":{"retention.ms":"x"}}"#,
        422,
        "INVALID_CONFIG",
        Some("retention.ms"),
    ),
    (
        "POST",
        "/topics?validateOnly=maybe",
        "{}",
        400,
        "INVALID_PARAMETER",
        Some("validateOnly"),
    ),
    (
        "POST",
        "/topics?ack=never",
        "{}",
        400,
        "INVALID_PARAMETER",
        Some("ack"),
    ),
    (
        "POST",
        "/topics?timeoutMs=0",
        r#"{"topicName":"a","numPartitions":1,"replicationFactor":1}"#,
        422,
        "INVALID_REQUEST",
        Some("timeoutMs"),
    ),
];

#[tokio::test]
async fn bad_topics_are_refused_before_the_log() {
    check(BAD_TOPICS).await;
}

#[tokio::test]
async fn a_name_of_250_characters_is_too_long() {
    let body = format!(
        r#"{{"topicName":"{}","numPartitions":1,"replicationFactor":1}}"#,
        "a".repeat(250)
    );
    let got = Rig::new().json("POST", "/topics", &body).await;
    got.assert_problem(422, "INVALID_TOPIC");
}

/// Paths and parameters that cannot be read, or break a rule.
const BAD_PATHS: &[Case] = &[
    (
        "GET",
        "/topics?limit=0",
        "",
        422,
        "INVALID_REQUEST",
        Some("limit"),
    ),
    (
        "GET",
        "/topics?limit=1001",
        "",
        422,
        "INVALID_REQUEST",
        Some("limit"),
    ),
    (
        "GET",
        "/topics?limit=x",
        "",
        400,
        "INVALID_PARAMETER",
        Some("limit"),
    ),
    (
        "GET",
        "/topics?after=no%20spaces",
        "",
        422,
        "INVALID_TOPIC",
        Some("after"),
    ),
    (
        "GET",
        "/topics?unknown=1",
        "",
        400,
        "INVALID_PARAMETER",
        Some("unknown"),
    ),
    (
        "GET",
        "/topics/a%20b",
        "",
        422,
        "INVALID_TOPIC",
        Some("topicName"),
    ),
    (
        "GET",
        "/topics/id:nope",
        "",
        400,
        "INVALID_PARAMETER",
        Some("topic"),
    ),
    (
        "GET",
        "/topics/id:00000000-0000-0000-0000-00000000000a",
        "",
        404,
        "UNKNOWN_TOPIC_ID",
        Some("topic"),
    ),
    (
        "GET",
        "/topics/nope",
        "",
        404,
        "UNKNOWN_TOPIC_OR_PARTITION",
        Some("topic"),
    ),
    (
        "GET",
        "/topics/nope/partitions/x",
        "",
        400,
        "INVALID_PARAMETER",
        Some("partition"),
    ),
    (
        "GET",
        "/topics/nope/partitions/-1",
        "",
        400,
        "INVALID_PARAMETER",
        Some("partition"),
    ),
    (
        "GET",
        "/brokers/x",
        "",
        400,
        "INVALID_PARAMETER",
        Some("id"),
    ),
    (
        "GET",
        "/brokers?consistency=eventual",
        "",
        400,
        "INVALID_PARAMETER",
        Some("consistency"),
    ),
    (
        "GET",
        "/brokers?minIndex=-1",
        "",
        400,
        "INVALID_PARAMETER",
        Some("minIndex"),
    ),
    (
        "GET",
        "/brokers?minIndex=1&minIndex=2",
        "",
        400,
        "INVALID_PARAMETER",
        Some("minIndex"),
    ),
    ("GET", "/brokers?minIndex=99", "", 504, "READ_TIMEOUT", None),
    (
        "GET",
        "/quorum?timeoutMs=60001",
        "",
        422,
        "INVALID_REQUEST",
        Some("timeoutMs"),
    ),
    (
        "GET",
        "/quorum/events?follow=2",
        "",
        400,
        "INVALID_PARAMETER",
        Some("follow"),
    ),
    (
        "GET",
        "/state-hash?index=x",
        "",
        400,
        "INVALID_PARAMETER",
        Some("index"),
    ),
    (
        "POST",
        "/heartbeat/x",
        "",
        400,
        "INVALID_PARAMETER",
        Some("id"),
    ),
];

#[tokio::test]
async fn bad_paths_and_parameters_are_refused() {
    check(BAD_PATHS).await;
}

/// Other bodies that break a rule.
const BAD_BODIES: &[Case] = &[
    (
        "POST",
        "/brokers",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("host"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"host":"a","port":1}"#,
        422,
        "INVALID_REQUEST",
        Some("id"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"id":1,"host":"a"}"#,
        422,
        "INVALID_REQUEST",
        Some("port"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"id":1,"host":"a b","port":1}"#,
        422,
        "INVALID_REGISTRATION",
        Some("host"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"id":1,"host":"a","port":70000}"#,
        422,
        "INVALID_REQUEST",
        Some("port"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"id":1,"brokerId":1,"host":"a","port":1}"#,
        400,
        "DUPLICATE_FIELD",
        Some("id"),
    ),
    (
        "POST",
        "/brokers",
        r#"{"id":1,"host":"a","port":1,"incarnationId":"x"}"#,
        422,
        "INVALID_REQUEST",
        Some("incarnationId"),
    ),
    (
        "POST",
        "/brokers/101/heartbeat",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("brokerEpoch"),
    ),
    (
        "POST",
        "/brokers/9/heartbeat",
        r#"{"brokerEpoch":1}"#,
        404,
        "BROKER_ID_NOT_REGISTERED",
        Some("id"),
    ),
    (
        "PATCH",
        "/topics/a/partitions/0",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("brokerId"),
    ),
    (
        "PATCH",
        "/topics/a/partitions/0",
        r#"{"brokerId":1,"brokerEpoch":1,"leaderEpoch":0,"isr":[1]}"#,
        422,
        "INVALID_REQUEST",
        Some("partitionEpoch"),
    ),
    (
        "PATCH",
        "/topics/a/partitions/0",
        r#"{"brokerId":1,"brokerEpoch":1,"leaderEpoch":0,"partitionEpoch":0}"#,
        422,
        "INVALID_REQUEST",
        Some("isr"),
    ),
    (
        "PATCH",
        "/topics/a/partitions/0",
        r#"{"brokerId":1,"brokerEpoch":1,"leaderEpoch":0,"partitionEpoch":0,"isr":[1],"isrEpochs":[]}"#,
        422,
        "INVALID_REQUEST",
        Some("isrEpochs"),
    ),
    (
        "POST",
        "/topics/a/partitions/0/leader",
        r#"{"type":"BEST"}"#,
        422,
        "INVALID_REQUEST",
        Some("type"),
    ),
    (
        "PUT",
        "/features",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("featureLevel"),
    ),
    (
        "PUT",
        "/features",
        r#"{"featureLevel":99}"#,
        422,
        "UNSUPPORTED_VERSION",
        Some("featureLevel"),
    ),
    (
        "POST",
        "/quorum:initialize",
        "{}",
        422,
        "INVALID_REQUEST",
        Some("clusterId"),
    ),
    (
        "POST",
        "/quorum/leader:transfer",
        r#"{"target":"x"}"#,
        400,
        "INVALID_TYPE",
        Some("target"),
    ),
    (
        "PUT",
        "/quorum/voters",
        r#"{"expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("voters"),
    ),
    (
        "PUT",
        "/quorum/voters",
        r#"{"voters":[{"id":1,"directoryId":"00000000-0000-4000-8000-000000000001"}]}"#,
        422,
        "INVALID_REQUEST",
        Some("expectedMembershipIndex"),
    ),
    (
        "PUT",
        "/quorum/voters",
        r#"{"voters":[],"expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("voters"),
    ),
    (
        "PUT",
        "/quorum/voters",
        r#"{"voters":[1],"expectedMembershipIndex":1}"#,
        400,
        "INVALID_TYPE",
        Some("voters[0]"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"directoryId":"00000000-0000-4000-8000-000000000001","expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("id"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":0,"directoryId":"00000000-0000-4000-8000-000000000001","expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("id"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":1,"expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("directoryId"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":1,"directoryId":"00000000-0000-0000-0000-000000000000","expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("directoryId"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":1,"directoryId":"x","expectedMembershipIndex":1}"#,
        422,
        "INVALID_REQUEST",
        Some("directoryId"),
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":1,"directoryId":"00000000-0000-4000-8000-000000000001"}"#,
        422,
        "INVALID_REQUEST",
        Some("expectedMembershipIndex"),
    ),
    (
        "DELETE",
        "/quorum/observers/1",
        "",
        422,
        "INVALID_REQUEST",
        Some("expectedMembershipIndex"),
    ),
    (
        "DELETE",
        "/quorum/observers/x?expectedMembershipIndex=1",
        "",
        400,
        "INVALID_PARAMETER",
        Some("id"),
    ),
    (
        "DELETE",
        "/quorum/observers/1?expectedMembershipIndex=-1",
        "",
        400,
        "INVALID_PARAMETER",
        Some("expectedMembershipIndex"),
    ),
];

#[tokio::test]
async fn bad_brokers_partitions_and_features_are_refused() {
    check(BAD_BODIES).await;
}

#[tokio::test]
async fn rejections_of_the_state_machine_name_their_entry() {
    let rig = Rig::new();
    rig.member.broker(101);
    let create = |name: &str, replicas: u32| {
        format!(r#"{{"topicName":"{name}","numPartitions":1,"replicationFactor":{replicas}}}"#)
    };
    assert_eq!(
        rig.json("POST", "/topics", &create("a.b", 1)).await.status,
        200
    );
    for (method, path, body, status, code) in [
        (
            "POST",
            "/topics",
            create("a.b", 1),
            409,
            "TOPIC_ALREADY_EXISTS",
        ),
        ("POST", "/topics", create("a_b", 1), 422, "INVALID_TOPIC"),
        (
            "POST",
            "/topics",
            create("c", 2),
            422,
            "INVALID_REPLICATION_FACTOR",
        ),
        (
            "DELETE",
            "/topics/c",
            String::new(),
            404,
            "UNKNOWN_TOPIC_OR_PARTITION",
        ),
    ] {
        let got = rig.json(method, path, &body).await;
        got.assert_problem(status, code);
        assert_eq!(got.header("x-metadata-term"), Some("7"), "{got:?}");
        assert!(got.header("x-metadata-index").is_some(), "{got:?}");
    }
}

#[tokio::test]
async fn bodies_must_be_json_of_at_most_a_mebibyte() {
    let rig = Rig::new();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (headers, status, code) in [
        (&form[..], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            &[("content-type", "text/json")][..],
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (&[("content-type", "")][..], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            &[("content-type", "application/json;charset=UTF-8")][..],
            422,
            "INVALID_REQUEST",
        ),
        (
            &[("content-type", "Application/JSON")][..],
            422,
            "INVALID_REQUEST",
        ),
    ] {
        let got = rig
            .send(request_with("POST", "/topics", "{}", headers))
            .await;
        got.assert_problem(status, code);
    }
    rig.json("POST", "/topics", "")
        .await
        .assert_problem(415, "UNSUPPORTED_MEDIA_TYPE");

    let padded = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    let at_limit = rig.json("POST", "/topics", &padded(1024 * 1024)).await;
    at_limit.assert_problem(422, "INVALID_REQUEST");
    let above = rig.json("POST", "/topics", &padded(1024 * 1024 + 1)).await;
    above.assert_problem(413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let rig = Rig::new();
    for (name, value, status, code) in [
        ("idempotency-key", "", 422, "INVALID_REQUEST"),
        ("idempotency-key", "two words", 422, "INVALID_REQUEST"),
        ("if-match", "1", 400, "INVALID_HEADER"),
        ("if-match", "W/\"1\"", 400, "INVALID_HEADER"),
        ("if-match", "\"-1\"", 400, "INVALID_HEADER"),
    ] {
        let got = rig
            .send(request_with(
                "PATCH",
                "/topics/a/partitions/0",
                "{}",
                &[(name, value)],
            ))
            .await;
        got.assert_problem(status, code);
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems_too() {
    let rig = Rig::new();
    for path in ["//", "//nope", "/", "/nope", "/topics/", "/topics/a/b"] {
        rig.get(path).await.assert_problem(404, "NOT_FOUND");
    }
    for (method, path, allowed) in [
        ("PUT", "/topics", "GET,HEAD,POST"),
        ("POST", "/controller", "GET,HEAD"),
        ("GET", "/quorum:initialize", "POST"),
        ("OPTIONS", "/brokers", "GET,HEAD,POST"),
        ("TRACE", "//livez", "GET,HEAD"),
    ] {
        let got = rig.send(request(method, path, "")).await;
        got.assert_problem(405, "METHOD_NOT_ALLOWED");
        let mut methods: Vec<&str> = got.header("allow").unwrap().split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{method} {path}");
    }
}

/// A refusal and what it must look like.
type Refused = (fn() -> RequestError, Code);

fn refusals() -> Vec<Refused> {
    vec![
        (
            || RequestError::NotController {
                leader: None,
                url: None,
            },
            Code::NoLeader,
        ),
        (not_controller, Code::NotController),
        (|| RequestError::LeaderChanged, Code::LeaderChanged),
        (|| RequestError::NoQuorum, Code::NoQuorum),
        (|| RequestError::Uninitialized, Code::Uninitialized),
        (|| RequestError::Stopping, Code::Stopping),
        (|| RequestError::Overloaded, Code::Overloaded),
        (|| RequestError::NoSpace, Code::NoSpace),
        (|| RequestError::Timeout, Code::OutcomeUnknown),
        (
            || RequestError::ReadTimeout {
                wanted: MetadataIndex(2),
                applied: MetadataIndex(1),
            },
            Code::ReadTimeout,
        ),
        (
            || RequestError::Compacted {
                wanted: MetadataIndex(1),
                detail: "no".to_owned(),
            },
            Code::Compacted,
        ),
        (
            || RequestError::Conflict("not empty".to_owned()),
            Code::Conflict,
        ),
        (
            || RequestError::Invalid("not a voter".to_owned()),
            Code::InvalidRequest,
        ),
        (
            || RequestError::Unavailable("voter 2 is silent".to_owned()),
            Code::Unavailable,
        ),
        (
            || RequestError::TooLarge { size: 2, limit: 1 },
            Code::BodyTooLarge,
        ),
        (
            || RequestError::Internal("broken".to_owned()),
            Code::Internal,
        ),
        (
            || {
                let code = RejectionCode::StaleBrokerEpoch;
                RequestError::Rejected(Rejection::new(code, "brokerEpoch", 1, "it is 2"))
            },
            Code::StaleBrokerEpoch,
        ),
    ]
}

/// Those of the administrator's requests.
fn refusals_of_administration() -> Vec<Refused> {
    vec![
        (
            || RequestError::StaleTerm { actual: Term(9) },
            Code::StaleTerm,
        ),
        (
            || RequestError::StaleMembership {
                actual: MetadataIndex(9),
            },
            Code::StaleMembership,
        ),
        (membership_changing, Code::MembershipChanging),
        (
            || RequestError::NotCaughtUp("member 4 lacks 5000 entries".to_owned()),
            Code::NotCaughtUp,
        ),
        (
            || RequestError::UnknownMember("no observer runs on this node".to_owned()),
            Code::UnknownMember,
        ),
        (
            || RequestError::Undecided("the change was not committed in time".to_owned()),
            Code::OutcomeUnknown,
        ),
    ]
}

fn membership_changing() -> RequestError {
    let voter = |id: u32| Voter {
        id: NodeId(id),
        directory: DirectoryId(uuid::Uuid::from_u128(u128::from(id))),
    };
    RequestError::MembershipChanging {
        target: Box::new(Membership {
            index: MetadataIndex(7),
            voters: vec![voter(1), voter(4)],
            observers: Vec::new(),
        }),
    }
}

fn not_controller() -> RequestError {
    let url = Some("http://localhost:8081".to_owned());
    RequestError::NotController {
        leader: Some(NodeId(2)),
        url,
    }
}

/// Every route that asks the member for something that can fail.
const ASKING: [(&str, &str, &str); 12] = [
    (
        "POST",
        "/topics",
        r#"{"topicName":"a","numPartitions":1,"replicationFactor":1}"#,
    ),
    ("DELETE", "/topics/a", ""),
    ("GET", "/topics", ""),
    ("POST", "/brokers", r#"{"id":1,"host":"a","port":1}"#),
    ("POST", "/heartbeat/1", ""),
    ("GET", "/quorum?consistency=linearizable", ""),
    ("POST", "/quorum/leader:transfer", ""),
    ("POST", "/quorum/snapshots", ""),
    (
        "PUT",
        "/quorum/voters",
        r#"{"voters":[{"id":1,"directoryId":"00000000-0000-4000-8000-000000000001"}],"expectedMembershipIndex":1}"#,
    ),
    (
        "POST",
        "/quorum/observers",
        r#"{"id":4,"directoryId":"00000000-0000-4000-8000-000000000004","expectedMembershipIndex":1}"#,
    ),
    (
        "DELETE",
        "/quorum/observers/4?expectedMembershipIndex=1",
        "",
    ),
    ("GET", "/state-hash", ""),
];

#[tokio::test]
async fn every_refusal_of_the_member_looks_as_the_table_says_on_every_route() {
    let rig = Rig::new();
    for (refusal, code) in refusals().into_iter().chain(refusals_of_administration()) {
        rig.member.refuse(refusal);
        for (method, path, body) in ASKING {
            let got = rig.json(method, path, body).await;
            let row = code.row();
            got.assert_problem(row.status.as_u16(), row.name);
            let problem = got.json();
            assert_eq!(
                problem["retriable"], row.retriable,
                "{method} {path} {code}"
            );
            assert_eq!(
                problem["outcomeUnknown"], row.outcome_unknown,
                "{method} {path} {code}"
            );
            let leader = (code == Code::NotController).then_some("2");
            assert_eq!(
                got.header("x-controller-leader"),
                leader,
                "{method} {path} {code}"
            );
            let comes_back = matches!(row.status.as_u16(), 429 | 503).then_some("1");
            assert_eq!(
                got.header("retry-after"),
                comes_back,
                "{method} {path} {code}"
            );
        }
    }
}

#[tokio::test]
async fn a_non_controller_names_the_controller_and_its_address() {
    let rig = Rig::new();
    rig.member.refuse(not_controller);
    let problem = rig
        .json("POST", "/brokers", r#"{"id":1,"host":"a","port":1}"#)
        .await
        .json();
    assert_eq!(
        (&problem["leaderId"], &problem["leaderUrl"]),
        (
            &serde_json::json!(2),
            &serde_json::json!("http://localhost:8081"),
        )
    );
}

#[tokio::test]
async fn a_refused_change_of_members_says_what_is() {
    let rig = Rig::new();
    let path = "/quorum/observers/4?expectedMembershipIndex=1";
    rig.member.refuse(membership_changing);
    let problem = rig.json("DELETE", path, "").await.json();
    let voter = |id: u32| serde_json::json!({"id": id, "directoryId": uuid::Uuid::from_u128(u128::from(id))});
    let target =
        serde_json::json!({"membershipIndex": 7, "voters": [voter(1), voter(4)], "observers": []});
    assert_eq!(problem["target"], target, "{problem}");
    rig.member.refuse(|| RequestError::StaleMembership {
        actual: MetadataIndex(9),
    });
    let problem = rig.json("DELETE", path, "").await.json();
    assert_eq!(problem["membershipIndex"], 9, "{problem}");
    assert_eq!(problem["field"], "expectedMembershipIndex", "{problem}");
    assert_eq!(problem.get("target"), None);
}

#[tokio::test]
async fn a_minority_still_answers_local_reads_of_its_own_view() {
    let rig = Rig::new();
    let refused = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&refused);
    rig.member.refuse(move || {
        *counted.lock().unwrap() += 1;
        RequestError::NoQuorum
    });
    for path in [
        "/controller",
        "/quorum",
        "/quorum/events",
        "//readyz",
        "//metrics",
    ] {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    assert_eq!(*refused.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_condition_that_nobody_would_look_at_is_refused() {
    let rig = Rig::new();
    rig.member.broker(101);
    let topic = r#"{"topicName":"a","numPartitions":1,"replicationFactor":1}"#;
    let broker = r#"{"id":102,"host":"localhost","port":8102}"#;
    let before = rig.member.proposed.lock().unwrap().len();
    for (method, path, body) in [
        ("POST", "/topics", topic),
        ("DELETE", "/topics/a", ""),
        ("POST", "/brokers", broker),
    ] {
        let headers = [("if-match", "\"7\""), ("content-type", "application/json")];
        let got = rig.send(request_with(method, path, body, &headers)).await;
        got.assert_problem(400, "INVALID_HEADER");
        assert_eq!(got.json()["field"], "If-Match", "{method} {path}: {got:?}");
    }
    assert_eq!(rig.member.proposed.lock().unwrap().len(), before);
}
