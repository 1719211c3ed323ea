//! Golden bodies of the main shapes, and what is handed to the member.

use serde_json::{Value, json};

use super::fake::{NOW, Rig, request_with};
use crate::handle::{Ack, Consistency, NodeState};
use dmq_metadata::{BrokerId, Command, MetadataIndex, NodeId, TopicLayout};

const ORDERS: &str = r#"{"topicName":"orders","assignments":[[101,102],[102,101]],
    "configs":{"retention.ms":"60000"}}"#;

/// A rig with brokers 101 and 102 and the topic `orders`; answers the body of its creation too.
async fn with_orders() -> (Rig, Value) {
    let rig = Rig::new();
    rig.member.broker(101);
    rig.member.broker(102);
    let created = rig.json("POST", "/topics", ORDERS).await;
    assert_eq!(created.status, 200, "{created:?}");
    (rig, created.json())
}

fn partition(id: u32, leader: u32, follower: u32) -> Value {
    json!({
        "partitionId": id, "leaderId": leader, "leaderEpoch": 0, "partitionEpoch": 0,
        "replicas": [leader, follower], "isr": [leader, follower],
        "leaderRecoveryState": "RECOVERED",
    })
}

#[tokio::test]
async fn a_topic_reads_as_it_was_created() {
    let (rig, created) = with_orders().await;
    let golden = json!({
        "topicName": "orders", "topicId": created["topicId"], "numPartitions": 2,
        "replicationFactor": 2, "createdAt": NOW, "createdIndex": 6,
        "configs": {"retention.ms": "60000"},
        "partitions": [partition(0, 101, 102), partition(1, 102, 101)],
    });
    assert_eq!(created, golden);
    let by_name = rig.get("/topics/orders").await;
    assert_eq!(by_name.json(), golden);
    assert_eq!(by_name.header("x-metadata-index"), Some("6"));
    assert_eq!(by_name.header("x-metadata-term"), Some("7"));
    assert_eq!(by_name.header("content-type"), Some("application/json"));
    let id = created["topicId"].as_str().unwrap();
    assert_eq!(rig.get(&format!("/topics/id:{id}")).await.json(), golden);
}

#[tokio::test]
async fn a_write_says_where_it_is() {
    let rig = Rig::new();
    rig.member.broker(101);
    let body = r#"{"topicName":"a","partitionCount":1,"numPartitions":1,"replicationFactor":1}"#;
    let created = rig
        .json("POST", "/topics?ack=applied&timeoutMs=200", body)
        .await;
    assert_eq!(created.status, 200, "{created:?}");
    for (name, value) in [
        ("x-metadata-index", "4"),
        ("x-metadata-term", "7"),
        ("x-metadata-projected-index", "4"),
    ] {
        assert_eq!(created.header(name), Some(value), "{name}");
    }
    let proposed = rig.member.proposed.lock().unwrap();
    let request = proposed.last().unwrap();
    assert_eq!(
        (request.ack, request.timeout.map(|time| time.as_millis())),
        (Ack::Applied, Some(200))
    );
    assert_eq!(
        (request.principal.as_str(), &request.idempotency),
        ("anonymous", &None)
    );
    let Command::CreateTopic(create) = &request.command else {
        panic!("{request:?}")
    };
    let layout = TopicLayout::Automatic {
        partitions: 1,
        replication_factor: 1,
    };
    assert_eq!(create.layout, layout);
}

