//! A node that was away longer than the log is kept catches up by snapshot, while the others serve.

use dmq_testkit::harness::{Load, Quorum, QuorumOptions, check_exactly_once, wait_until};

/// So small that a test passes them many times.
fn options() -> QuorumOptions {
    QuorumOptions::default()
        .with("broker.session-timeout-ms", 3_600_000)
        .with("dmq.kraft.raft.snapshot-bytes", 16_384)
        .with("dmq.kraft.raft.kept-entries", 16)
}

async fn start() -> anyhow::Result<(Quorum, Load)> {
    let mut quorum = Quorum::start(&options()).await?;
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    let load = Load::start(&quorum.rest(controller)?, &ports, 4).await?;
    load.progress(20).await?;
    Ok((quorum, load))
}

/// Waits until the controller's log begins behind `index`, which `away` therefore cannot be sent any more.
async fn log_is_purged_beyond(quorum: &mut Quorum, index: u64) -> anyhow::Result<()> {
    wait_until(
        "the logs are purged beyond what the absent node has",
        async || {
            for node in quorum.nodes().iter().filter(|node| node.is_running()) {
                let view = node.rest()?.get("/quorum").await?.success()?;
                if view.number("logStartIndex")? <= index {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        },
    )
    .await
}

#[tokio::test]
async fn a_node_that_was_away_too_long_is_sent_a_snapshot() -> anyhow::Result<()> {
    let (mut quorum, load) = start().await?;
    let controller = quorum.controller().await?;
    let away = quorum.others(controller)[0];
    let had = quorum
        .rest(away)?
        .get("/quorum")
        .await?
        .success()?
        .number("lastIndex")?;
    quorum.node(away)?.kill()?;
    log_is_purged_beyond(&mut quorum, had).await?;
    quorum.node(away)?.start()?;
    quorum.node(away)?.wait_until_ready().await?;
    load.progress(20).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    let start = quorum
        .rest(away)?
        .get("/quorum")
        .await?
        .success()?
        .number("logStartIndex")?;
    assert!(
        start > had,
        "it was sent entries {had}..{start}, which nobody has any more"
    );
    quorum.same_state_everywhere().await?;
    check_exactly_once(&quorum.rest(away)?, &history).await
}

#[tokio::test]
async fn a_restart_of_all_begins_with_the_snapshots() -> anyhow::Result<()> {
    let (mut quorum, load) = start().await?;
    log_is_purged_beyond(&mut quorum, 1).await?;
    for id in 1..=3 {
        quorum.node(id)?.kill()?;
    }
    quorum.start_all()?;
    load.progress(20).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    let controller = quorum.controller().await?;
    check_exactly_once(&quorum.rest(controller)?, &history).await
}
