//! Our side: three nodes of this checkout's release build, with brokers and a topic to write to.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use http::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::http::once;
use super::server::{Server, free_ports, wait_for};
use crate::workspace::SERVER_BINARY;

/// Size of the quorum.
pub(super) const NODES: usize = 3;

/// Where all REST paths begin.
pub(super) const PREFIX: &str = "/api/v1/metadata";

/// The brokers that a run plays, with their registration epochs.
const BROKERS: [u32; 3] = [101, 102, 103];

/// Three nodes.
pub(super) struct Quorum {
    nodes: Vec<Server>,
    rest_ports: [u16; NODES],
    folder: PathBuf,
    store_urls: Vec<String>,
}

impl Quorum {
    /// Starts three empty nodes below `folder`. `store_urls` has one database per node, or is empty for the
    /// default, `SQLite`.
    pub(super) fn start(folder: PathBuf, store_urls: Vec<String>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let rest_ports = free_ports::<NODES>()?;
        let peer_ports = free_ports::<NODES>()?;
        std::fs::write(
            folder.join("quorum.yaml"),
            configuration(&folder, &peer_ports),
        )?;
        let mut quorum = Self {
            nodes: Vec::new(),
            rest_ports,
            folder,
            store_urls,
        };
        for node in 0..NODES {
            let server = quorum.spawn(node)?;
            quorum.nodes.push(server);
        }
        Ok(quorum)
    }

    /// REST port of a node, by position.
    pub(super) fn rest_port(&self, node: usize) -> u16 {
        self.rest_ports[node]
    }

    /// The position of the controller, once all nodes agree on it.
    pub(super) async fn controller(&mut self) -> anyhow::Result<usize> {
        let Self {
            nodes, rest_ports, ..
        } = self;
        wait_for("all nodes agree on a controller", async || {
            let mut seen = Vec::new();
            for (node, port) in nodes.iter_mut().zip(*rest_ports) {
                node.check()?;
                seen.push(leader_seen_by(port).await);
            }
            let agreed = seen
                .iter()
                .all(|leader| leader.is_some() && *leader == seen[0]);
            Ok(seen[0].filter(|_| agreed).map(|id| id - 1))
        })
        .await
    }

    /// Sends a signal to a node.
    pub(super) fn signal(&self, node: usize, signal: Signal) -> anyhow::Result<()> {
        self.nodes[node].signal(signal)
    }

    /// Starts a node again that was ended, and waits until it has caught up.
    pub(super) async fn restart(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].wait()?;
        self.nodes[node] = self.spawn(node)?;
        let port = self.rest_ports[node];
        wait_for("the node is ready again", async || {
            self.nodes[node].check()?;
            let answer = once(port, Method::GET, "/readyz", "").await;
            Ok(answer.ok().filter(|answer| answer.status.is_success()))
        })
        .await
        .map(drop)
    }

    fn spawn(&self, node: usize) -> anyhow::Result<Server> {
        let id = node + 1;
        let mut command = Command::new(super::release_folder()?.join(SERVER_BINARY));
        command
            .args(["serve", "--bootstrap", "--config"])
            .arg(self.folder.join("quorum.yaml"))
            .arg(format!("--dmq.kraft.node-id={id}"))
            .arg(format!("--server.port={}", self.rest_ports[node]));
        if let Some(url) = self.store_urls.get(node) {
            command.arg(format!("--store.url={url}"));
        }
        Server::start(command, self.folder.join(format!("node-{id}.log")))
    }
}

/// Defaults, but for a broker session that outlives the run: played brokers send no heartbeats.
fn configuration(folder: &Path, peer_ports: &[u16]) -> String {
    let mut lines: Vec<String> = ["dmq:", "  kraft:", "    cluster:", "      nodes:"]
        .map(str::to_owned)
        .to_vec();
    for (node, port) in peer_ports.iter().enumerate() {
        lines.push(format!(
            "        - {{ id: {}, host: 127.0.0.1, port: {port} }}",
            node + 1
        ));
    }
    lines.push(format!(
        "    raft: {{ log-dir: \"{}\" }}",
        folder.join("data").display()
    ));
    lines.push("broker: { session-timeout-ms: 3600000 }\n".to_owned());
    lines.join("\n")
}

async fn leader_seen_by(port: u16) -> Option<usize> {
    let path = format!("{PREFIX}/controller");
    let body = once(port, Method::GET, &path, "").await.ok()?.json().ok()?;
    usize::try_from(body.get("leaderId")?.as_u64()?).ok()
}

/// What writers have to know about the partition that they change.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_field_names,
    reason = "a partition epoch is not just any epoch"
)]
pub(super) struct Partition {
    pub(super) number: u64,
    pub(super) leader: u64,
    pub(super) leader_broker_epoch: u64,
    pub(super) leader_epoch: u64,
    pub(super) partition_epoch: u64,
    pub(super) replicas: Vec<u64>,
}

/// Registers and unfences the played brokers at the controller. Returns the epochs of their registrations.
pub(super) async fn play_brokers(port: u16) -> anyhow::Result<Vec<(u64, u64)>> {
    let mut epochs = Vec::new();
    for id in BROKERS {
        let body = json!({ "id": id, "host": "127.0.0.1", "port": 9092 });
        let broker = post(port, "/brokers", &body).await?;
        let epoch = number(&broker, "brokerEpoch")?;
        let beat = json!({ "brokerEpoch": epoch });
        let path = format!("/brokers/{id}/heartbeat");
        wait_for("a played broker is unfenced", async || {
            let verdict = post(port, &path, &beat).await?;
            Ok((verdict["isFenced"] == json!(false)).then_some(()))
        })
        .await?;
        epochs.push((u64::from(id), epoch));
    }
    Ok(epochs)
}

/// Makes a topic with three replicas and returns what its partitions are like.
pub(super) async fn create_topic(
    port: u16,
    name: &str,
    partitions: u64,
    brokers: &[(u64, u64)],
) -> anyhow::Result<Vec<Partition>> {
    let body = json!({ "topicName": name, "numPartitions": partitions, "replicationFactor": 3 });
    post(port, "/topics", &body).await?;
    let path = format!("{PREFIX}/topics/{name}?consistency=linearizable");
    let topic = once(port, Method::GET, &path, "").await?.json()?;
    let rows = topic["partitions"].as_array().context("partitions")?;
    rows.iter().map(|row| partition(row, brokers)).collect()
}

fn partition(row: &Value, brokers: &[(u64, u64)]) -> anyhow::Result<Partition> {
    let leader = number(row, "leaderId")?;
    let epoch = brokers
        .iter()
        .find(|(id, _)| *id == leader)
        .map(|(_, epoch)| *epoch);
    let replicas = row["replicas"].as_array().context("replicas")?;
    Ok(Partition {
        number: number(row, "partitionId")?,
        leader,
        leader_broker_epoch: epoch.context("a leader that nobody plays")?,
        leader_epoch: number(row, "leaderEpoch")?,
        partition_epoch: number(row, "partitionEpoch")?,
        replicas: replicas.iter().filter_map(Value::as_u64).collect(),
    })
}

async fn post(port: u16, path: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = once(
        port,
        Method::POST,
        &format!("{PREFIX}{path}"),
        body.to_string(),
    )
    .await?;
    ensure!(
        answer.status.is_success(),
        "POST {path}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    answer.json()
}

pub(super) fn number(of: &Value, field: &str) -> anyhow::Result<u64> {
    of[field]
        .as_u64()
        .with_context(|| format!("no number `{field}` in {of}"))
}
