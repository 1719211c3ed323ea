//! The controller is killed, and stopped, under load: nothing acknowledged is lost, nothing is done twice, nobody waits.

use dmq_testkit::harness::{Load, Quorum, QuorumOptions, check_exactly_once, wait_until};

/// Played brokers send no heartbeats.
fn options(nodes: u32) -> QuorumOptions {
    QuorumOptions {
        nodes,
        ..QuorumOptions::default()
    }
    .with("broker.session-timeout-ms", "3600000")
}

async fn load(quorum: &mut Quorum, clients: u32) -> anyhow::Result<Load> {
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    Load::start(&quorum.rest(controller)?, &ports, clients).await
}

/// After the quorum moved on by many writes, every client must have had an answer to what it had in flight: a request
/// that hangs would show as a client that stands still while the others move.
async fn everybody_was_answered(load: &Load, before: &[u64]) -> anyhow::Result<()> {
    load.progress(20 * before.len() as u64).await?;
    let waiting = load
        .answers()
        .iter()
        .zip(before)
        .filter(|(now, before)| now <= before)
        .count();
    assert_eq!(
        waiting, 0,
        "{waiting} clients still wait for an answer of the old controller"
    );
    Ok(())
}

#[tokio::test]
async fn killing_the_controller_under_load_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options(3)).await?;
    let load = load(&mut quorum, 8).await?;
    for _ in 0..3 {
        load.progress(50).await?;
        let controller = quorum.controller().await?;
        let answers = load.answers();
        quorum.node(controller)?.kill()?;
        everybody_was_answered(&load, &answers).await?;
        let successor = quorum.controller().await?;
        assert_ne!(successor, controller);
        quorum.node(controller)?.start()?;
    }
    let history = load.finish().await?;
    let controller = quorum.controller().await?;
    quorum.applied(history.last_index()).await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await?;
    quorum.same_state_everywhere().await.map(drop)
}

#[tokio::test]
async fn five_nodes_survive_two_kills() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options(5)).await?;
    let load = load(&mut quorum, 4).await?;
    for _ in 0..2 {
        load.progress(20).await?;
        let controller = quorum.controller().await?;
        quorum.node(controller)?.kill()?;
        load.progress(20).await?;
    }
    let history = load.finish().await?;
    let controller = quorum.controller().await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await?;
    quorum.same_state_everywhere().await.map(drop)
}

#[tokio::test]
async fn a_stopped_controller_hands_over_and_ends_cleanly() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options(3)).await?;
    let load = load(&mut quorum, 8).await?;
    for _ in 0..3 {
        load.progress(50).await?;
        let controller = quorum.controller().await?;
        let answers = load.answers();
        let status = quorum.node(controller)?.stop().await?;
        assert!(status.success(), "{status}: {}", quorum.logs());
        everybody_was_answered(&load, &answers).await?;
        quorum.node(controller)?.start()?;
        quorum.node(controller)?.wait_until_ready().await?;
    }
    let history = load.finish().await?;
    let controller = quorum.controller().await?;
    quorum.applied(history.last_index()).await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await?;
    quorum.same_state_everywhere().await.map(drop)
}

#[tokio::test]
async fn a_transfer_moves_the_controller_to_the_named_node() -> anyhow::Result<()> {
    let mut quorum = Quorum::of_three().await?;
    let controller = quorum.controller().await?;
    let target = quorum.others(controller)[0];
    let body = serde_json::json!({ "target": target });
    let rest = quorum.rest(controller)?;
    let answer = rest
        .post("/quorum/leader:transfer", &body)
        .await?
        .success()?;
    assert_eq!(
        answer.number("leaderId")?,
        u64::from(target),
        "{}",
        answer.text
    );
    wait_until("everybody follows the new controller", async || {
        Ok((quorum.controller().await? == target).then_some(()))
    })
    .await
}
