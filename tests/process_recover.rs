//! A majority is lost for good: one survivor is recovered by force, leads alone with everything it knows, and nobody
//! of the earlier history gets in again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use dmq_testkit::checkers::{History, Write};
use dmq_testkit::harness::{
    Load, Quorum, QuorumOptions, Rest, check_exactly_once, check_exactly_once_before_recovery,
    play_brokers, server_binary, wait_until,
};
use serde_json::{Value, json};

fn options() -> QuorumOptions {
    QuorumOptions::default().with("broker.session-timeout-ms", "3600000")
}

/// Three nodes that wrote something, all of it applied everywhere, and were killed at once.
async fn killed(options: &QuorumOptions) -> anyhow::Result<(Quorum, History)> {
    let mut quorum = Quorum::start(options).await?;
    let controller = quorum.controller().await?;
    let ports: Vec<u16> = quorum.nodes().iter().map(|node| node.rest_port).collect();
    let load = Load::start(&quorum.rest(controller)?, &ports, 4).await?;
    load.progress(60).await?;
    let history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    for id in 1..=3 {
        quorum.node(id)?.kill()?;
    }
    Ok((quorum, history))
}

/// `dmq-metadata recover` of a node; returns what it said.
fn recover(quorum: &Quorum, id: u32) -> anyhow::Result<String> {
    let data = quorum.data_directory(id);
    let log_dir = data.parent().context("a log directory")?;
    let output = Command::new(server_binary()?)
        .arg("recover")
        .arg(format!("--node-id={id}"))
        .arg(format!("--log-dir={}", log_dir.display()))
        .arg("--force-cluster-id=dmq")
        .output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}

async fn quorum_of(quorum: &mut Quorum, id: u32) -> anyhow::Result<Value> {
    Ok(quorum.rest(id)?.get("/quorum").await?.success()?.json)
}

/// Waits until the node's log says that a peer of another history was refused.
async fn refuses_strangers(quorum: &mut Quorum, id: u32) -> anyhow::Result<()> {
    wait_until(&format!("node {id} meets a stranger"), async || {
        let node = quorum.node(id)?;
        node.check()?;
        let log = node.log();
        Ok(log.contains("is of incarnation").then_some(()))
    })
    .await
    .with_context(|| quorum.logs())
}

#[tokio::test]
async fn a_survivor_leads_alone_with_everything_and_old_members_stay_out() -> anyhow::Result<()> {
    let (mut quorum, history) = killed(&options()).await?;
    let said = recover(&quorum, 1)?;
    quorum.node(1)?.start()?;
    let leader = quorum.controller_among(&[1]).await?;
    assert_eq!(leader, 1);
    check_exactly_once_before_recovery(&quorum.rest(1)?, &history).await?;

    let state = quorum_of(&mut quorum, 1).await?;
    let incarnation = state["incarnation"].as_str().context("incarnation")?;
    assert!(incarnation.starts_with("2-"), "{state}");
    assert!(said.contains(incarnation), "{said}");
    let directory = state["directoryId"].as_str().context("directoryId")?;
    assert!(said.contains(directory), "{said}");
    assert!(said.contains("before-recovery-1"), "{said}");

    // Epochs of brokers are indexes: those of the new history are above all that the old one gave out.
    let rest = quorum.rest(1)?;
    let broker = json!({ "id": 104, "host": "127.0.0.1", "port": 9092 });
    let answer = rest.post("/brokers", &broker).await?.success()?;
    assert!(answer.number("brokerEpoch")? > history.last_index() + (1 << 32));

    // The old members agree among themselves on a controller, and the survivor is none of them.
    quorum.node(2)?.start()?;
    quorum.node(3)?.start()?;
    let old = quorum.controller_among(&[2, 3]).await?;
    assert_ne!(old, 1);
    refuses_strangers(&mut quorum, 1).await?;
    refuses_strangers(&mut quorum, old).await?;
    assert_eq!(quorum.controller_among(&[1]).await?, 1);
    let topic = json!({ "topicName": "after", "numPartitions": 1, "replicationFactor": 1 });
    rest.post("/topics", &topic).await?.success()?;
    let missing = quorum.rest(old)?.get("/topics/after").await?;
    assert_eq!(missing.status, 404, "{}", missing.text);
    Ok(())
}

