//! All nodes are killed and come back: the same state on all of them, and everything that was acknowledged.

use dmq_testkit::harness::{Load, Quorum, QuorumOptions, check_exactly_once};

/// Kills all three under load in the given order, with so many acknowledged writes between two kills, and starts them
/// again in the opposite order.
async fn kill_all(quorum: &mut Quorum, order: [u32; 3], between: u64) -> anyhow::Result<()> {
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    let load = Load::start(&quorum.rest(controller)?, &ports, 4).await?;
    load.progress(40).await?;
    quorum.node(order[0])?.kill()?;
    if between > 0 {
        load.progress(between).await?;
    }
    quorum.node(order[1])?.kill()?;
    quorum.node(order[2])?.kill()?;
    for id in order.into_iter().rev() {
        quorum.node(id)?.start()?;
    }
    load.progress(20).await?;
    let history = load.finish().await?;
    let controller = quorum.controller().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await
}

async fn three() -> anyhow::Result<Quorum> {
    Quorum::start(&QuorumOptions::default().with("broker.session-timeout-ms", "3600000")).await
}

#[tokio::test]
async fn all_killed_at_once_under_load_come_back_with_one_state() -> anyhow::Result<()> {
    let mut quorum = three().await?;
    kill_all(&mut quorum, [1, 2, 3], 0).await
}

#[tokio::test]
async fn all_killed_one_after_the_other_controller_first_come_back() -> anyhow::Result<()> {
    let mut quorum = three().await?;
    let controller = quorum.controller().await?;
    let others = quorum.others(controller);
    kill_all(&mut quorum, [controller, others[0], others[1]], 10).await
}

#[tokio::test]
async fn all_killed_controller_last_come_back() -> anyhow::Result<()> {
    let mut quorum = three().await?;
    let controller = quorum.controller().await?;
    let others = quorum.others(controller);
    kill_all(&mut quorum, [others[0], others[1], controller], 10).await
}

#[tokio::test]
async fn an_orderly_stop_of_all_keeps_state_and_identity() -> anyhow::Result<()> {
    let mut quorum = Quorum::of_three().await?;
    let controller = quorum.controller().await?;
    let body = serde_json::json!({ "id": 7, "host": "127.0.0.1", "port": 9092 });
    let answer = quorum
        .rest(controller)?
        .post("/brokers", &body)
        .await?
        .success()?;
    let index = answer.index()?;
    let before = quorum.rest(1)?.get("/quorum").await?.success()?;
    for id in 1..=3 {
        let status = quorum.node(id)?.stop().await?;
        assert!(status.success(), "{status}: {}", quorum.logs());
    }
    quorum.start_all()?;
    quorum.controller().await?;
    quorum.applied(index).await?;
    quorum.same_state_everywhere().await?;
    let after = quorum.rest(1)?.get("/quorum").await?.success()?;
    for field in ["clusterId", "incarnation", "directoryId"] {
        assert_eq!(before.json[field], after.json[field], "{field}");
    }
    assert!(after.number("term")? > before.number("term")?);
    Ok(())
}
