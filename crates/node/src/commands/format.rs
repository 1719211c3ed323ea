//! `format`: writes the identity of a node into an empty data directory (DESIGN 6.1).

use std::ffi::OsStr;
use std::path::Path;

use dmq_log::{DataDir, FileDisk, FormatOptions, Formatted, Identity, random_directory_id};
use dmq_metadata::{ClusterId, Incarnation, NodeId};

use super::print;
use crate::cli::FormatArgs;
use crate::config::{IdentityConfig, Sources};
use crate::exit::{Exit, Failure};
use crate::identity::raft_node_id;

/// Runs the command and says what it did.
pub fn format(args: &FormatArgs) -> Result<(), Failure> {
    let sources = Sources::of_process(args.config.clone(), args.keys());
    let config = IdentityConfig::load(&sources)?;
    let root = config.node_dir();
    if config.of_pod {
        refuse_other_nodes(&config)?;
    }
    let formatted = format_directory(
        &root,
        &config.cluster_id,
        args.incarnation,
        config.node_id,
        args.if_empty,
    )?;
    let (what, identity) = match &formatted {
        Formatted::Created(identity) => ("formatted", identity),
        Formatted::Already(identity) => ("unchanged, it was formatted before", identity),
    };
    print(format_args!("{}: {what} ({identity})", root.display()))
}

/// A pod's volume belongs to one node. Another node's directory on it means that the base of the ids was
/// changed or the wrong volume mounted: a fresh directory beside it would be a member that forgot its votes.
fn refuse_other_nodes(config: &IdentityConfig) -> Result<(), Failure> {
    let Ok(entries) = std::fs::read_dir(&config.log_dir) else {
        return Ok(());
    };
    let own = config.node_dir();
    let other = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            // What a forced recovery keeps beside the own directory has more than an id in its name.
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let id = name.strip_prefix("node-").map(str::parse::<u32>);
            matches!(id, Some(Ok(_))) && *path != own
        });
    match other {
        None => Ok(()),
        Some(other) => Err(Failure::new(
            Exit::DataDirectory,
            format!(
                "{} is another node's: the volume of a pod belongs to one node, here node {}",
                other.display(),
                config.node_id
            ),
        )),
    }
}

/// Formats `root` with a fresh directory id. `if_empty`: a directory of the same node is left as it is.
pub fn format_directory(
    root: &Path,
    cluster: &ClusterId,
    incarnation: Incarnation,
    node: NodeId,
    if_empty: bool,
) -> Result<Formatted, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::new(Exit::DataDirectory, error);
    let disk = FileDisk;
    let identity = Identity {
        cluster_id: cluster.to_string(),
        incarnation: dmq_log::Incarnation {
            number: incarnation.number,
            nonce: incarnation.nonce,
        },
        node: raft_node_id(node),
        directory: random_directory_id(&disk).map_err(|error| refused(&error))?,
    };
    let options = FormatOptions {
        if_empty,
        ..FormatOptions::default()
    };
    DataDir::format(&disk, root, &identity, &options).map_err(|error| refused(&error))
}
