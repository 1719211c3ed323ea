//! The configuration of a node: one struct, read from a YAML file, the environment and flags, in that
//! order of precedence (DESIGN section 8).

mod error;
mod identity;
#[cfg(test)]
mod identity_test;
mod keys;
mod load;
#[cfg(test)]
mod load_test;
mod validate;
mod values;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dmq_metadata::{ClusterId, NodeId};

pub use error::{ConfigError, Origin};
pub use identity::IdentityConfig;
pub use keys::{KEYS, Key, Kind};
pub use load::{Sources, load, of_text};

/// Length of one tick of the consensus core. All Raft timings are rounded to it.
pub const TICK: Duration = Duration::from_millis(10);

/// Everything that a node is told from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `dmq.kraft.node-id`, or `dmq.kraft.node-id-base` + `dmq.kraft.pod-index` + 1: which member of the
    /// quorum this process is. 1 and up.
    pub node_id: NodeId,
    /// `dmq.kraft.cluster.id`: used by `--bootstrap`; otherwise must equal the data directory's.
    pub cluster_id: Option<ClusterId>,
    /// `dmq.kraft.cluster.nodes`: the address book of the quorum. Contains the own entry.
    pub nodes: Vec<NodeAddress>,
    /// `dmq.kraft.raft.*`.
    pub raft: RaftConfig,
    /// `server.*`.
    pub server: ServerConfig,
    /// `management.port`: health and metrics on a port of their own. Default: on the REST port.
    pub management_port: Option<u16>,
    /// `store.url`: `sqlite:` (in the node's directory), `sqlite:/path` or `postgres://...`.
    pub store_url: String,
    /// `store.user`, `store.password-file`: what `store.url` does not say, so that it may be seen by everybody.
    pub store_credentials: dmq_store::Credentials,
    /// `broker.session-timeout-ms`: a broker that is silent for longer is fenced. Default: 9000.
    pub broker_session_timeout: Duration,
    /// `auth.admin-token-file`: without it, admin routes answer to loopback only.
    pub admin_token_file: Option<PathBuf>,
    /// `log.*`.
    pub log: LogConfig,
    /// The file that the configuration was read from; its address book is re-read when it changes.
    pub file: Option<PathBuf>,
}

/// One line of the address book: where a node listens for its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub id: NodeId,
    /// Host name or IP address.
    pub host: String,
    /// gRPC port.
    pub port: u16,
}

impl NodeAddress {
    /// `host:port`, with an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// Timings and sizes of consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// `election-timeout-ms`: randomized in [t, 2t). At least three heartbeats. Default: 1000.
    pub election_timeout: Duration,
    /// `heartbeat-interval-ms`. Default: 150.
    pub heartbeat_interval: Duration,
    /// `log-dir`: everything of a node lies under `<log-dir>/node-<id>/`. Default: `./data/raft-log`.
    pub log_dir: PathBuf,
    /// `snapshot-bytes`: growth of the log that triggers a snapshot, at least. Default: 20 MiB.
    pub snapshot_bytes: u64,
    /// `snapshot-interval-ms`: a snapshot is taken after this time at the latest. Default: 1 h.
    pub snapshot_interval: Duration,
    /// `kept-entries`: entries kept in the log behind the newest snapshot. Default: 10000.
    pub kept_entries: u64,
}

/// The REST endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// `server.host`: address that all ports of the node are bound to. Default: loopback if the own
    /// entry's host is loopback, else all interfaces.
    pub host: IpAddr,
    /// `server.port`: REST port. Default: 8080.
    pub port: u16,
    /// `server.advertised-url`: what clients are told. Default: `http://<own host>:<port>`.
    pub advertised_url: String,
}

/// How the process reports what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `log.format`: `human` or `json`. Default: `human`.
    pub format: LogFormat,
    /// `log.level`: a filter as `tracing` understands it. Default: `info`.
    pub level: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line per event.
    Human,
    /// One JSON object per event.
    Json,
}

impl Config {
    /// The node's own entry in the address book; `validate` made sure that there is one.
    pub fn own(&self) -> &NodeAddress {
        own_entry(&self.nodes, self.node_id).unwrap_or(&self.nodes[0])
    }

    /// The directory that holds everything of this node.
    pub fn node_dir(&self) -> PathBuf {
        node_dir(&self.raft.log_dir, self.node_id)
    }

    /// Whether anybody but this machine can reach the node.
    pub fn listens_beyond_loopback(&self) -> bool {
        !self.server.host.is_loopback()
    }
}

/// `<log-dir>/node-<id>`.
pub fn node_dir(log_dir: &Path, node: NodeId) -> PathBuf {
    log_dir.join(format!("node-{}", node.0))
}

/// `host:port`, with an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

fn own_entry(nodes: &[NodeAddress], id: NodeId) -> Option<&NodeAddress> {
    nodes.iter().find(|node| node.id == id)
}

/// Loopback for a quorum on one machine, all interfaces otherwise.
fn default_bind(own_host: &str) -> IpAddr {
    if is_loopback(own_host) {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
