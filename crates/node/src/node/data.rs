//! Opens what a node has on disk: directory, log, newest snapshot, image.

use dmq_log::{DataDir, DataDirError, FileDisk, LogOptions};
use dmq_metadata::{ClusterId, Incarnation};
use dmq_replica::{Member, StartError};

use super::settings::settings;
use crate::commands::format_directory;
use crate::config::{Config, node_dir};
use crate::exit::{Exit, Failure};
use crate::identity::{NodeIdentity, raft_node_id};

/// The cluster id of a quorum that `--bootstrap` makes, unless the configuration names one.
const CLUSTER_ID_DEFAULT: &str = "dmq";

/// A node's data, recovered.
pub(super) struct Opened {
    /// The locked directory.
    pub(super) data_dir: DataDir<FileDisk>,
    /// What it says of us.
    pub(super) identity: NodeIdentity,
    /// The parts of the member.
    pub(super) member: Member<FileDisk>,
}

impl Opened {
    /// Whether the node has never been part of a quorum.
    pub(super) fn is_unborn(&self) -> bool {
        let pinned = self.data_dir.pinned().ok().flatten();
        pinned.is_none() && self.member.reader.last().index.0 == 0
    }
}

/// Opens the directory, on a thread that may block; with `bootstrap` an empty one is formatted first.
pub(super) async fn open(config: &Config, bootstrap: bool) -> Result<Opened, Failure> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || open_blocking(&config, bootstrap))
        .await
        .map_err(|error| Failure::new(Exit::Defect, error))?
}

fn open_blocking(config: &Config, bootstrap: bool) -> Result<Opened, Failure> {
    let disk = FileDisk;
    let root = node_dir(&config.raft.log_dir, config.node_id);
    let data_dir = match DataDir::open(&disk, &root) {
        Err(DataDirError::NotFormatted { .. }) if bootstrap => {
            format_new(config)?;
            DataDir::open(&disk, &root).map_err(refused)?
        }
        opened => opened.map_err(refused)?,
    };
    let identity = identity_of(config, &data_dir)?;
    let settings = settings(config, identity.member, random());
    let member = Member::open(&data_dir, settings, LogOptions::default()).map_err(not_opened)?;
    report(&member);
    Ok(Opened {
        data_dir,
        identity,
        member,
    })
}

fn format_new(config: &Config) -> Result<(), Failure> {
    let cluster = match &config.cluster_id {
        Some(cluster) => cluster.clone(),
        None => ClusterId::parse(CLUSTER_ID_DEFAULT)
            .map_err(|error| Failure::new(Exit::Usage, error.message))?,
    };
    let root = node_dir(&config.raft.log_dir, config.node_id);
    format_directory(&root, &cluster, Incarnation::FIRST, config.node_id, false)?;
    tracing::info!(directory = %root.display(), %cluster, "formatted a new data directory");
    Ok(())
}

/// The directory decides who we are; a configuration that says otherwise is refused.
fn identity_of(config: &Config, data_dir: &DataDir<FileDisk>) -> Result<NodeIdentity, Failure> {
    let found = data_dir.identity();
    if let Some(expected) = &config.cluster_id
        && expected.as_str() != found.cluster_id
    {
        return Err(foreign(
            "dmq.kraft.cluster.id",
            expected,
            data_dir,
            &found.cluster_id,
        ));
    }
    if raft_node_id(config.node_id) != found.node {
        return Err(foreign(
            "dmq.kraft.node-id",
            &config.node_id,
            data_dir,
            &found.node,
        ));
    }
    let cluster = ClusterId::parse(&found.cluster_id)
        .map_err(|error| Failure::new(Exit::DataDirectory, error.message))?;
    let dmq_log::Incarnation { number, nonce } = found.incarnation;
    Ok(NodeIdentity {
        cluster,
        incarnation: Incarnation { number, nonce },
        member: found.member(),
    })
}

fn foreign(
    key: &str,
    expected: &dyn std::fmt::Display,
    data_dir: &DataDir<FileDisk>,
    found: &dyn std::fmt::Display,
) -> Failure {
    let path = data_dir.path().display();
    let rule = "must be that of the data directory";
    let message =
        format!("`{key}` = `{expected}`; the rule: {rule}, and {path} belongs to `{found}`");
    Failure::new(Exit::DataDirectory, message)
}

fn report(member: &Member<FileDisk>) {
    for damaged in &member.damaged_snapshots {
        tracing::error!(%damaged, "a snapshot is damaged; an older one is used");
    }
    tracing::info!(
        first = member.reader.start().index.0 + 1,
        last = member.reader.last().index.0,
        image = member.view.last.index.0,
        "recovered the log"
    );
}

fn refused(error: DataDirError) -> Failure {
    Failure::new(Exit::DataDirectory, error)
}

fn not_opened(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Config(_) => Exit::Usage,
        StartError::Directory(_)
        | StartError::Log(_)
        | StartError::Write(_)
        | StartError::Snapshot(_)
        | StartError::ClusterId(_)
        | StartError::MissingSnapshot { .. }
        | StartError::OtherHistory { .. } => Exit::DataDirectory,
    };
    Failure::new(exit, error)
}

/// Differs at every start: elections must not be timed alike on all nodes.
fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}