#[tokio::test]
async fn topics_are_listed_in_pages() {
    let rig = Rig::new();
    rig.member.broker(101);
    for name in ["b", "a2", "a1", "c"] {
        let body = format!(r#"{{"topicName":"{name}","numPartitions":1,"replicationFactor":1}}"#);
        assert_eq!(rig.json("POST", "/topics", &body).await.status, 200);
    }
    let names = |list: &Value| -> Vec<String> {
        let topics = list["topics"].as_array().unwrap();
        topics
            .iter()
            .map(|topic| topic["topicName"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = rig.get("/topics?limit=3").await.json();
    assert_eq!(
        (names(&first), &first["next"], &first["total"]),
        (
            vec!["a1".to_owned(), "a2".to_owned(), "b".to_owned()],
            &json!("b"),
            &json!(4),
        )
    );
    let second = rig.get("/topics?limit=3&after=b").await.json();
    assert_eq!(
        (names(&second), &second["next"]),
        (vec!["c".to_owned()], &Value::Null)
    );
    let filtered = rig.get("/topics?prefix=a&limit=2").await.json();
    assert_eq!(
        (names(&filtered).len(), &filtered["next"]),
        (2, &Value::Null)
    );
}

#[tokio::test]
async fn validate_only_answers_and_changes_nothing() {
    let (rig, _) = with_orders().await;
    let before = rig.member.proposed.lock().unwrap().len();
    let body = r#"{"topicName":"new","numPartitions":3,"replicationFactor":2,
        "configs":{"retention.ms":60000}}"#;
    let tried = rig.json("POST", "/topics?validateOnly=true", body).await;
    assert_eq!(
        (tried.status.as_u16(), &tried.json()["numPartitions"]),
        (200, &json!(3))
    );
    assert_eq!(tried.json()["configs"], json!({"retention.ms": "60000"}));
    let made_up = ["topicId", "createdIndex"].map(|name| tried.json().get(name).cloned());
    assert_eq!(made_up, [None, None], "nothing was created");
    let exists = rig.json("POST", "/topics?validateOnly=true", ORDERS).await;
    exists.assert_problem(409, "TOPIC_ALREADY_EXISTS");
    assert_eq!(rig.member.proposed.lock().unwrap().len(), before);
    let reads = rig.member.reads.lock().unwrap();
    assert!(
        reads
            .iter()
            .all(|read| read.consistency == Consistency::Linearizable)
    );
    assert_eq!(rig.member.image_topics(), 1);
}

#[tokio::test]
async fn a_topic_is_deleted_once() {
    let (rig, _) = with_orders().await;
    let deleted = rig.json("DELETE", "/topics/orders", "").await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(deleted.header("x-metadata-index"), Some("7"));
    rig.json("DELETE", "/topics/orders", "")
        .await
        .assert_problem(404, "UNKNOWN_TOPIC_OR_PARTITION");
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_and_another_body_is_refused() {
    let rig = Rig::new();
    rig.member.broker(101);
    let send = |path: &'static str, body: &'static str| {
        rig.send(request_with(
            "POST",
            path,
            body,
            &[("idempotency-key", "k1")],
        ))
    };
    let body = r#"{"topicName":"a","numPartitions":1,"replicationFactor":1}"#;
    let first = send("/topics", body).await;
    let again = send("/topics", body).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (200, 200));
    assert_eq!(first.json()["topicId"], again.json()["topicId"]);
    let other = send(
        "/topics",
        r#"{"topicName":"b","numPartitions":1,"replicationFactor":1}"#,
    )
    .await;
    other.assert_problem(422, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_partition_is_updated_under_its_epoch() {
    let (rig, _) = with_orders().await;
    let path = "/topics/orders/partitions/0";
    let shown = rig.get(path).await;
    assert_eq!(
        (shown.json(), shown.header("etag")),
        (partition(0, 101, 102), Some("\"0\""))
    );
    let body = r#"{"brokerId":101,"brokerEpoch":2,"leaderEpoch":0,"isr":[101]}"#;
    let shrunk = rig
        .send(request_with("PATCH", path, body, &[("if-match", "\"0\"")]))
        .await;
    assert_eq!(shrunk.status, 200, "{shrunk:?}");
    assert_eq!(
        (&shrunk.json()["isr"], shrunk.header("etag")),
        (&json!([101]), Some("\"1\""))
    );
    let stale = rig
        .send(request_with("PATCH", path, body, &[("if-match", "\"0\"")]))
        .await;
    stale.assert_problem(412, "PRECONDITION_FAILED");
    let in_body = body.replace('}', r#","partitionEpoch":0}"#);
    rig.json("PATCH", path, &in_body)
        .await
        .assert_problem(409, "INVALID_UPDATE_VERSION");
    rig.json("PATCH", path, body)
        .await
        .assert_problem(422, "INVALID_REQUEST");
}

#[tokio::test]
async fn a_leader_is_elected_by_name_or_rule() {
    let (rig, _) = with_orders().await;
    let path = "/topics/orders/partitions/0/leader";
    let moved = rig.json("POST", path, r#"{"brokerId":102}"#).await;
    assert_eq!(
        (moved.status.as_u16(), &moved.json()["leaderId"]),
        (200, &json!(102))
    );
    let back = rig.json("POST", path, r#"{"type":"PREFERRED"}"#).await;
    assert_eq!(
        (back.status.as_u16(), &back.json()["leaderId"]),
        (200, &json!(101))
    );
    let again = rig.json("POST", path, r#"{"type":"PREFERRED"}"#).await;
    again.assert_problem(409, "ELECTION_NOT_NEEDED");
    rig.json("POST", path, "{}")
        .await
        .assert_problem(422, "INVALID_REQUEST");
    let both = r#"{"type":"PREFERRED","brokerId":1}"#;
    rig.json("POST", path, both)
        .await
        .assert_problem(422, "INVALID_REQUEST");
}

#[tokio::test]
async fn brokers_register_and_beat() {
    let rig = Rig::new();
    let body = r#"{"id":101,"host":"localhost","port":8081,"rack":"default"}"#;
    let registered = rig.json("POST", "/brokers", body).await;
    let golden = json!({
        "id": 101, "host": "localhost", "port": 8081, "rack": "default", "status": "OFFLINE",
        "address": "localhost:8081", "registeredAt": NOW, "brokerEpoch": 2,
        "incarnationId": null, "fenced": true,
    });
    assert_eq!(
        (registered.status.as_u16(), registered.json()),
        (200, golden.clone())
    );
    assert_eq!(rig.get("/brokers").await.json(), json!([golden]));
    assert_eq!(rig.get("/brokers/101").await.json(), golden);
    rig.get("/brokers/7")
        .await
        .assert_problem(404, "BROKER_ID_NOT_REGISTERED");

    let beat = r#"{"brokerEpoch":2,"currentMetadataIndex":1,"wantShutDown":true}"#;
    let verdict = rig.json("POST", "/brokers/101/heartbeat", beat).await;
    let golden = json!({"isCaughtUp": true, "isFenced": false, "shouldShutDown": true});
    assert_eq!((verdict.status.as_u16(), verdict.json()), (200, golden));
    assert_eq!(verdict.header("x-metadata-index"), Some("2"));
    let seen = rig
        .member
        .heartbeats
        .lock()
        .unwrap()
        .last()
        .copied()
        .unwrap();
    assert_eq!(
        (seen.broker, seen.metadata_index),
        (BrokerId(101), Some(MetadataIndex(1)))
    );
}

#[tokio::test]
async fn a_java_broker_beats_with_an_empty_form_body() {
    let rig = Rig::new();
    rig.member.broker(101);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", "0"),
    ];
    let beat = rig
        .send(request_with("POST", "/heartbeat/101", "", &headers))
        .await;
    let mut body = beat.json();
    assert!(body["timestamp"].take().as_i64().unwrap() > NOW);
    let golden = json!({
        "success": true, "metadataVersion": 3, "message": "Heartbeat received", "timestamp": null,
    });
    assert_eq!((beat.status.as_u16(), body), (200, golden));
    assert_eq!(
        rig.member.heartbeats.lock().unwrap().last().unwrap().epoch,
        None
    );
    let unknown = rig
        .send(request_with("POST", "/heartbeat/9", "", &headers))
        .await;
    unknown.assert_problem(404, "BROKER_ID_NOT_REGISTERED");
}

#[tokio::test]
async fn the_controller_is_named_on_every_node() {
    let rig = Rig::new();
    let mut body = rig.get("/controller").await.json();
    body["timestamp"].take();
    assert_eq!(
        body,
        json!({
            "isLeader": true, "leaderId": 1, "leaderUrl": "http://localhost:8080", "term": 7,
            "state": "LEADER", "nodeId": 1, "clusterId": "dmq", "incarnation": "1",
            "commitIndex": 42, "appliedIndex": 42, "projectedIndex": 40, "featureLevel": 1,
            "version": env!("CARGO_PKG_VERSION"), "alarms": [], "controllerId": 1,
            "controllerUrl": "http://localhost:8080", "controllerTerm": 7, "timestamp": null,
        })
    );
    rig.publish(|status| {
        status.state = NodeState::Candidate;
        status.leader = None;
        status.leader_url = None;
    });
    let body = rig.get("/controller").await.json();
    assert_eq!(
        (&body["leaderId"], &body["controllerId"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&body["isLeader"], &body["state"]),
        (&json!(false), &json!("CANDIDATE"))
    );
}

#[tokio::test]
async fn the_cluster_document_has_the_shape_that_brokers_pull() {
    let (rig, _) = with_orders().await;
    let body = rig.get("/cluster").await.json();
    assert_eq!(
        (&body["version"], &body["totalPartitions"]),
        (&json!(6), &json!(2))
    );
    assert_eq!(
        (
            &body["controllerLeaderId"],
            &body["controllerInfo"]["controllerTerm"]
        ),
        (&json!(1), &json!(7))
    );
    assert_eq!(
        (&body["brokers"][0]["id"], &body["brokers"][0]["alive"]),
        (&json!(101), &json!(true))
    );
    let topic = &body["topics"][0];
    assert_eq!(
        (&topic["topicName"], &topic["partitionCount"]),
        (&json!("orders"), &json!(2))
    );
    assert_eq!(
        topic["config"],
        json!({
            "retentionMs": 60_000, "retentionBytes": -1, "segmentBytes": 1_073_741_824,
            "compressionType": "none", "minInsyncReplicas": 1,
        })
    );
    assert_eq!(
        topic["partitions"][0]["leader"],
        json!({
            "brokerId": 101, "host": "localhost", "port": 8_101, "status": "ONLINE",
            "address": "localhost:8101",
        })
    );
    let nodes = body["activeMetadataNodes"].as_array().unwrap();
    let healthy: Vec<&Value> = nodes.iter().map(|node| &node["healthy"]).collect();
    assert_eq!(healthy, [&json!(true), &json!(true), &json!(false)]);
}

#[tokio::test]
async fn the_quorum_shows_every_member_on_the_controller() {
    let rig = Rig::new();
    let body = rig.get("/quorum").await.json();
    assert_eq!(
        body["voters"][1],
        json!({
            "id": 2, "directoryId": "00000000-0000-0000-0000-000000000002",
            "peerAddress": "localhost:9094", "url": "http://localhost:8081", "matchedIndex": 42,
            "lag": 0, "lastContactMs": 30, "lastCaughtUpMs": 30, "receivingSnapshot": false,
            "stopping": false, "caughtUp": null,
        })
    );
    assert_eq!(
        (&body["voters"][2]["lag"], &body["maxFollowerLag"]),
        (&json!(42), &json!(42))
    );
    assert_eq!(body["maxFollowerLagTimeMs"], Value::Null);
    assert_eq!(
        body["projection"],
        json!({"index": 40, "lag": 2, "healthy": true, "stopped": false})
    );
    assert!(rig.member.reads.lock().unwrap().is_empty());
    assert_eq!(
        rig.get("/quorum?consistency=linearizable").await.status,
        200
    );
    assert_eq!(rig.member.reads.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_quorum_shows_both_voter_sets_and_who_may_become_a_voter() {
    let rig = Rig::new();
    assert_eq!(
        rig.get("/quorum").await.json()["outgoingVoters"],
        Value::Null
    );
    rig.publish(|status| {
        status.outgoing = status.voters.clone();
        let mut observer = status.voters.remove(1);
        observer.id = NodeId(4);
        observer.progress.as_mut().unwrap().caught_up = true;
        status.observers.push(observer);
    });
    let body = rig.get("/quorum").await.json();
    let ids = |set: &str| -> Vec<u64> {
        let rows = body[set].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("voters"), [1, 3]);
    assert_eq!(ids("outgoingVoters"), [1, 2, 3]);
    assert_eq!(ids("observers"), [4]);
    assert_eq!(body["observers"][0]["caughtUp"], true);
    let nodes = rig.get("/cluster").await.json()["activeMetadataNodes"].clone();
    assert_eq!(
        nodes.as_array().unwrap().len(),
        4,
        "everybody once: {nodes}"
    );
}

#[tokio::test]
async fn members_come_and_go() {
    let rig = Rig::new();
    let member = |id: u32| json!({"id": id, "directoryId": uuid::Uuid::from_u128(u128::from(id))});
    let body = json!({"voters": [member(2), member(1)], "expectedMembershipIndex": 5});
    let done = rig.json("PUT", "/quorum/voters", &body.to_string()).await;
    let golden = json!({"membershipIndex": 7, "voters": [member(1), member(2)], "observers": []});
    assert_eq!((done.status.as_u16(), done.json()), (200, golden));
    for voters in [
        json!([member(1), member(1)]),
        json!([member(0)]),
        json!((1..=8).map(member).collect::<Vec<_>>()),
    ] {
        let mut wrong = body.clone();
        wrong["voters"] = voters;
        let refused = rig.json("PUT", "/quorum/voters", &wrong.to_string()).await;
        refused.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(refused.json()["field"], "voters", "{wrong}");
    }
    let mut body = member(4);
    body["expectedMembershipIndex"] = json!(7);
    let done = rig
        .json("POST", "/quorum/observers", &body.to_string())
        .await;
    let golden = json!({"membershipIndex": 9, "voters": [member(1)], "observers": [member(4)]});
    assert_eq!((done.status.as_u16(), done.json()), (200, golden));
    let path = "/quorum/observers/4?expectedMembershipIndex=9";
    let done = rig.json("DELETE", path, "").await;
    assert_eq!((done.status.as_u16(), done.text.as_str()), (204, ""));
    assert_eq!(done.header("x-metadata-index"), Some("11"));
    let calls = rig.member.calls.lock().unwrap().clone();
    assert_eq!(
        calls.len(),
        3,
        "nothing that was refused arrived: {calls:?}"
    );
}

#[tokio::test]
async fn a_quorum_is_initialised_with_sorted_voters() {
    let rig = Rig::new();
    let voter = |id: u32| json!({"id": id, "directoryId": uuid::Uuid::from_u128(u128::from(id))});
    let body = json!({"clusterId": "dmq", "incarnation": "1", "voters": [voter(2), voter(1)]});
    let done = rig
        .json("POST", "/quorum:initialize", &body.to_string())
        .await;
    let golden = json!({"membershipIndex": 1, "voters": [voter(1), voter(2)]});
    assert_eq!((done.status.as_u16(), done.json()), (200, golden));
    for (field, value) in [
        ("voters", json!([])),
        ("voters", json!([voter(1), voter(1)])),
        ("voters", json!([voter(0)])),
        ("incarnation", json!("x")),
        ("incarnation", Value::Null),
        ("clusterId", json!("no spaces")),
    ] {
        let mut wrong = body.clone();
        wrong[field] = value;
        let refused = rig
            .json("POST", "/quorum:initialize", &wrong.to_string())
            .await;
        refused.assert_problem(422, "INVALID_REQUEST");
        assert_eq!(refused.json()["field"], json!(field), "{wrong}");
    }
}

#[tokio::test]
async fn leadership_snapshots_features_and_hash() {
    let rig = Rig::new();
    let moved = rig
        .json("POST", "/quorum/leader:transfer", r#"{"target":3}"#)
        .await;
    assert_eq!(moved.json(), json!({"leaderId": 3, "term": 8}));
    let moved = rig.json("POST", "/quorum/leader:transfer", "").await;
    assert_eq!(moved.json()["leaderId"], json!(2));
    let taken = rig.json("POST", "/quorum/snapshots", "").await.json();
    let golden = json!({
        "index": 1_000, "term": 7, "sizeBytes": 4_096,
        "stateHash": "000000000000000000000000000000ab", "featureLevel": 1,
    });
    assert_eq!(taken, golden);
    assert_eq!(
        rig.get("/quorum/snapshots").await.json(),
        json!({"snapshots": [golden]})
    );
    let features = json!({"featureLevel": 1, "supportedMin": 1, "supportedMax": 1});
    assert_eq!(rig.get("/features").await.json(), features);
    let hash = rig.get("/state-hash").await.json();
    assert_eq!((&hash["index"], &hash["nodeId"]), (&json!(1), &json!(1)));
    assert_eq!(hash["stateHash"].as_str().unwrap().len(), 32);
    rig.get("/state-hash?index=0")
        .await
        .assert_problem(410, "COMPACTED");
}

#[tokio::test]
async fn probes_tell_whether_a_majority_would_stay() {
    let rig = Rig::new();
    let of = |node: u32| format!("/quorum/probe/pre-restart?nodeId={node}");
    let own = rig.get("/quorum/probe/pre-restart").await.json();
    assert_eq!(
        (&own["safe"], &own["isLeader"], &own["successors"]),
        (&json!(false), &json!(true), &json!([2]))
    );
    let gone = rig.get(&of(3)).await.json();
    assert_eq!(
        (&gone["safe"], &gone["reason"]),
        (&json!(true), &Value::Null)
    );
    rig.get(&of(9)).await.assert_problem(422, "INVALID_REQUEST");
    let after = rig.get("/quorum/probe/post-restart?index=42").await.json();
    assert_eq!(after["caughtUp"], json!(true));
    let behind = rig.get("/quorum/probe/post-restart?index=43").await.json();
    assert_eq!(behind["caughtUp"], json!(false));
    rig.publish(|status| {
        status.state = NodeState::Follower;
        status.leader = Some(NodeId(2));
        status.leader_url = Some("http://localhost:8081".to_owned());
    });
    let elsewhere = rig.get("/quorum/probe/pre-restart").await;
    elsewhere.assert_problem(503, "NOT_CONTROLLER");
    assert_eq!(elsewhere.header("x-controller-leader"), Some("2"));
}

#[tokio::test]
async fn health_follows_the_status() {
    let rig = Rig::new();
    assert_eq!(rig.get("//livez").await.json(), json!({"status": "UP"}));
    assert_eq!(rig.get("//readyz").await.json(), json!({"status": "UP"}));
    rig.publish(|status| status.ready = false);
    rig.get("//readyz").await.assert_problem(503, "NOT_READY");
    rig.publish(|status| status.membership_index = MetadataIndex(0));
    rig.get("//readyz")
        .await
        .assert_problem(503, "UNINITIALIZED");
    rig.publish(|status| status.stopping = true);
    rig.get("//readyz").await.assert_problem(503, "STOPPING");
    rig.member
        .refuse(|| crate::handle::RequestError::Internal("disk".to_owned()));
    rig.get("//livez").await.assert_problem(503, "NOT_LIVE");
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_show_the_state() {
    let (rig, _) = with_orders().await;
    rig.get("/topics/nope").await;
    rig.get("//nope").await;
    let metrics = rig.get("//metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some(crate::metrics::CONTENT_TYPE)
    );
    for line in [
        "dmq_rest_requests_total{route=\"/api/v1/metadata/topics\",method=\"POST\",status=\"200\"} 1",
        "dmq_rest_requests_total{route=\"/api/v1/metadata/topics/{topic}\",method=\"GET\",status=\"404\"} 1",
        "dmq_rest_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"} 1",
        "dmq_rest_request_seconds_count{route=\"/api/v1/metadata/topics\",method=\"POST\"} 1",
        "dmq_raft_current_state{state=\"LEADER\"} 1",
        "dmq_raft_current_leader 1",
        "dmq_raft_member_lag{node_id=\"3\"} 42",
        "dmq_controller_global_topic_count 1",
        "dmq_controller_global_partition_count 2",
        "dmq_controller_active_broker_count 2",
        "dmq_projection_lag 2",
        "dmq_log_fsync_seconds_count 0",
        "# EOF",
    ] {
        assert!(
            metrics.text.lines().any(|found| found == line),
            "{line}\n{}",
            metrics.text
        );
    }
}
