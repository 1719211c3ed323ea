//! Turns the table of values into a [`Config`], or names the key, the value and the rule that is broken.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use dmq_metadata::NodeId;

use super::keys::{
    ADMIN_TOKEN_FILE, ADVERTISED_URL, BROKER_SESSION_TIMEOUT_MS, CLUSTER_NODES,
    ELECTION_TIMEOUT_MS, HEARTBEAT_INTERVAL_MS, KEPT_ENTRIES, LOG_FORMAT, LOG_LEVEL,
    MANAGEMENT_PORT, SERVER_HOST, SERVER_PORT, SNAPSHOT_BYTES, SNAPSHOT_INTERVAL_MS,
    STORE_PASSWORD_FILE, STORE_URL, STORE_USER,
};
use super::load::Table;
use super::values::{Values, narrow};
use super::{
    Config, ConfigError, LogConfig, LogFormat, NodeAddress, RaftConfig, ServerConfig, authority,
    default_bind, identity, node_dir, own_entry,
};

/// An election timeout shorter than this many heartbeats would end healthy leaders.
const HEARTBEATS_PER_ELECTION_TIMEOUT_MIN: u64 = 3;

/// Checks every key alone, then the rules between keys.
pub(super) fn validate(table: &Table, file: Option<PathBuf>) -> Result<Config, ConfigError> {
    let values = Values { table };
    let node_id = identity::node_id(&values)?;
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
        store_url: store_url(&values, node_id, &node_dir(&raft.log_dir, node_id))?,
        store_credentials: store_credentials(&values)?,
        raft,
        broker_session_timeout: values.millis(BROKER_SESSION_TIMEOUT_MS, 100..=3_600_000, 9000)?,
        admin_token_file: values.text(ADMIN_TOKEN_FILE)?.map(PathBuf::from),
        log: log(&values)?,
        nodes,
        file,
    })
}

/// What stands for the node's id in `store.url`.
const NODE_ID_PLACE: &str = "{id}";
/// The forms of `store.url`.
const STORE_URLS: &str = "sqlite:, sqlite:/path or postgres://...";

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
        log_dir: values.log_dir()?,
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
fn store_url(values: &Values<'_>, node_id: NodeId, node_dir: &Path) -> Result<String, ConfigError> {
    let text = values.text(STORE_URL)?.unwrap_or("sqlite:");
    // Nodes with one configuration each have a database of their own on a server that they share.
    let text = &text.replace(NODE_ID_PLACE, &node_id.to_string());
    match dmq_store::open_as(text, node_dir, &store_credentials(values)?) {
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

fn store_credentials(values: &Values<'_>) -> Result<dmq_store::Credentials, ConfigError> {
    Ok(dmq_store::Credentials {
        user: values.text(STORE_USER)?.map(str::to_owned),
        password_file: values.text(STORE_PASSWORD_FILE)?.map(PathBuf::from),
    })
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
    identity::refused_node_id(values, id, rule)
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
