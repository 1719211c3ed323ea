//! Bad input on a real node: it never changes state, never panics, and gets a 4xx that names field, value and rule.

use dmq_testkit::harness::{Answer, Quorum, QuorumOptions, Rest, play_brokers};
use reqwest::Method;
use serde_json::{Value, json};

/// One refused request.
struct Case {
    method: Method,
    path: &'static str,
    body: String,
    /// Instead of JSON's.
    content_type: Option<&'static str>,
    status: u16,
    /// What the problem document has to say: field, value, rule.
    words: &'static [&'static str],
}

fn case(
    method: Method,
    path: &'static str,
    body: String,
    status: u16,
    words: &'static [&'static str],
) -> Case {
    Case {
        method,
        path,
        body,
        content_type: None,
        status,
        words,
    }
}

fn get(path: &'static str, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::GET, path, String::new(), status, words)
}

fn delete(path: &'static str, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::DELETE, path, String::new(), status, words)
}

fn put(path: &'static str, body: &Value, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::PUT, path, body.to_string(), status, words)
}

fn patch(path: &'static str, body: &Value, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::PATCH, path, body.to_string(), status, words)
}

fn post(path: &'static str, body: &Value, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::POST, path, body.to_string(), status, words)
}

/// A body that need not be JSON.
fn raw(body: &str, status: u16, words: &'static [&'static str]) -> Case {
    case(Method::POST, "/topics", body.to_owned(), status, words)
}

fn topic(name: &str) -> Value {
    json!({ "topicName": name, "numPartitions": 1, "replicationFactor": 1 })
}

/// A single node with brokers and a topic `orders`.
async fn start() -> anyhow::Result<(Quorum, Rest)> {
    let options = QuorumOptions {
        nodes: 1,
        ..QuorumOptions::default()
    };
    let mut quorum = Quorum::start(&options.with("broker.session-timeout-ms", "3600000")).await?;
    let rest = quorum.rest(1)?;
    play_brokers(&rest).await?;
    let orders = json!({ "topicName": "orders", "numPartitions": 3, "replicationFactor": 2 });
    rest.post("/topics", &orders).await?.success()?;
    Ok((quorum, rest))
}

/// Everything that a request could have changed.
async fn state(rest: &Rest) -> anyhow::Result<Value> {
    let topics = rest
        .get("/topics?consistency=linearizable")
        .await?
        .success()?
        .json;
    let orders = rest.get("/topics/orders").await?.success()?.json;
    let brokers = rest.get("/brokers").await?.success()?.json;
    let features = rest.get("/features").await?.success()?.json;
    Ok(json!([topics, orders, brokers, features]))
}

