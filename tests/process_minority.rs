//! A minority refuses what needs a majority, says so at once, and still answers local reads.

use dmq_testkit::harness::{Answer, Quorum, QuorumOptions, play_brokers, wait_until};
use serde_json::{Value, json};

fn options() -> QuorumOptions {
    QuorumOptions::default().with("broker.session-timeout-ms", "3600000")
}

fn topic(name: &str) -> Value {
    json!({ "topicName": name, "numPartitions": 1, "replicationFactor": 1 })
}

fn is_clear_refusal(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.json["retriable"], json!(true), "{}", answer.text);
    assert_eq!(
        answer.json["outcomeUnknown"],
        json!(false),
        "{}",
        answer.text
    );
    assert!(
        ["NO_LEADER", "NO_QUORUM", "NOT_CONTROLLER", "LEADER_CHANGED"].contains(&answer.code()),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_single_survivor_of_three_serves_local_reads_only() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options()).await?;
    let controller = quorum.controller().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    let index = rest
        .post("/topics", &topic("before"))
        .await?
        .success()?
        .index()?;
    quorum.applied(index).await?;
    for id in quorum.others(controller) {
        quorum.node(id)?.kill()?;
    }
    // A write that is in flight when the majority dies, too, gets its answer.
    let orphan = rest.post("/topics", &topic("orphan")).await?;
    assert!(
        [503, 504].contains(&orphan.status),
        "{} {}",
        orphan.status,
        orphan.text
    );
    wait_until("the survivor gives up leading", async || {
        let view = rest.get("/controller").await?.success()?;
        Ok(view.json["leaderId"].is_null().then_some(()))
    })
    .await?;
    is_clear_refusal(&rest.post("/topics", &topic("refused")).await?);
    is_clear_refusal(&rest.get("/topics/before?consistency=linearizable").await?);
    let local = rest
        .get("/topics/before?consistency=local")
        .await?
        .success()?;
    assert_eq!(local.json["topicName"], json!("before"));
    assert!(local.index()? >= index);
    quorum.start_all()?;
    let controller = quorum.controller().await?;
    let rest = quorum.rest(controller)?;
    rest.post("/topics", &topic("after")).await?.success()?;
    let refused = rest.get("/topics/refused?consistency=linearizable").await?;
    assert_eq!(
        refused.status, 404,
        "a refused write was done: {}",
        refused.text
    );
    let late = rest.get("/topics/orphan?consistency=linearizable").await?;
    let unknown = orphan.json["outcomeUnknown"] == json!(true);
    assert!(
        unknown || late.status == 404,
        "{} was answered to what was done",
        orphan.text
    );
    Ok(())
}

#[tokio::test]
async fn a_controller_that_is_cut_off_steps_down_and_follows_after_the_cut() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options().with_links()).await?;
    let old = quorum.controller().await?;
    let others = quorum.others(old);
    let old_rest = quorum.rest(old)?;
    play_brokers(&old_rest).await?;
    quorum.links().cut_off(&[old]);
    let lost = old_rest.post("/topics", &topic("lost")).await?;
    assert!(
        [503, 504].contains(&lost.status),
        "{} {}",
        lost.status,
        lost.text
    );
    let new = quorum.controller_among(&others).await?;
    let index = quorum
        .rest(new)?
        .post("/topics", &topic("kept"))
        .await?
        .success()?
        .index()?;
    wait_until("the old controller knows of no leader", async || {
        Ok(old_rest.get("/controller").await?.json["leaderId"]
            .is_null()
            .then_some(()))
    })
    .await?;
    is_clear_refusal(&old_rest.post("/topics", &topic("refused")).await?);
    is_clear_refusal(
        &old_rest
            .get("/topics/kept?consistency=linearizable")
            .await?,
    );
    assert_eq!(
        old_rest.get("/topics/kept").await?.status,
        404,
        "a local read shows what it has"
    );
    quorum.links().heal();
    quorum.applied(index).await?;
    quorum.controller().await?;
    assert_eq!(
        old_rest
            .get("/topics/kept?consistency=linearizable")
            .await?
            .status,
        200
    );
    quorum.same_state_everywhere().await.map(drop)
}

#[tokio::test]
async fn a_follower_that_is_cut_off_does_not_disturb_the_others() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options().with_links()).await?;
    let controller = quorum.controller().await?;
    let rest = quorum.rest(controller)?;
    play_brokers(&rest).await?;
    let term = rest.get("/controller").await?.number("term")?;
    let lonely = quorum.others(controller)[0];
    let lonely_rest = quorum.rest(lonely)?;
    quorum.links().cut_off(&[lonely]);
    wait_until("the follower misses its controller", async || {
        Ok(lonely_rest.get("/controller").await?.json["leaderId"]
            .is_null()
            .then_some(()))
    })
    .await?;
    let index = rest
        .post("/topics", &topic("meanwhile"))
        .await?
        .success()?
        .index()?;
    quorum.links().heal();
    quorum.applied(index).await?;
    quorum.controller().await?;
    let now = rest.get("/controller").await?.number("term")?;
    assert_eq!(
        now, term,
        "pre-vote: a node that was cut off must not raise the term"
    );
    Ok(())
}
