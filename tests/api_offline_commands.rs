//! The commands for a stopped node's directory: `format`, `log verify|dump`, `snapshot dump`, `recover`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use dmq_testkit::harness::{Quorum, QuorumOptions, play_brokers, server_binary, wait_until};
use serde_json::json;

/// Runs the server's binary; returns its exit code and what it printed.
fn run(arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    run_with(arguments, &[])
}

fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<(i32, String)> {
    let output = Command::new(server_binary()?)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8_lossy(&text).into_owned()))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

/// A stopped node with some topics and a snapshot.
async fn stopped() -> anyhow::Result<(Quorum, PathBuf)> {
    let options = QuorumOptions {
        nodes: 1,
        ..QuorumOptions::default()
    };
    let mut quorum = Quorum::start(&options).await?;
    let rest = quorum.rest(1)?;
    play_brokers(&rest).await?;
    for name in ["orders", "payments"] {
        let topic = json!({ "topicName": name, "numPartitions": 1, "replicationFactor": 1 });
        rest.post("/topics", &topic).await?.success()?;
    }
    rest.post("/quorum/snapshots", &json!({}))
        .await?
        .success()?;
    wait_until("there is a snapshot", async || {
        let list = rest.get("/quorum/snapshots").await?.success()?;
        Ok(list.json["snapshots"]
            .as_array()
            .filter(|all| !all.is_empty())
            .map(drop))
    })
    .await?;
    quorum.node(1)?.stop().await?;
    let directory = quorum.data_directory(1);
    Ok((quorum, directory))
}

#[tokio::test]
async fn a_sound_log_verifies_and_shows_its_commands() -> anyhow::Result<()> {
    let (_quorum, directory) = stopped().await?;
    let (code, said) = run(&["log", "verify", text(&directory)?])?;
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&["log", "dump", text(&directory)?])?;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("orders") && said.contains("payments"),
        "{said}"
    );
    let (code, said) = run(&["snapshot", "dump", text(&directory)?])?;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("orders"), "{said}");
    Ok(())
}

#[tokio::test]
async fn rot_is_found_by_verify_and_refused_at_the_start() -> anyhow::Result<()> {
    let (mut quorum, directory) = stopped().await?;
    let segment = first_segment(&directory)?;
    let mut bytes = fs::read(&segment)?;
    // The second block holds the first frame, which was known to be durable long ago.
    let place = 4096 + 100;
    bytes[place] ^= 0x40;
    fs::write(&segment, &bytes)?;
    let (code, said) = run(&["log", "verify", text(&directory)?])?;
    assert_ne!(code, 0, "{said}");
    assert!(said.contains(".seg"), "it does not name the file: {said}");
    quorum.node(1)?.start()?;
    let status = quorum.node(1)?.wait_for_end().await?;
    assert!(!status.success());
    let log = quorum.node(1)?.log_tail(5);
    assert!(log.contains(".seg"), "it does not name the file: {log}");
    assert_eq!(fs::read(&segment)?, bytes, "a damaged log was changed");
    Ok(())
}

fn first_segment(directory: &Path) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "seg") {
                found.push(path);
            }
        }
    }
    found.into_iter().min().context("no segment")
}

#[test]
fn format_never_overwrites() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log_dir = format!("--log-dir={}", folder.path().display());
    let format = |cluster: &str, more: &[&str]| {
        let cluster = format!("--cluster-id={cluster}");
        let mut arguments = vec!["format", "--node-id=1", &cluster, &log_dir];
        arguments.extend(more);
        run(&arguments)
    };
    let (code, said) = format("dmq", &[])?;
    assert_eq!(code, 0, "{said}");
    let (code, said) = format("dmq", &[])?;
    assert_ne!(code, 0, "it formatted a formatted directory: {said}");
    let (code, said) = format("dmq", &["--if-empty"])?;
    assert_eq!(code, 0, "{said}");
    let (code, said) = format("other", &["--if-empty"])?;
    assert_ne!(code, 0, "another identity passed for this one: {said}");
    let (code, said) = format("no spaces", &[])?;
    assert_ne!(code, 0);
    assert!(said.contains("no spaces"), "{said}");
    Ok(())
}

/// As the first process of a container it would not be ended by a signal that it does not listen to, and the pod would stay for
/// its whole grace period.
#[tokio::test]
async fn format_that_hangs_can_be_stopped() -> anyhow::Result<()> {
    const SIGTERM: u32 = 15;
    let folder = tempfile::tempdir()?;
    // Nobody writes into the pipe, so that the file is never read to its end.
    let pipe = folder.path().join("node.yaml");
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    anyhow::ensure!(made.success(), "no pipe");
    let child = Command::new(server_binary()?)
        .arg("format")
        .arg(format!("--config={}", pipe.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    wait_until("it listens to SIGTERM", async || {
        let text = fs::read_to_string(&status)?;
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.context("no SigCgt")?.trim(), 16)?;
        Ok((caught >> (SIGTERM - 1) & 1 == 1).then_some(()))
    })
    .await?;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("asked to stop"), "{said}");
    Ok(())
}

