//! Turns the table of values into a [`Config`], or names the key, the value and the rule that is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dmq_metadata::{ClusterId, NodeId};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{
    ADMIN_TOKEN_FILE, ADVERTISED_URL, BROKER_SESSION_TIMEOUT_MS, CLUSTER_ID, CLUSTER_NODES,
    ELECTION_TIMEOUT_MS, HEARTBEAT_INTERVAL_MS, KEPT_ENTRIES, LOG_DIR, LOG_FORMAT, LOG_LEVEL,
    MANAGEMENT_PORT, NODE_ID, SERVER_HOST, SERVER_PORT, SNAPSHOT_BYTES, SNAPSHOT_INTERVAL_MS,
    STORE_URL,
};
use super::load::{Given, Table, display};
use super::{
    Config, ConfigError, LogConfig, LogFormat, NodeAddress, Origin, RaftConfig, ServerConfig,
    authority, default_bind, node_dir, own_entry,
};

/// A quorum has 1, 3, 5 or 7 voters; the address book may name members that join or leave.
const NODES_MAX: usize = 32;
/// An election timeout shorter than this many heartbeats would end healthy leaders.
const HEARTBEATS_PER_ELECTION_TIMEOUT_MIN: u64 = 3;

/// Checks every key alone, then the rules between keys.
pub(super) fn validate(table: &Table, file: Option<PathBuf>) -> Result<Config, ConfigError> {
    let values = Values { table };
    let node_id = NodeId(narrow(values.required(
        NODE_ID,
        1..=u64::from(u32::MAX >> 1),
        ID_RULE,
    )?));
    let nodes = values.nodes()?;
    let own = own_entry(&nodes, node_id).ok_or_else(|| own_missing(&values, node_id, &nodes))?;
    let server = server(&values, own)?;
    let management_port = values.optional(MANAGEMENT_PORT, 1..=65535)?.map(narrow);
    distinct_ports(&values, own, &server, management_port)?;
    let raft = raft(&values)?;
    Ok(Config {
        node_id,
        cluster_id: values.cluster_id()?,
        server,
        management_port,
        store_url: store_url(&values, &node_dir(&raft.log_dir, node_id))?,
        raft,
        broker_session_timeout: values.millis(BROKER_SESSION_TIMEOUT_MS, 100..=3_600_000, 9000)?,
        admin_token_file: values.text(ADMIN_TOKEN_FILE)?.map(PathBuf::from),
        log: log(&values)?,
        nodes,
        file,
    })
}

/// The forms of `store.url`.
const STORE_URLS: &str = "sqlite:, sqlite:/path or postgres://...";
const ID_RULE: &str = "a whole number from 1 to 2147483647";

fn raft(values: &Values<'_>) -> Result<RaftConfig, ConfigError> {
    let heartbeat_interval = values.millis(HEARTBEAT_INTERVAL_MS, 10..=60_000, 150)?;
    let election_timeout = values.millis(ELECTION_TIMEOUT_MS, 30..=600_000, 1000)?;
    let least = heartbeat_interval * narrow::<u32>(HEARTBEATS_PER_ELECTION_TIMEOUT_MIN);
    if election_timeout < least {
        let heartbeat = heartbeat_interval.as_millis();
        let rule = format!(
            "at least {HEARTBEATS_PER_ELECTION_TIMEOUT_MIN} times `{HEARTBEAT_INTERVAL_MS}` ({heartbeat}), that is {}",
            least.as_millis()
        );
        return Err(values.invalid(ELECTION_TIMEOUT_MS, election_timeout.as_millis(), rule));
    }
    Ok(RaftConfig {
        election_timeout,
        heartbeat_interval,
        log_dir: values.text(LOG_DIR)?.unwrap_or("./data/raft-log").into(),
        snapshot_bytes: values.number(SNAPSHOT_BYTES, 4096..=1 << 40, 20 << 20)?,
        snapshot_interval: values.millis(SNAPSHOT_INTERVAL_MS, 100..=31_536_000_000, 3_600_000)?,
        kept_entries: values.number(KEPT_ENTRIES, 0..=1 << 40, 10_000)?,
    })
}

