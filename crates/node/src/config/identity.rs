//! Which node this is: named by its id, or counted from the ordinal of its pod.
//!
//! A `StatefulSet` gives every pod the same configuration and tells each its ordinal; ids of members count
//! from 1 behind a base, so that several sets of pods can serve one quorum.

use std::path::PathBuf;

use dmq_metadata::{ClusterId, NodeId};

use super::keys::{CLUSTER_ID, NODE_ID, NODE_ID_BASE, POD_INDEX};
use super::load::{self, Sources};
use super::values::{CLUSTER_ID_RULE, ID_MAX, ID_RULE, Values, narrow};
use super::{ConfigError, node_dir};

/// What `format` needs of the configuration, and no more: an address book may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// `dmq.kraft.node-id`, or what follows from `dmq.kraft.pod-index`.
    pub node_id: NodeId,
    /// `dmq.kraft.cluster.id`.
    pub cluster_id: ClusterId,
    /// `dmq.kraft.raft.log-dir`.
    pub log_dir: PathBuf,
    /// The id was counted from a pod's ordinal: the log directory is a volume that no other node shares.
    pub of_pod: bool,
}

impl IdentityConfig {
    /// Reads the three sources; what is not there in any of them is refused by its name.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let table = load::table(sources)?;
        let values = Values { table: &table };
        let missing = ConfigError::Missing {
            key: CLUSTER_ID,
            rule: CLUSTER_ID_RULE,
        };
        Ok(Self {
            node_id: node_id(&values)?,
            cluster_id: values.cluster_id()?.ok_or(missing)?,
            log_dir: values.log_dir()?,
            of_pod: table.contains_key(POD_INDEX),
        })
    }

    /// The node's directory alone, for work on one that says itself whose it is.
    pub fn load_node_dir(sources: &Sources) -> Result<PathBuf, ConfigError> {
        let table = load::table(sources)?;
        let values = Values { table: &table };
        Ok(node_dir(&values.log_dir()?, node_id(&values)?))
    }

    /// The directory that holds everything of this node.
    pub fn node_dir(&self) -> PathBuf {
        node_dir(&self.log_dir, self.node_id)
    }
}

/// The node's id. Both ways at once are refused: one of them would be a leftover.
pub(super) fn node_id(values: &Values<'_>) -> Result<NodeId, ConfigError> {
    let named = values.optional(NODE_ID, 1..=ID_MAX)?;
    let index = values.optional(POD_INDEX, 0..=ID_MAX - 1)?;
    let base = values.optional(NODE_ID_BASE, 0..=ID_MAX - 1)?;
    match (named, index, base) {
        (Some(id), None, None) => Ok(NodeId(narrow(id))),
        (Some(id), _, _) => {
            let rule = format!("not set together with `{POD_INDEX}` or `{NODE_ID_BASE}`");
            Err(values.invalid(NODE_ID, id, rule))
        }
        (None, Some(index), base) => {
            let base = base.unwrap_or(0);
            match base + index + 1 {
                id @ 1..=ID_MAX => Ok(NodeId(narrow(id))),
                id => {
                    let rule =
                        format!("`{NODE_ID_BASE}` ({base}) + index + 1 is {ID_RULE}, not {id}");
                    Err(values.invalid(POD_INDEX, index, rule))
                }
            }
        }
        (None, None, _) => Err(ConfigError::Missing {
            key: NODE_ID,
            rule: "a whole number from 1 to 2147483647, or `dmq.kraft.pod-index` in its place",
        }),
    }
}

/// An id that breaks a rule, under the key that it came from.
pub(super) fn refused_node_id(values: &Values<'_>, id: NodeId, rule: String) -> ConfigError {
    match values.optional(POD_INDEX, 0..=ID_MAX) {
        Ok(Some(index)) => {
            let rule = format!("makes node id {}, which is {rule}", id.0);
            values.invalid(POD_INDEX, index, rule)
        }
        _ => values.invalid(NODE_ID, id.0, rule),
    }
}