/// What an init container of a pod does at every start of the pod.
#[test]
fn format_takes_what_serve_takes_and_is_safe_at_every_start_of_a_pod() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log_dir = folder.path().join("log");
    let file = folder.path().join("node.yaml");
    let configure = |cluster: &str| {
        let yaml = json!({ "dmq": { "kraft": {
            "cluster": { "id": cluster, "nodes": [{ "id": 2, "host": "meta-1.meta", "port": 9093 }] },
            "raft": { "log-dir": log_dir },
        }}});
        fs::write(&file, yaml.to_string())
    };
    configure("dmq")?;
    let config = format!("--config={}", file.display());
    let format =
        |environment: &[(&str, &str)]| run_with(&["format", "--if-empty", &config], environment);
    let pod = [("DMQ_KRAFT_POD_INDEX", "1")];

    let (code, said) = format(&[])?;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`dmq.kraft.node-id` is not set"), "{said}");
    let (code, said) = format(&pod)?;
    assert_eq!(code, 0, "{said}");
    let identity = fs::read(log_dir.join("node-2/identity"))?;
    let (code, said) = format(&pod)?;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("unchanged"), "{said}");

    configure("other")?;
    let (code, said) = format(&pod)?;
    assert_eq!(code, 3, "another cluster's directory: {said}");
    configure("dmq")?;
    // The volume of another pod.
    let (code, said) = format(&[("DMQ_KRAFT_POD_INDEX", "0")])?;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("node-2 is another node's"), "{said}");
    assert!(!log_dir.join("node-1").exists(), "it wrote beside it");
    assert_eq!(fs::read(log_dir.join("node-2/identity"))?, identity);
    Ok(())
}

/// `recover` of node 1 in the directory's parent.
fn recover(directory: &Path, more: &[&str]) -> anyhow::Result<(i32, String)> {
    let log_dir = directory.parent().context("a log directory")?;
    let log_dir = format!("--log-dir={}", log_dir.display());
    run(&[&["recover", "--node-id=1", &log_dir], more].concat())
}

/// Every file below the log directory with its content, to see that nothing was changed.
fn everything(directory: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut folders = vec![directory.parent().context("a parent")?.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::test]
async fn recover_says_what_may_be_lost_and_changes_nothing_without_force() -> anyhow::Result<()> {
    let (mut quorum, directory) = stopped().await?;
    let before = everything(&directory)?;
    let (code, said) = recover(&directory, &[])?;
    assert_eq!(code, 2, "{said}");
    for part in [
        "nothing was changed",
        "--force-cluster-id=dmq",
        "last entry",
        "known to be committed",
        "what may be lost",
        "incarnation 1 ends, and 2 begins",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    let (code, said) = recover(&directory, &["--force-cluster-id=other"])?;
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("`other`") && said.contains("`dmq`"),
        "it does not name both clusters: {said}"
    );
    assert!(everything(&directory)? == before, "something was changed");
    quorum.node(1)?.start()?;
    quorum.node(1)?.wait_until_ready().await?;
    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is locked"), "{said}");
    Ok(())
}

#[test]
fn recover_refuses_a_node_that_has_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("node-1");
    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is not formatted"), "{said}");
    assert!(!directory.exists(), "it made a directory");
    let log_dir = format!("--log-dir={}", folder.path().display());
    let (code, said) = run(&["format", "--node-id=1", "--cluster-id=dmq", &log_dir])?;
    assert_eq!(code, 0, "{said}");
    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("never was part of a quorum"), "{said}");
    let (code, said) = run(&["recover", &log_dir])?;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`dmq.kraft.node-id` is not set"), "{said}");
    Ok(())
}

/// Killed between the two renames: nothing but `recover` touches the node.
#[tokio::test]
async fn a_half_recovered_node_is_only_taken_up_by_recover() -> anyhow::Result<()> {
    let (mut quorum, directory) = stopped().await?;
    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 0, "{said}");
    let staging = PathBuf::from(format!("{}.recovering", directory.display()));
    fs::rename(&directory, &staging)?;
    let before = everything(&directory)?;

    // The harness starts with `--bootstrap`, which formats what is missing.
    quorum.node(1)?.start()?;
    let status = quorum.node(1)?.wait_for_end().await?;
    assert_eq!(status.code(), Some(3));
    let log = quorum.node(1)?.log_tail(5);
    assert!(log.contains("run `dmq-metadata recover` again"), "{log}");
    let log_dir = directory.parent().context("a parent")?.display();
    let log_dir = format!("--log-dir={log_dir}");
    let (code, said) = run(&["format", "--node-id=1", "--cluster-id=dmq", &log_dir])?;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("run `dmq-metadata recover` again"), "{said}");
    let (code, said) = recover(&directory, &[])?;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("interrupted before its last step"), "{said}");
    assert!(everything(&directory)? == before, "something was changed");

    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 0, "{said}");
    assert!(!staging.exists(), "{said}");
    let (code, said) = recover(&directory, &["--force-cluster-id=dmq"])?;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("nothing to do"), "{said}");
    // What is kept beside it is no other node's directory.
    let pod = [
        "format",
        "--if-empty",
        "--cluster-id=dmq",
        &log_dir,
        "--pod-index=0",
    ];
    let (_, said) = run(&pod)?;
    assert!(!said.contains("another node's"), "{said}");
    quorum.node(1)?.start()?;
    quorum.node(1)?.wait_until_ready().await?;
    for name in ["orders", "payments"] {
        let path = format!("/topics/{name}?consistency=linearizable");
        quorum.rest(1)?.get(&path).await?.success()?;
    }
    Ok(())
}
