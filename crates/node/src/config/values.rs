//! Typed access to the table of values, with errors that name key, value, origin and rule.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use dmq_metadata::{ClusterId, NodeId};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{CLUSTER_ID, CLUSTER_NODES, LOG_DIR};
use super::load::{Given, Table, display};
use super::{ConfigError, NodeAddress, Origin};

/// A quorum has 1, 3, 5 or 7 voters; the address book may name members that join or leave.
const NODES_MAX: usize = 32;
/// What a cluster id is.
pub(super) const CLUSTER_ID_RULE: &str = "1 to 64 characters of A-Z a-z 0-9 _ -";
/// What a node id is.
pub(super) const ID_RULE: &str = "a whole number from 1 to 2147483647";
/// Largest node id.
pub(super) const ID_MAX: u64 = (u32::MAX >> 1) as u64;

/// The values by key.
pub(super) struct Values<'a> {
    pub(super) table: &'a Table,
}

impl Values<'_> {
    pub(super) fn invalid(
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

    pub(super) fn optional(
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

    pub(super) fn number(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, ConfigError> {
        Ok(self.optional(key, range)?.unwrap_or(default))
    }

    pub(super) fn millis(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<Duration, ConfigError> {
        self.number(key, range, default).map(Duration::from_millis)
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Option<&str>, ConfigError> {
        match self.table.get(key).map(|given| &given.value) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(other) => Err(self.invalid(key, display(other), "text that is not empty")),
        }
    }

    pub(super) fn cluster_id(&self) -> Result<Option<ClusterId>, ConfigError> {
        // An unquoted id of digits only is a number in YAML; it is meant as text.
        let Some(Given { value, .. }) = self.table.get(CLUSTER_ID) else {
            return Ok(None);
        };
        let text = display(value);
        ClusterId::parse(&text)
            .map(Some)
            .map_err(|_| self.invalid(CLUSTER_ID, text, CLUSTER_ID_RULE))
    }

    pub(super) fn log_dir(&self) -> Result<PathBuf, ConfigError> {
        Ok(self.text(LOG_DIR)?.unwrap_or("./data/raft-log").into())
    }

    pub(super) fn nodes(&self) -> Result<Vec<NodeAddress>, ConfigError> {
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
            .filter(|id| (1..=ID_MAX).contains(&u64::from(*id)));
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
pub(super) fn narrow<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}
