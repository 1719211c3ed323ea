//! Bad configuration is refused at the start, with the key, the value and the rule.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dmq_testkit::harness::{Quorum, free_port, server_binary};

/// A configuration that is right, as a start for ones that are not.
fn good(folder: &Path) -> anyhow::Result<String> {
    Ok(format!(
        "dmq:\n  kraft:\n    node-id: 1\n    cluster:\n      nodes:\n        \
         - {{ id: 1, host: 127.0.0.1, port: {} }}\n    raft:\n      log-dir: \"{}\"\n\
         server: {{ port: {} }}\n",
        free_port()?,
        folder.join("data").display(),
        free_port()?
    ))
}

/// Starts a node with a file and flags that it must refuse, and returns what it said.
fn refused(folder: &Path, yaml: &str, flags: &[&str]) -> anyhow::Result<String> {
    let file = folder.join("node.yaml");
    fs::write(&file, yaml)?;
    let mut command = Command::new(server_binary()?);
    command
        .args(["serve", "--bootstrap", "--config"])
        .arg(&file)
        // Its input is closed: a node that starts all the same stops at once, and the test fails instead of hanging.
        .arg("--stop-when-stdin-closes")
        .args(flags);
    let Output {
        status,
        stderr,
        stdout,
    } = command.output()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stderr),
        String::from_utf8_lossy(&stdout)
    );
    assert!(
        !status.success(),
        "it started with {flags:?}:\n{yaml}\n{text}"
    );
    assert!(!text.contains("panicked"), "{text}");
    Ok(text)
}

/// Flags on top of a good file, and the words that the refusal has to hold: key, value, rule.
#[test]
fn every_bad_value_is_named_with_its_key_and_rule() -> anyhow::Result<()> {
    let table: [(&[&str], &[&str]); 15] = [
        (
            &["--dmq.kraft.node-id=2"],
            &["dmq.kraft.node-id", "2", "dmq.kraft.cluster.nodes"],
        ),
        (&["--dmq.kraft.node-id=0"], &["dmq.kraft.node-id", "0"]),
        (&["--dmq.kraft.node-id=one"], &["dmq.kraft.node-id", "one"]),
        (
            &["--dmq.kraft.raft.election-timeout-ms=300"],
            &["dmq.kraft.raft.election-timeout-ms", "300", "heartbeat"],
        ),
        (
            &["--dmq.kraft.raft.heartbeat-interval-ms=500"],
            &["dmq.kraft.raft.election-timeout-ms", "1000", "heartbeat"],
        ),
        (
            &["--dmq.kraft.raft.heartbeat-interval-ms=0"],
            &["dmq.kraft.raft.heartbeat-interval-ms", "0"],
        ),
        (
            &["--dmq.kraft.cluster.id=no spaces"],
            &["dmq.kraft.cluster.id", "no spaces"],
        ),
        (&["--server.port=0"], &["server.port", "0"]),
        (&["--server.port=65536"], &["server.port", "65536"]),
        (
            &["--server.advertised-url=nonsense"],
            &["server.advertised-url", "nonsense"],
        ),
        (
            &["--store.url=mysql://x/y"],
            &["store.url", "mysql://x/y", "postgres"],
        ),
        (&["--store.url=postgres://"], &["store.url"]),
        (
            &["--broker.session-timeout-ms=1"],
            &["broker.session-timeout-ms", "1"],
        ),
        (&["--log.format=xml"], &["log.format", "xml", "json"]),
        (
            &["--dmq.kraft.cluster.nodes=[{id: 1, host: a, port: 1}, {id: 1, host: b, port: 2}]"],
            &["dmq.kraft.cluster.nodes", "1"],
        ),
    ];
    for (flags, words) in table {
        let folder = tempfile::tempdir()?;
        let text = refused(folder.path(), &good(folder.path())?, flags)?;
        for word in words {
            assert!(text.contains(word), "{flags:?}: no `{word}` in:\n{text}");
        }
        assert!(
            !folder.path().join("data").exists(),
            "{flags:?} left a data directory"
        );
    }
    Ok(())
}

#[test]
fn the_file_is_checked_like_the_flags() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let good = good(folder.path())?;
    for (yaml, word) in [
        (good.replace("log-dir", "log-directory"), "log-directory"),
        (good.replace("node-id: 1", "node-id: [1]"), "node-id"),
        (good.clone() + "server: { port: 1 }\n", "server"),
        (good.replace("server:", "sever:"), "sever"),
        ("dmq: [".to_owned(), "node.yaml"),
    ] {
        let text = refused(folder.path(), &yaml, &[])?;
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
    Ok(())
}

#[test]
fn a_log_dir_that_cannot_be_used_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a-file");
    fs::write(&file, "")?;
    let flag = format!("--dmq.kraft.raft.log-dir={}", file.display());
    let text = refused(folder.path(), &good(folder.path())?, &[&flag])?;
    assert!(text.contains("a-file"), "{text}");
    Ok(())
}

#[test]
fn a_directory_with_something_else_in_it_is_refused_and_left_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let theirs = folder.path().join("data/node-1/important.txt");
    fs::create_dir_all(folder.path().join("data/node-1"))?;
    fs::write(&theirs, "keep me")?;
    let text = refused(folder.path(), &good(folder.path())?, &[])?;
    assert!(text.contains("node-1"), "{text}");
    assert_eq!(fs::read_to_string(&theirs)?, "keep me");
    Ok(())
}

#[tokio::test]
async fn a_directory_in_use_or_of_another_cluster_is_refused() -> anyhow::Result<()> {
    let mut quorum = Quorum::of_three().await?;
    let folder = quorum.folder();
    let log_dir = format!("--dmq.kraft.raft.log-dir={}", folder.join("data").display());
    let scratch = tempfile::tempdir()?;
    let yaml = good(scratch.path())?;
    let text = refused(scratch.path(), &yaml, &[&log_dir])?;
    assert!(text.contains("node-1") && text.contains("lock"), "{text}");
    quorum.node(1)?.stop().await?;
    let text = refused(
        scratch.path(),
        &yaml,
        &[&log_dir, "--dmq.kraft.cluster.id=other"],
    )?;
    assert!(
        text.contains("dmq.kraft.cluster.id") && text.contains("other"),
        "{text}"
    );
    quorum.node(1)?.start()?;
    quorum.controller().await.map(drop)
}
