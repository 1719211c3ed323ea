//! A node that was away longer than the log is kept catches up by snapshot, while the others serve.

use dmq_testkit::harness::{Load, Quorum, QuorumOptions, Rest, check_exactly_once, wait_until};
use serde_json::{Value, json};

/// So small that a snapshot is always due.
fn options() -> QuorumOptions {
    QuorumOptions::default()
        .with("broker.session-timeout-ms", "3600000")
        .with("dmq.kraft.raft.snapshot-bytes", "16384")
        .with("dmq.kraft.raft.kept-entries", "16")
}

async fn start() -> anyhow::Result<(Quorum, Load)> {
    let mut quorum = Quorum::start(&options()).await?;
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    let load = Load::start(&quorum.rest(controller)?, &ports, 4).await?;
    load.progress(20).await?;
    Ok((quorum, load))
}

/// Logs are purged by whole segments of 64 MiB. Large commands that are refused fill them fast and change nothing: a
/// topic of the load, once more, with an assignment for 10,000 partitions.
fn filler() -> Value {
    let replicas = [[101, 102, 103], [102, 103, 101]];
    let assignments: Vec<[u32; 3]> = replicas.into_iter().cycle().take(10_000).collect();
    json!({ "topicName": "load", "assignments": assignments })
}

/// Fills the log until all nodes that run have purged theirs beyond `index`.
async fn fill_until_purged(quorum: &mut Quorum, index: u64) -> anyhow::Result<()> {
    let body = filler();
    wait_until(
        "the logs are purged beyond what the absent node has",
        async || {
            let controller = quorum.controller().await?;
            let rest = quorum.rest(controller)?;
            for _ in 0..20 {
                let answer = rest.post("/topics?ack=applied", &body).await?;
                assert!([409, 503].contains(&answer.status), "{}", answer.text);
            }
            for node in quorum.nodes().iter().filter(|node| node.is_running()) {
                if log_start(&node.rest()?).await? <= index {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        },
    )
    .await
}

async fn log_start(rest: &Rest) -> anyhow::Result<u64> {
    rest.get("/quorum")
        .await?
        .success()?
        .number("logStartIndex")
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
    fill_until_purged(&mut quorum, had).await?;
    quorum.node(away)?.start()?;
    quorum.node(away)?.wait_until_ready().await?;
    load.progress(20).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    let start = log_start(&quorum.rest(away)?).await?;
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
    fill_until_purged(&mut quorum, 1).await?;
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
