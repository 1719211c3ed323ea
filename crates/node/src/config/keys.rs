//! The table of all configuration keys: the file, the environment and the flags are read by it.

/// How the value of a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// A list of `{id, host, port}`; as a flag or in the environment in YAML's flow form.
    Nodes,
}

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Path in the YAML file, joined by dots; with `--` in front it is the flag.
    pub path: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// For `--help`, with range and default.
    pub help: &'static str,
}

impl Key {
    /// `dmq.kraft.node-id` is read from `DMQ_KRAFT_NODE_ID`.
    pub fn environment_variable(&self) -> String {
        self.path.replace(['.', '-'], "_").to_uppercase()
    }
}

const fn key(path: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { path, kind, help }
}

/// `dmq.kraft.node-id`.
pub(super) const NODE_ID: &str = "dmq.kraft.node-id";
/// `dmq.kraft.pod-index`.
pub(super) const POD_INDEX: &str = "dmq.kraft.pod-index";
/// `dmq.kraft.node-id-base`.
pub(super) const NODE_ID_BASE: &str = "dmq.kraft.node-id-base";
/// `dmq.kraft.cluster.id`.
pub(super) const CLUSTER_ID: &str = "dmq.kraft.cluster.id";
/// `dmq.kraft.cluster.nodes`.
pub(super) const CLUSTER_NODES: &str = "dmq.kraft.cluster.nodes";
/// `dmq.kraft.raft.election-timeout-ms`.
pub(super) const ELECTION_TIMEOUT_MS: &str = "dmq.kraft.raft.election-timeout-ms";
/// `dmq.kraft.raft.heartbeat-interval-ms`.
pub(super) const HEARTBEAT_INTERVAL_MS: &str = "dmq.kraft.raft.heartbeat-interval-ms";
/// `dmq.kraft.raft.log-dir`.
pub(super) const LOG_DIR: &str = "dmq.kraft.raft.log-dir";
/// `dmq.kraft.raft.snapshot-bytes`.
pub(super) const SNAPSHOT_BYTES: &str = "dmq.kraft.raft.snapshot-bytes";
/// `dmq.kraft.raft.snapshot-interval-ms`.
pub(super) const SNAPSHOT_INTERVAL_MS: &str = "dmq.kraft.raft.snapshot-interval-ms";
/// `dmq.kraft.raft.kept-entries`.
pub(super) const KEPT_ENTRIES: &str = "dmq.kraft.raft.kept-entries";
/// `server.host`.
pub(super) const SERVER_HOST: &str = "server.host";
/// `server.port`.
pub(super) const SERVER_PORT: &str = "server.port";
/// `server.advertised-url`.
pub(super) const ADVERTISED_URL: &str = "server.advertised-url";
/// `management.port`.
pub(super) const MANAGEMENT_PORT: &str = "management.port";
/// `store.url`.
pub(super) const STORE_URL: &str = "store.url";
/// `store.user`.
pub(super) const STORE_USER: &str = "store.user";
/// `store.password-file`.
pub(super) const STORE_PASSWORD_FILE: &str = "store.password-file";
/// `broker.session-timeout-ms`.
pub(super) const BROKER_SESSION_TIMEOUT_MS: &str = "broker.session-timeout-ms";
/// `auth.admin-token-file`.
pub(super) const ADMIN_TOKEN_FILE: &str = "auth.admin-token-file";
/// `log.format`.
pub(super) const LOG_FORMAT: &str = "log.format";
/// `log.level`.
pub(super) const LOG_LEVEL: &str = "log.level";

/// All keys, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        NODE_ID,
        Kind::Number,
        "Which member of the quorum this node is; 1 and up",
    ),
    key(
        POD_INDEX,
        Kind::Number,
        "On Kubernetes, in place of the node id: the ordinal of the pod; the node id is base + ordinal + 1",
    ),
    key(
        NODE_ID_BASE,
        Kind::Number,
        "Added to the ordinal of a pod to make its node id; default 0",
    ),
    key(
        CLUSTER_ID,
        Kind::Text,
        "Name of the DMQ cluster, 1-64 of [A-Za-z0-9_-]; used by --bootstrap (default dmq), else must equal the directory's",
    ),
    key(
        CLUSTER_NODES,
        Kind::Nodes,
        "Address book of the quorum, as [{id: 1, host: localhost, port: 9093}, ...]",
    ),
    key(
        ELECTION_TIMEOUT_MS,
        Kind::Number,
        "Election timeout, randomized in [t, 2t); at least three heartbeats; default 1000",
    ),
    key(
        HEARTBEAT_INTERVAL_MS,
        Kind::Number,
        "Interval of the controller's heartbeats, 10-60000; default 150",
    ),
    key(
        LOG_DIR,
        Kind::Text,
        "Parent of the node's directory node-<id>; default ./data/raft-log",
    ),
    key(
        SNAPSHOT_BYTES,
        Kind::Number,
        "Growth of the log that triggers a snapshot; default 20971520",
    ),
    key(
        SNAPSHOT_INTERVAL_MS,
        Kind::Number,
        "Longest time between two snapshots; default 3600000",
    ),
    key(
        KEPT_ENTRIES,
        Kind::Number,
        "Entries kept in the log behind the newest snapshot; default 10000",
    ),
    key(
        SERVER_HOST,
        Kind::Text,
        "IP address that the ports are bound to; default 127.0.0.1 if the own entry's host is loopback, else 0.0.0.0",
    ),
    key(SERVER_PORT, Kind::Number, "REST port; default 8080"),
    key(
        ADVERTISED_URL,
        Kind::Text,
        "REST address told to clients; default http://<own host>:<port>",
    ),
    key(
        MANAGEMENT_PORT,
        Kind::Number,
        "Health and metrics on a port of their own; default: the REST port",
    ),
    key(
        STORE_URL,
        Kind::Text,
        "Database of the projection: sqlite: (in the node's directory), sqlite:/path or postgres://... (with ?sslmode=verify-full&sslrootcert=/ca.pem for TLS), {id} in it is the node id; default sqlite:",
    ),
    key(
        STORE_USER,
        Kind::Text,
        "User of the PostgreSQL server, if store.url names none",
    ),
    key(
        STORE_PASSWORD_FILE,
        Kind::Text,
        "File with the password of the PostgreSQL server, read for every connection",
    ),
    key(
        BROKER_SESSION_TIMEOUT_MS,
        Kind::Number,
        "A broker silent for longer is fenced; 100-3600000; default 9000",
    ),
    key(
        ADMIN_TOKEN_FILE,
        Kind::Text,
        "File with the bearer token of the admin routes; without it they answer to loopback only",
    ),
    key(LOG_FORMAT, Kind::Text, "human or json; default human"),
    key(
        LOG_LEVEL,
        Kind::Text,
        "Filter of the log, such as info or info,dmq_raft=debug; default info",
    ),
];
