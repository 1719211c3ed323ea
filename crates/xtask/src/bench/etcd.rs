//! The other side: three nodes of Debian's etcd, and its `Put` over gRPC with two messages written by hand.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::load::Writer;
use super::server::{Server, free_ports, wait_for};
use crate::{apt, process};

const NODES: usize = 3;

/// Draws the numbers of new keys, over all rounds.
static NEW_KEYS: AtomicU64 = AtomicU64::new(0);

/// Length of a value.
const VALUE_BYTES: usize = 200;

/// `etcdserverpb.PutRequest`, the fields that we send.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `etcdserverpb.PutResponse`: that it came is all that counts.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// `etcdserverpb.StatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

/// `etcdserverpb.ResponseHeader`, the field that we read.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// `etcdserverpb.StatusResponse`, the fields that we read.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// Three running nodes.
pub(super) struct Etcd {
    nodes: Vec<Server>,
    client_ports: [u16; NODES],
    version: String,
}

impl Etcd {
    /// Installs etcd if it is missing and starts three nodes below `folder` with etcd's own defaults.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        if apt::on_path("etcd").is_none() {
            apt::install(&["etcd-server"]).context("etcd")?;
        }
        let client_ports = free_ports::<NODES>()?;
        let peer_ports = free_ports::<NODES>()?;
        let mut nodes = Vec::new();
        for (node, client_port) in client_ports.into_iter().enumerate() {
            let command = command(node, folder, client_port, &peer_ports);
            nodes.push(Server::start(
                command,
                folder.join(format!("etcd-{node}.log")),
            )?);
        }
        Ok(Self {
            nodes,
            client_ports,
            version: version()?,
        })
    }

    /// What it calls itself.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Clients of the leader with a connection each.
    pub(super) async fn writers(
        &mut self,
        count: usize,
        keys: Keys,
    ) -> anyhow::Result<Vec<Putter>> {
        let port = self.leader().await?;
        let mut writers = Vec::with_capacity(count);
        for client in 0..count {
            writers.push(Putter {
                grpc: connect(port).await?,
                keys,
                next: u64::try_from(client)?,
                step: u64::try_from(count)?,
                value: Bytes::from(vec![b'v'; VALUE_BYTES]),
            });
        }
        Ok(writers)
    }

    /// The client port of the node that leads, so that no write is forwarded.
    async fn leader(&mut self) -> anyhow::Result<u16> {
        let Self {
            nodes,
            client_ports,
            ..
        } = self;
        wait_for("etcd elects a leader", async || {
            for (node, port) in nodes.iter_mut().zip(*client_ports) {
                node.check()?;
                if leads(port).await.unwrap_or(false) {
                    return Ok(Some(port));
                }
            }
            Ok(None)
        })
        .await
    }
}

fn command(node: usize, folder: &Path, client_port: u16, peer_ports: &[u16]) -> Command {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{}", peer_ports[node]);
    let members: Vec<String> = peer_ports
        .iter()
        .enumerate()
        .map(|(id, port)| format!("n{id}=http://127.0.0.1:{port}"))
        .collect();
    let mut command = Command::new("etcd");
    command
        .arg(format!("--name=n{node}"))
        .arg(format!(
            "--data-dir={}",
            folder.join(format!("etcd-{node}")).display()
        ))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster={}", members.join(",")))
        .arg("--initial-cluster-state=new")
        .arg("--logger=zap");
    command
}

fn version() -> anyhow::Result<String> {
    let mut etcd = Command::new("etcd");
    etcd.arg("--version");
    let text = process::output(etcd)?;
    Ok(text
        .lines()
        .next()
        .unwrap_or_default()
        .replace("etcd Version: ", "etcd "))
}

async fn connect(port: u16) -> anyhow::Result<Grpc<Channel>> {
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(1))
        .connect()
        .await?;
    Ok(Grpc::new(channel))
}

async fn leads(port: u16) -> anyhow::Result<bool> {
    let mut grpc = connect(port).await?;
    let status: StatusResponse = call(
        &mut grpc,
        "/etcdserverpb.Maintenance/Status",
        StatusRequest {},
    )
    .await?;
    let me = status.header.map(|header| header.member_id);
    Ok(status.leader != 0 && me == Some(status.leader))
}

async fn call<Q, A>(grpc: &mut Grpc<Channel>, path: &'static str, request: Q) -> anyhow::Result<A>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    grpc.ready().await.map_err(|error| anyhow!(error))?;
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<Q, A>::default();
    Ok(grpc
        .unary(tonic::Request::new(request), path, codec)
        .await?
        .into_inner())
}

/// Which keys are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys {
    /// So many, again and again.
    Again(u64),
    /// Always a new one.
    New,
}

/// A client that puts.
pub(super) struct Putter {
    grpc: Grpc<Channel>,
    keys: Keys,
    next: u64,
    step: u64,
    value: Bytes,
}

impl Writer for Putter {
    async fn write(&mut self) -> anyhow::Result<()> {
        let key = match self.keys {
            Keys::Again(count) => format!("dmq/partitions/bench/{:020}", self.next % count),
            Keys::New => format!(
                "dmq/topics/{:032}",
                NEW_KEYS.fetch_add(1, Ordering::Relaxed)
            ),
        };
        self.next += self.step;
        let request = PutRequest {
            key: key.into(),
            value: self.value.clone(),
        };
        call::<_, PutResponse>(&mut self.grpc, "/etcdserverpb.KV/Put", request).await?;
        Ok(())
    }
}
