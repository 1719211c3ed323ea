//! A controller that is paused while another one is elected: when it wakes, it serves no stale linearizable read and
//! commits nothing.

use anyhow::Context as _;
use dmq_testkit::harness::{Quorum, QuorumOptions, Rest, play_brokers, wait_until};
use serde_json::{Value, json};

fn options() -> QuorumOptions {
    QuorumOptions::default().with("broker.session-timeout-ms", "3600000")
}

fn topic(name: &str) -> Value {
    json!({ "topicName": name, "numPartitions": 1, "replicationFactor": 1 })
}

/// Requests that are in flight at the node while it is paused: sent, not answered.
fn in_flight(rest: &Rest, count: usize) -> tokio::task::JoinSet<(u16, Value)> {
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..count {
        let rest = rest.clone();
        requests.spawn(async move {
            let answer = rest
                .post("/topics", &topic(&format!("paused-{number}")))
                .await;
            // Nobody kills the node, so a broken connection would be a broken promise.
            answer.map_or((0, Value::Null), |answer| (answer.status, answer.json))
        });
    }
    requests
}

#[tokio::test]
async fn a_paused_controller_wakes_up_harmless() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options()).await?;
    let old = quorum.controller().await?;
    let others = quorum.others(old);
    let old_rest = quorum.rest(old)?;
    play_brokers(&old_rest).await?;

    quorum.node(old)?.pause()?;
    let mut requests = in_flight(&old_rest, 5);
    let stale = tokio::spawn({
        let rest = old_rest.clone();
        async move { rest.get("/topics/fresh?consistency=linearizable").await }
    });
    let new = quorum.controller_among(&others).await?;
    quorum
        .rest(new)?
        .post("/topics", &topic("fresh"))
        .await?
        .success()?;
    quorum.node(old)?.resume()?;

    // The read was sent before the write, so either answer is true; 503 is, too. After this point only the new is.
    let first = stale.await??;
    assert!(
        [200, 404, 503].contains(&first.status),
        "{}: {}",
        first.status,
        first.text
    );
    for _ in 0..50 {
        let read = old_rest
            .get("/topics/fresh?consistency=linearizable")
            .await?;
        assert!(
            read.status == 200 || read.status == 503,
            "a stale linearizable read: {} {}",
            read.status,
            read.text
        );
    }
    wait_until("the old controller follows the new one", async || {
        let view = old_rest.get("/controller").await?;
        Ok((view.json["leaderId"] == json!(new)).then_some(()))
    })
    .await?;

    // The requests that it woke up with are answered by the time that twenty others were.
    for _ in 0..20 {
        old_rest
            .get("/topics/fresh?consistency=linearizable")
            .await?
            .success()?;
    }
    let mut answers = Vec::new();
    while let Some(answer) = requests.try_join_next() {
        answers.push(answer?);
    }
    assert_eq!(
        answers.len(),
        5,
        "requests hang at the old controller: {}",
        quorum.logs()
    );
    committed_only_if_acknowledged(&mut quorum, new, &answers).await?;
    quorum.same_state_everywhere().await.map(drop)
}

/// The old controller may have answered that it does not know. It must not have said yes to what nobody else knows, or a
/// definite no to what is there.
async fn committed_only_if_acknowledged(
    quorum: &mut Quorum,
    controller: u32,
    answers: &[(u16, Value)],
) -> anyhow::Result<()> {
    let rest = quorum.rest(controller)?;
    let mut there = 0;
    for number in 0..answers.len() {
        let read = rest
            .get(&format!("/topics/paused-{number}?consistency=linearizable"))
            .await?;
        there += usize::from(read.status == 200);
    }
    let acknowledged = answers.iter().filter(|(status, _)| *status == 200).count();
    let unknown = answers
        .iter()
        .filter(|(status, body)| *status == 0 || body["outcomeUnknown"] == json!(true))
        .count();
    assert!(
        (acknowledged..=acknowledged + unknown).contains(&there),
        "{there} topics are there, {acknowledged} were acknowledged, {unknown} are unknown: {answers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_paused_follower_is_not_missed_and_catches_up() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options()).await?;
    let controller = quorum.controller().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    let term = rest.get("/controller").await?.number("term")?;
    let sleeper = quorum.others(controller)[0];
    quorum.node(sleeper)?.pause()?;
    let mut last = 0;
    for number in 0..20 {
        let answer = rest
            .post("/topics", &topic(&format!("t{number}")))
            .await?
            .success()?;
        last = answer.index()?;
    }
    quorum.node(sleeper)?.resume()?;
    quorum.applied(last).await?;
    quorum.same_state_everywhere().await?;
    let now = rest.get("/controller").await?;
    assert_eq!(
        now.number("term")?,
        term,
        "a follower that woke up made a new term"
    );
    now.json["isLeader"]
        .as_bool()
        .filter(|leads| *leads)
        .context("it leads no more")
        .map(drop)
}