fn server(values: &Values<'_>, own: &NodeAddress) -> Result<ServerConfig, ConfigError> {
    let host = match values.text(SERVER_HOST)? {
        None => default_bind(&own.host),
        Some(text) => text.parse::<IpAddr>().map_err(|_| {
            values.invalid(
                SERVER_HOST,
                text,
                "an IP address, such as 127.0.0.1 or 0.0.0.0",
            )
        })?,
    };
    let port = narrow(values.number(SERVER_PORT, 1..=65535, 8080)?);
    let advertised_url = match values.text(ADVERTISED_URL)? {
        None => format!("http://{}", authority(&own.host, port)),
        Some(text) => check_url(values, ADVERTISED_URL, text, &["http", "https"])?,
    };
    Ok(ServerConfig {
        host,
        port,
        advertised_url,
    })
}

/// Everything that can be wrong with the URL itself is found by making a store of it, which opens nothing.
fn store_url(values: &Values<'_>, node_dir: &Path) -> Result<String, ConfigError> {
    let text = values.text(STORE_URL)?.unwrap_or("sqlite:");
    match dmq_store::open(text, node_dir) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => {
            let shown = dmq_store::redact(text);
            let reason = error.to_string();
            let rule = reason
                .strip_prefix(&format!("store.url is '{shown}': "))
                .unwrap_or(&reason);
            // The store names the forms itself where the form is what is wrong.
            let rule = if rule.starts_with("'sqlite:'") {
                rule.to_owned()
            } else {
                format!("{STORE_URLS}; {rule}")
            };
            Err(values.invalid(STORE_URL, &shown, rule))
        }
    }
}

fn check_url(
    values: &Values<'_>,
    key: &'static str,
    text: &str,
    schemes: &[&str],
) -> Result<String, ConfigError> {
    let uri = text.parse::<http::Uri>().ok();
    let known = uri
        .as_ref()
        .and_then(http::Uri::scheme_str)
        .is_some_and(|scheme| schemes.contains(&scheme));
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    if known && !host.is_empty() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        let rule = format!("a URL of the form {}://host:port", schemes.join(" or "));
        Err(values.invalid(key, dmq_store::redact(text), rule))
    }
}

fn log(values: &Values<'_>) -> Result<LogConfig, ConfigError> {
    let format = match values.text(LOG_FORMAT)?.unwrap_or("human") {
        "human" => LogFormat::Human,
        "json" => LogFormat::Json,
        other => return Err(values.invalid(LOG_FORMAT, other, "human or json")),
    };
    let level = values.text(LOG_LEVEL)?.unwrap_or("info").to_owned();
    if level
        .parse::<tracing_subscriber::filter::EnvFilter>()
        .is_err()
    {
        let rule = "off, error, warn, info, debug, trace, or a list such as info,dmq_raft=debug";
        return Err(values.invalid(LOG_LEVEL, level, rule));
    }
    Ok(LogConfig { format, level })
}

fn own_missing(values: &Values<'_>, id: NodeId, nodes: &[NodeAddress]) -> ConfigError {
    let known: Vec<String> = nodes.iter().map(|node| node.id.0.to_string()).collect();
    let rule = format!("one of the ids in `{CLUSTER_NODES}`: {}", known.join(", "));
    values.invalid(NODE_ID, id.0, rule)
}

/// The ports of one process must differ: two of them cannot be bound.
fn distinct_ports(
    values: &Values<'_>,
    own: &NodeAddress,
    server: &ServerConfig,
    management: Option<u16>,
) -> Result<(), ConfigError> {
    if server.port == own.port {
        let rule = format!("differs from the node's own peer port in `{CLUSTER_NODES}`");
        return Err(values.invalid(SERVER_PORT, server.port, rule));
    }
    match management {
        Some(port) if port == own.port || port == server.port => {
            let rule = format!("differs from `{SERVER_PORT}` and from the node's own peer port");
            Err(values.invalid(MANAGEMENT_PORT, port, rule))
        }
        _ => Ok(()),
    }
}

/// Typed access to the table, with errors that name key, value, origin and rule.
struct Values<'a> {
    table: &'a Table,
}

