//! `dmq-metadata dev`: one command gives a quorum, a killed node is noticed and brought back, Ctrl-C ends everything.

use std::process::Command;

use dmq_testkit::harness::{Process, Rest, free_ports_in_a_row, server_binary, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

struct Dev {
    process: Process,
    rest_port: u16,
    _folder: tempfile::TempDir,
}

/// `dev` on ports of its own, with three nodes and three played brokers.
fn start() -> anyhow::Result<Dev> {
    let folder = tempfile::tempdir()?;
    let rest_port = free_ports_in_a_row(3)?;
    let grpc_port = free_ports_in_a_row(3)?;
    let mut command = Command::new(server_binary()?);
    command
        .arg("dev")
        .arg(format!(
            "--data-dir={}",
            folder.path().join("dev").display()
        ))
        .arg(format!("--rest-port={rest_port}"))
        .arg(format!("--grpc-port={grpc_port}"));
    let process = Process::start(&mut command, folder.path().join("log"))?;
    Ok(Dev {
        process,
        rest_port,
        _folder: folder,
    })
}

async fn controller(dev: &mut Dev) -> anyhow::Result<u16> {
    let process = &mut dev.process;
    let rest_port = dev.rest_port;
    wait_until("the quorum has a controller", async || {
        if let Some(status) = process.ended()? {
            anyhow::bail!("dev ended ({status}): {}", process.output());
        }
        for node in 0..3 {
            let view = Rest::new(rest_port + node)?.get("/controller").await;
            if view.is_ok_and(|view| view.json["isLeader"] == json!(true)) {
                return Ok(Some(rest_port + node));
            }
        }
        Ok(None)
    })
    .await
}

#[tokio::test]
async fn dev_serves_the_first_curl_and_survives_a_killed_node() -> anyhow::Result<()> {
    let mut dev = start()?;
    let port = controller(&mut dev).await?;
    assert_eq!(port, dev.rest_port, "node 1 is the first controller");
    let orders = json!({ "topicName": "orders", "numPartitions": 3, "replicationFactor": 2 });
    wait_until(
        "the played brokers are there and `orders` is created",
        async || {
            let answer = Rest::new(port)?.post("/topics", &orders).await?;
            Ok(answer.is_success().then_some(()))
        },
    )
    .await?;
    let killed = node_process(&dev, 1)?;
    kill_process(killed, Signal::KILL)?;
    wait_until("dev shows that node 1 is gone", async || {
        Ok(dev.process.output().contains("node 1").then_some(()))
    })
    .await?;
    let successor = wait_until("another node leads", async || {
        let port = controller(&mut dev).await?;
        Ok((port != dev.rest_port).then_some(port))
    })
    .await?;
    let topic = Rest::new(successor)?
        .get("/topics/orders?consistency=linearizable")
        .await?;
    assert_eq!(topic.status, 200, "{}", topic.text);
    dev.process.signal(Signal::INT)?;
    let status = dev.process.wait().await?;
    assert!(status.success(), "{status}: {}", dev.process.output());
    for node in 0..3 {
        let answer = Rest::new(dev.rest_port + node)?.get("/controller").await;
        assert!(answer.is_err(), "a node outlived `dev`");
    }
    Ok(())
}

/// The process of a node: the child of `dev` whose command line names it.
fn node_process(dev: &Dev, id: u32) -> anyhow::Result<Pid> {
    let parent = dev.process.id();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let found = children.split_whitespace().find(|child| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("node-id={id}"))
    });
    let child = found.ok_or_else(|| anyhow::anyhow!("no process of node {id} in {children}"))?;
    Pid::from_raw(child.parse()?).ok_or_else(|| anyhow::anyhow!("no process id: {child}"))
}