/// Sends all of them and tells everything that is wrong with the answers at once.
async fn refuses(rest: &Rest, cases: Vec<Case>) -> anyhow::Result<()> {
    let before = state(rest).await?;
    let mut wrong = Vec::new();
    for case in cases {
        let what = format!("{} {} {:.200}", case.method, case.path, case.body);
        let path = format!("/api/v1/metadata{}", case.path);
        let kind = [(
            "content-type",
            case.content_type.unwrap_or("application/json"),
        )];
        let body = (!case.body.is_empty()).then_some(case.body);
        let headers = if body.is_some() { &kind[..] } else { &[] };
        let answer = rest.send(case.method, &path, body, headers).await?;
        let complaints = complaints(&answer, case.status, case.words);
        wrong.extend(
            complaints
                .into_iter()
                .map(|text| format!("{what}: {text} in {}", answer.text)),
        );
        assert_eq!(state(rest).await?, before, "{what} changed the state");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is missing for a good problem document.
fn complaints(answer: &Answer, status: u16, words: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    expect(
        answer.status == status,
        format!("{} and not {status}", answer.status),
    );
    let kind = answer.header("content-type").unwrap_or_default();
    expect(
        kind == "application/problem+json",
        format!("content type {kind}"),
    );
    expect(
        answer.json["status"] == json!(status),
        "another status".to_owned(),
    );
    expect(
        answer.json["retriable"] == json!(false),
        "retriable".to_owned(),
    );
    for field in ["code", "title", "detail", "type"] {
        let text = answer.json[field].as_str().unwrap_or_default();
        expect(!text.is_empty(), format!("no `{field}`"));
    }
    for word in words {
        expect(answer.text.contains(word), format!("no `{word}`"));
    }
    wrong
}

/// Starts a node, lets it refuse what `cases` makes of it, and looks whether it still runs.
async fn check(cases: impl AsyncFnOnce(&Rest) -> anyhow::Result<Vec<Case>>) -> anyhow::Result<()> {
    let (mut quorum, rest) = start().await?;
    let cases = cases(&rest).await?;
    refuses(&rest, cases).await?;
    quorum.node(1)?.check()
}

#[tokio::test]
async fn bodies_that_are_no_request() -> anyhow::Result<()> {
    let topics = |body, status, words| post("/topics", &body, status, words);
    let port = json!({ "id": 1, "host": "h", "port": 70_000 });
    let large = json!({ "topicName": "a".repeat(1_100_000), "numPartitions": 1 });
    let mut wrong_type = topics(topic("a"), 415, &["text/plain"]);
    wrong_type.content_type = Some("text/plain");
    check(async |_| {
        Ok(vec![
            raw("{", 400, &["JSON"]),
            raw("[]", 400, &[]),
            raw("null", 400, &[]),
            raw(&"[".repeat(100_000), 400, &[]),
            raw(r#"{"topicName":"a","topicName":"b"}"#, 400, &["topicName"]),
            topics(
                json!({ "topicName": "a", "partitons": 1 }),
                400,
                &["partitons"],
            ),
            topics(json!({ "topicName": 7 }), 400, &["topicName", "7"]),
            topics(with("numPartitions", &json!("3")), 400, &["numPartitions"]),
            topics(with("numPartitions", &json!(1.5)), 400, &["numPartitions"]),
            topics(
                with("numPartitions", &json!(-1)),
                422,
                &["numPartitions", "-1"],
            ),
            topics(large, 413, &["1048576"]),
            post("/brokers", &port, 422, &["port", "70000"]),
            wrong_type,
        ])
    })
    .await
}

/// A good topic with one field exchanged.
fn with(field: &str, value: &Value) -> Value {
    let mut body = topic("new");
    body[field] = value.clone();
    body
}

#[tokio::test]
async fn names_that_break_kafkas_rules() -> anyhow::Result<()> {
    let name = |name: &str, words| post("/topics", &topic(name), 422, words);
    check(async |_| {
        Ok(vec![
            name("", &["topicName"]),
            name(".", &["topicName"]),
            name("..", &["topicName"]),
            name("no spaces", &["topicName", "no spaces"]),
            name("ümlaut", &["topicName"]),
            name(&"a".repeat(250), &["topicName", "249"]),
            post("/topics", &topic("orders"), 409, &["orders"]),
            post(
                "/topics",
                &json!({ "numPartitions": 1 }),
                422,
                &["topicName"],
            ),
        ])
    })
    .await
}

#[tokio::test]
async fn numbers_assignments_and_settings_that_break_a_rule() -> anyhow::Result<()> {
    let field = |field, value, words| post("/topics", &with(field, &value), 422, words);
    let assigned = |assignments: Value, words| {
        let body = json!({ "topicName": "new", "assignments": assignments });
        post("/topics", &body, 422, words)
    };
    check(async |_| {
        Ok(vec![
            field("numPartitions", json!(0), &["numPartitions", "0"]),
            field("numPartitions", json!(10_001), &["numPartitions", "10000"]),
            field(
                "numPartitions",
                json!(1_000_000_000),
                &["1000000000", "10000"],
            ),
            field("replicationFactor", json!(0), &["replicationFactor", "0"]),
            field(
                "replicationFactor",
                json!(4),
                &["replicationFactor", "4", "3"],
            ),
            field("partitionCount", json!(2), &["partitionCount"]),
            field("configs", json!({ "no.such": "1" }), &["no.such"]),
            field(
                "configs",
                json!({ "retention.ms": "soon" }),
                &["retention.ms", "soon"],
            ),
            assigned(json!([[101, 101]]), &["assignments", "101"]),
            assigned(json!([[999]]), &["999"]),
            assigned(json!([]), &["assignments"]),
        ])
    })
    .await
}

/// A good change of partition 0 of `orders`.
async fn good_change(rest: &Rest) -> anyhow::Result<Value> {
    let orders = rest.get("/topics/orders").await?.success()?;
    let row = &orders.json["partitions"][0];
    let brokers = rest.get("/brokers").await?.success()?;
    let leader = brokers
        .json
        .as_array()
        .and_then(|all| all.iter().find(|broker| broker["id"] == row["leaderId"]))
        .map(|broker| broker["brokerEpoch"].clone());
    Ok(json!({
        "brokerId": row["leaderId"], "brokerEpoch": leader, "leaderEpoch": row["leaderEpoch"],
        "partitionEpoch": row["partitionEpoch"], "isr": [row["leaderId"]],
    }))
}

#[tokio::test]
async fn partitions_that_are_not_as_the_caller_thinks() -> anyhow::Result<()> {
    let zero = "/topics/orders/partitions/0";
    let leader = "/topics/orders/partitions/0/leader";
    check(async |rest| {
        let good = good_change(rest).await?;
        let changed = |field: &str, value: Value, status, words| {
            let mut body = good.clone();
            body[field] = value;
            patch(zero, &body, status, words)
        };
        Ok(vec![
            changed("partitionEpoch", json!(99), 409, &["99"]),
            changed("leaderEpoch", json!(99), 409, &["99"]),
            changed("brokerEpoch", json!(1), 409, &["brokerEpoch"]),
            changed("brokerId", json!(999), 404, &["999"]),
            changed("isr", json!([999]), 422, &["isr", "999"]),
            changed("isr", json!([]), 422, &["isr"]),
            changed("isr", json!("all"), 400, &["isr"]),
            patch(zero, &json!({}), 422, &["brokerId"]),
            patch("/topics/orders/partitions/9", &good, 404, &["9"]),
            patch("/topics/orders/partitions/x", &good, 400, &["x"]),
            patch("/topics/nothing/partitions/0", &good, 404, &["nothing"]),
            post(leader, &json!({ "brokerId": 999 }), 422, &["999"]),
            post(leader, &json!({ "type": "BEST" }), 422, &["BEST"]),
            post(leader, &json!({}), 422, &["type"]),
            delete("/topics/nothing", 404, &["nothing"]),
            get("/topics/nothing", 404, &["nothing"]),
        ])
    })
    .await
}

#[tokio::test]
async fn brokers_that_cannot_register_or_are_not_registered() -> anyhow::Result<()> {
    let broker = |id: u32, field: &str, value: Value| {
        let mut body = json!({ "id": id, "host": "h", "port": 1 });
        body[field] = value;
        body
    };
    check(async |_| {
        Ok(vec![
            post("/brokers", &broker(1, "host", json!("")), 422, &["host"]),
            post("/brokers", &broker(1, "port", json!(0)), 422, &["port"]),
            post(
                "/brokers",
                &broker(1, "clusterId", json!("x")),
                409,
                &["clusterId", "x"],
            ),
            post(
                "/brokers",
                &broker(101, "host", json!("elsewhere")),
                409,
                &["101"],
            ),
            post(
                "/brokers/101/heartbeat",
                &json!({ "brokerEpoch": 0 }),
                409,
                &["brokerEpoch"],
            ),
            post(
                "/brokers/999/heartbeat",
                &json!({ "brokerEpoch": 1 }),
                404,
                &["999"],
            ),
        ])
    })
    .await
}

#[tokio::test]
async fn paths_methods_and_parameters_that_do_not_exist() -> anyhow::Result<()> {
    let level = json!({ "featureLevel": 9999 });
    check(async |_| {
        Ok(vec![
            get("/nonsense", 404, &["nonsense"]),
            get("/topics/orders/nonsense", 404, &[]),
            get(
                "/topics?consistency=strong",
                400,
                &["consistency", "strong"],
            ),
            get("/topics?consistancy=local", 400, &["consistancy"]),
            get("/topics?limit=0", 422, &["limit", "0"]),
            get("/topics?minIndex=x", 400, &["minIndex", "x"]),
            get("/state-hash?index=-1", 400, &["index", "-1"]),
            put("/topics", &topic("a"), 405, &["PUT"]),
            delete("/controller", 405, &["DELETE"]),
            put("/features", &level, 422, &["featureLevel", "9999"]),
            post(
                "/quorum/leader:transfer",
                &json!({ "target": 9 }),
                422,
                &["target", "9"],
            ),
            post(
                "/quorum:initialize",
                &json!({ "clusterId": "x" }),
                422,
                &["incarnation"],
            ),
        ])
    })
    .await
}

#[tokio::test]
async fn oversized_heads_are_refused() -> anyhow::Result<()> {
    let (mut quorum, rest) = start().await?;
    let path = format!("/api/v1/metadata/topics/{}", "a".repeat(9_000));
    let answer = rest.send(Method::GET, &path, None, &[]).await?;
    assert_eq!(answer.status, 414, "{}", answer.text);
    let header = "a".repeat(20_000);
    let headers = [("x-large", header.as_str())];
    let answer = rest
        .send(Method::GET, "/api/v1/metadata/topics", None, &headers)
        .await?;
    assert_eq!(answer.status, 431, "{}", answer.text);
    rest.get("/topics").await?.success()?;
    quorum.node(1)?.check()
}

#[tokio::test]
async fn admin_routes_want_the_token_that_is_set() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("token");
    std::fs::write(&file, "open sesame\n")?;
    let options = QuorumOptions {
        nodes: 1,
        ..QuorumOptions::default()
    };
    let options = options.with("auth.admin-token-file", file.display().to_string());
    let mut quorum = Quorum::start(&options).await?;
    let rest = quorum.rest(1)?;
    let snapshot = async |token: &str| {
        let headers = [("authorization", token)];
        let headers = if token.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let path = "/api/v1/metadata/quorum/snapshots";
        rest.send(Method::POST, path, None, headers).await
    };
    for (token, status) in [
        ("", 401),
        ("Bearer wrong", 401),
        ("Basic b3BlbiBzZXNhbWU=", 401),
        ("Bearer open sesame", 200),
    ] {
        let answer = snapshot(token).await?;
        assert_eq!(answer.status, status, "`{token}`: {}", answer.text);
        assert!(
            !answer.text.contains("sesame"),
            "the token leaks: {}",
            answer.text
        );
    }
    // The file is read again when it changes, and routes for everybody need no token.
    std::fs::write(&file, "another one\n")?;
    dmq_testkit::harness::wait_until("the new token is known", async || {
        Ok((snapshot("Bearer another one").await?.status == 200).then_some(()))
    })
    .await?;
    assert_eq!(snapshot("Bearer open sesame").await?.status, 401);
    rest.get("/topics").await?.success().map(drop)
}