impl Values<'_> {
    fn invalid(
        &self,
        key: &'static str,
        value: impl std::fmt::Display,
        rule: impl Into<String>,
    ) -> ConfigError {
        let origin = self
            .table
            .get(key)
            .map_or(Origin::Default, |given| given.origin.clone());
        let (key, value, rule) = (key.to_owned(), value.to_string(), rule.into());
        ConfigError::Invalid {
            key,
            value,
            origin,
            rule,
        }
    }

    fn optional(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(Given { value, .. }) = self.table.get(key) else {
            return Ok(None);
        };
        if let Some(number) = value.as_u64().filter(|number| range.contains(number)) {
            return Ok(Some(number));
        }
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        Err(self.invalid(key, display(value), rule))
    }

    fn number(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, ConfigError> {
        Ok(self.optional(key, range)?.unwrap_or(default))
    }

    fn required(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        rule: &'static str,
    ) -> Result<u64, ConfigError> {
        self.optional(key, range)?
            .ok_or(ConfigError::Missing { key, rule })
    }

    fn millis(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<Duration, ConfigError> {
        self.number(key, range, default).map(Duration::from_millis)
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>, ConfigError> {
        match self.table.get(key).map(|given| &given.value) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(other) => Err(self.invalid(key, display(other), "text that is not empty")),
        }
    }

    fn cluster_id(&self) -> Result<Option<ClusterId>, ConfigError> {
        // An unquoted id of digits only is a number in YAML; it is meant as text.
        let Some(Given { value, .. }) = self.table.get(CLUSTER_ID) else {
            return Ok(None);
        };
        let text = display(value);
        let rule = "1 to 64 characters of A-Z a-z 0-9 _ -";
        ClusterId::parse(&text)
            .map(Some)
            .map_err(|_| self.invalid(CLUSTER_ID, text, rule))
    }

    fn nodes(&self) -> Result<Vec<NodeAddress>, ConfigError> {
        let rule = "a list of {id, host, port}, one for each node of the quorum";
        let Some(Given { value, .. }) = self.table.get(CLUSTER_NODES) else {
            return Err(ConfigError::Missing {
                key: CLUSTER_NODES,
                rule,
            });
        };
        let entries = match value {
            Value::Array(entries) if !entries.is_empty() && entries.len() <= NODES_MAX => entries,
            Value::Array(entries) => {
                let rule = format!("1 to {NODES_MAX} entries");
                return Err(self.invalid(
                    CLUSTER_NODES,
                    format!("{} entries", entries.len()),
                    rule,
                ));
            }
            other => return Err(self.invalid(CLUSTER_NODES, display(other), rule)),
        };
        let nodes = entries
            .iter()
            .map(|entry| self.node(entry))
            .collect::<Result<Vec<_>, _>>()?;
        self.distinct(&nodes)?;
        Ok(nodes)
    }

    fn node(&self, entry: &Value) -> Result<NodeAddress, ConfigError> {
        let broken = |rule: String| self.invalid(CLUSTER_NODES, display(entry), rule);
        let raw = Entry::deserialize(entry).map_err(|error| {
            broken(format!(
                "each entry is {{id: 1.., host: text, port: 1-65535}} ({error})"
            ))
        })?;
        let id = u32::try_from(raw.id)
            .ok()
            .filter(|id| (1..=u32::MAX >> 1).contains(id));
        let id = id.ok_or_else(|| broken(format!("`id` is {ID_RULE}")))?;
        let port = u16::try_from(raw.port).ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| broken("`port` is from 1 to 65535".to_owned()))?;
        if !is_host(&raw.host) {
            return Err(broken("`host` is a host name or an IP address".to_owned()));
        }
        Ok(NodeAddress {
            id: NodeId(id),
            host: raw.host,
            port,
        })
    }

    fn distinct(&self, nodes: &[NodeAddress]) -> Result<(), ConfigError> {
        let mut addresses = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for node in nodes {
            if !ids.insert(node.id) {
                let rule = "every id occurs once";
                return Err(self.invalid(CLUSTER_NODES, format!("id {}", node.id.0), rule));
            }
            if let Some(other) = addresses.insert(node.authority().to_lowercase(), node.id) {
                let value = format!(
                    "{} of node {} and node {}",
                    node.authority(),
                    other.0,
                    node.id.0
                );
                return Err(self.invalid(CLUSTER_NODES, value, "every host:port occurs once"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: i64,
    host: String,
    port: i64,
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (!text.is_empty()
            && text.len() <= 253
            && text.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }))
}

/// A number that its range check has bounded already.
fn narrow<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}
