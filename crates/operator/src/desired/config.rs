//! The nodes' file: what the operator decides, what the spec says, and the keys that `spec.config` adds.

use std::collections::BTreeMap;

use dmq_crd::names::{self, MANAGEMENT_PORT};
use dmq_crd::{ExternalPostgres, SslMode, StoreKind};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Desired;
use super::effective;
use super::latch::TOKEN;
use super::volumes::{
    CA_DIR, CA_FILE, CREDENTIALS_DIR, DATA_DIR, LOG_DIR, PASSWORD, SOCKET_DIR, TOKEN_DIR,
};

/// Name of the file in its ConfigMap.
pub(super) const FILE: &str = "node.yaml";
/// The address book: the one key that a running node reads again.
const NODES: &str = "dmq.kraft.cluster.nodes";
const MIB: i64 = 1 << 20;
const HEADER: &str = "# Written by dmq-operator from the DmqMetadataCluster that owns this: a change here is overwritten.\n";

/// Values by the path of their key.
type Keys = BTreeMap<String, Value>;

pub(super) fn config_map(desired: &Desired<'_>) -> ConfigMap {
    let file = (FILE.to_owned(), text(&keys(desired)));
    ConfigMap {
        metadata: desired.meta(names::config(desired.name())),
        data: Some(BTreeMap::from([file])),
        ..ConfigMap::default()
    }
}

/// Stands for everything in the file that a node reads only at its start; 64 bits, for telling files apart.
pub(super) fn hash(desired: &Desired<'_>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in keys(desired).iter().filter(|(key, _)| *key != NODES) {
        hash.update(format!("{key}={value}\n"));
    }
    let digest = hash.finalize();
    let first: [u8; 8] = digest[..8].try_into().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

/// A key of `spec.config` goes before a default of the operator, never before what the rest of the spec says.
fn keys(desired: &Desired<'_>) -> Keys {
    let spec = &desired.cluster.spec;
    let mut keys = Keys::from([("log.format".to_owned(), json!("json"))]);
    let given = spec.config.iter();
    keys.extend(given.map(|(key, text)| (key.clone(), typed(text))));
    let decided = [
        ("dmq.kraft.cluster.id", json!(desired.cluster_id)),
        (NODES, address_book(desired)),
        (
            "dmq.kraft.raft.election-timeout-ms",
            json!(spec.raft.election_timeout_ms),
        ),
        (
            "dmq.kraft.raft.heartbeat-interval-ms",
            json!(spec.raft.heartbeat_interval_ms),
        ),
        (
            "dmq.kraft.raft.snapshot-bytes",
            json!(i64::from(spec.raft.snapshot_megabytes) * MIB),
        ),
        ("dmq.kraft.raft.log-dir", json!(LOG_DIR)),
        ("server.port", json!(spec.service.rest_port)),
        ("management.port", json!(MANAGEMENT_PORT)),
        (
            "auth.admin-token-file",
            json!(format!("{TOKEN_DIR}/{TOKEN}")),
        ),
    ];
    let owned = |(key, value): (&str, Value)| (key.to_owned(), value);
    keys.extend(decided.map(owned));
    keys.extend(store(desired).into_iter().map(owned));
    keys
}

fn address_book(desired: &Desired<'_>) -> Value {
    let (cluster, settings) = (desired.cluster, desired.settings);
    let entry = |ordinal| {
        json!({
            "id": names::node_id(ordinal),
            "host": effective::host(cluster, settings, ordinal),
            "port": cluster.spec.service.raft_port,
        })
    };
    (0..cluster.spec.replicas).map(entry).collect()
}

fn store(desired: &Desired<'_>) -> Vec<(&'static str, Value)> {
    let url = |url: String| ("store.url", json!(url));
    match effective::store(desired.cluster) {
        StoreKind::Sqlite(_) => vec![url(format!("sqlite:{DATA_DIR}/metadata.db"))],
        StoreKind::Sidecar(_) => {
            vec![url(format!("postgres:///dmq?host={SOCKET_DIR}&user=dmq"))]
        }
        StoreKind::External(external) => vec![
            url(external_url(desired, external)),
            (
                "store.password-file",
                json!(format!("{CREDENTIALS_DIR}/{PASSWORD}")),
            ),
        ],
    }
}

/// Without user and password, and with `{id}` left for the node to fill in: all pods have one file.
fn external_url(desired: &Desired<'_>, external: &ExternalPostgres) -> String {
    let database = database(desired, external);
    let mode = ssl_mode(external.ssl_mode);
    let ca = match &external.ca_secret_ref {
        Some(_) => format!("&sslrootcert={CA_DIR}/{CA_FILE}"),
        None => String::new(),
    };
    let (host, port) = (&external.host, external.port);
    let bracketed = match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.clone(),
    };
    format!("postgres://{bracketed}:{port}/{database}?sslmode={mode}{ca}")
}

/// The template with the object's name and namespace filled in.
pub(super) fn database(desired: &Desired<'_>, external: &ExternalPostgres) -> String {
    external
        .database_template
        .replace("{name}", desired.name())
        .replace("{namespace}", desired.namespace())
}

fn ssl_mode(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

/// `spec.config` holds texts; the file tells numbers from texts.
fn typed(text: &str) -> Value {
    let number = text.trim().parse::<u64>();
    number.map_or_else(|_| Value::from(text), Value::from)
}

/// The file as YAML with sections.
fn text(keys: &Keys) -> String {
    let mut root = BTreeMap::new();
    for (key, value) in keys {
        insert(&mut root, key, value);
    }
    // Maps with text keys, texts and numbers always have a YAML form.
    let yaml = serde_yaml::to_string(&root).unwrap_or_default();
    format!("{HEADER}{yaml}")
}

/// A section or a value.
#[derive(Serialize)]
#[serde(untagged)]
enum Tree {
    Section(BTreeMap<String, Tree>),
    Value(Value),
}

fn insert(section: &mut BTreeMap<String, Tree>, key: &str, value: &Value) {
    let Some((head, rest)) = key.split_once('.') else {
        section.insert(key.to_owned(), Tree::Value(value.clone()));
        return;
    };
    let below = section
        .entry(head.to_owned())
        .or_insert_with(|| Tree::Section(BTreeMap::new()));
    if let Tree::Section(below) = below {
        insert(below, rest, value);
    }
}