#[tokio::test]
async fn two_recovered_survivors_refuse_each_other() -> anyhow::Result<()> {
    let (mut quorum, history) = killed(&options()).await?;
    for id in [1, 2] {
        recover(&quorum, id)?;
        quorum.node(id)?.start()?;
    }
    for id in [1, 2] {
        assert_eq!(quorum.controller_among(&[id]).await?, id);
        check_exactly_once_before_recovery(&quorum.rest(id)?, &history).await?;
    }
    refuses_strangers(&mut quorum, 1).await?;
    refuses_strangers(&mut quorum, 2).await?;
    let first = quorum_of(&mut quorum, 1).await?;
    let second = quorum_of(&mut quorum, 2).await?;
    assert_ne!(first["incarnation"], second["incarnation"]);
    for (id, state) in [(1, first), (2, second)] {
        assert_eq!(state["leaderId"], json!(id), "{state}");
    }
    Ok(())
}

/// The way back to a full quorum: the others' disks are formatted anew for the new history, and join it under load.
#[tokio::test]
async fn a_survivor_grows_to_three_again_under_load() -> anyhow::Result<()> {
    let mut quorum = Quorum::start(&options()).await?;
    let controller = quorum.controller().await?;
    let kept = create(&quorum.rest(controller)?, "kept").await?;
    quorum.applied(kept).await?;
    for id in 1..=3 {
        quorum.node(id)?.kill()?;
    }
    recover(&quorum, 1)?;
    quorum.node(1)?.start()?;
    assert_eq!(quorum.controller_among(&[1]).await?, 1);
    let state = quorum_of(&mut quorum, 1).await?;
    let incarnation = state["incarnation"].as_str().context("incarnation")?;
    let load = Load::start(&quorum.rest(1)?, &quorum.rest_ports(), 4).await?;
    load.progress(20).await?;
    for id in [2, 3] {
        quorum.wipe_for(id, incarnation).await?;
        quorum.observe(id).await?;
    }
    quorum.vote(&[1, 2, 3]).await?.success()?;
    load.progress(20).await?;

    // The survivor is one of three again, and not needed more than the others.
    quorum.node(1)?.kill()?;
    load.progress(40).await?;
    quorum.node(1)?.start()?;
    let mut history = load.finish().await?;
    quorum.applied(history.last_index()).await?;
    quorum.same_state_everywhere().await?;
    history.writes.push(Write::Created {
        topic: "kept".to_owned(),
        index: kept,
    });
    for id in 1..=3 {
        check_exactly_once(&quorum.rest(id)?, &history).await?;
        let seen = quorum_of(&mut quorum, id).await?;
        assert_eq!(seen["incarnation"], state["incarnation"]);
    }
    Ok(())
}

/// A topic of one partition; returns the index that it was created at.
async fn create(rest: &Rest, name: &str) -> anyhow::Result<u64> {
    play_brokers(rest).await?;
    let topic = json!({ "topicName": name, "numPartitions": 1, "replicationFactor": 1 });
    rest.post("/topics", &topic).await?.success()?;
    let topic = rest
        .get(&format!("/topics/{name}?consistency=linearizable"))
        .await?;
    topic.success()?.number("createdIndex")
}

/// A database outside the node's directory is there before and after: of an earlier history it is rebuilt, and a node
/// of an earlier history stops before that of a later one.
#[tokio::test]
async fn the_database_follows_into_the_new_history_and_never_back() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut options = options();
    options.stores = (1..=3)
        .map(|id| format!("sqlite:{}/{id}.db", folder.path().display()))
        .collect();
    let (mut quorum, history) = killed(&options).await?;
    recover(&quorum, 1)?;
    quorum.node(1)?.start()?;
    quorum.controller_among(&[1]).await?;
    projected(&mut quorum, 1).await?;
    check_exactly_once_before_recovery(&quorum.rest(1)?, &history).await?;
    let log = quorum.node(1)?.log();
    assert!(log.contains("the database is wiped"), "{log}");
    quorum.node(1)?.stop().await?;

    // Somebody puts the old directory back.
    let root = quorum.data_directory(1);
    let kept = PathBuf::from(format!("{}.before-recovery-1", root.display()));
    fs::rename(&root, beside(&root, "recovered"))?;
    fs::rename(&kept, &root)?;
    let before = fs::read(folder.path().join("1.db"))?;
    quorum.node(1)?.start()?;
    let status = quorum.node(1)?.wait_for_end().await?;
    assert_eq!(status.code(), Some(5), "{}", quorum.logs());
    let log = quorum.node(1)?.log_tail(5);
    assert!(log.contains("incarnation"), "{log}");
    assert_eq!(before, fs::read(folder.path().join("1.db"))?);
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", path.display()))
}

async fn projected(quorum: &mut Quorum, id: u32) -> anyhow::Result<()> {
    let rest = quorum.rest(id)?;
    wait_until("the database is as far as the image", async || {
        let state = rest.get("/controller").await?.success()?;
        let (applied, projected) = (
            state.number("appliedIndex")?,
            state.number("projectedIndex")?,
        );
        Ok((projected >= applied).then_some(()))
    })
    .await
}
