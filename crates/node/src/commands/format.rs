//! `format`: writes the identity of a node into an empty data directory (DESIGN 6.1).

use std::path::Path;

use dmq_log::{DataDir, FileDisk, FormatOptions, Formatted, Identity, random_directory_id};
use dmq_metadata::{ClusterId, Incarnation, NodeId};

use super::print;
use crate::cli::FormatArgs;
use crate::config::node_dir;
use crate::exit::{Exit, Failure};
use crate::identity::raft_node_id;

/// Runs the command and says what it did.
pub fn format(args: &FormatArgs) -> Result<(), Failure> {
    let root = node_dir(&args.log_dir, NodeId(args.node_id));
    let node = NodeId(args.node_id);
    let formatted = format_directory(
        &root,
        &args.cluster_id,
        args.incarnation,
        node,
        args.if_empty,
    )?;
    let (what, identity) = match &formatted {
        Formatted::Created(identity) => ("formatted", identity),
        Formatted::Already(identity) => ("unchanged, it was formatted before", identity),
    };
    print(format_args!("{}: {what} ({identity})", root.display()))
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
    std::fs::create_dir_all(root).map_err(|error| {
        refused(&format_args!(
            "{} cannot be created: {error}",
            root.display()
        ))
    })?;
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
