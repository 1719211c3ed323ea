//! Where a run takes place: nodes in their network namespaces, on disks of their own, each with its own database.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dmq_log::{DataDir, FileDisk, FormatOptions, Identity, Incarnation, random_directory_id};
use dmq_raft::NodeId;

use super::client::NodeAddress;
use super::databases::Databases;
use super::network::Network;
use super::plan::Choice;
use super::rules::address;
use super::volume::Volume;
use crate::harness::{Node, Place, Quorum, QuorumOptions};

/// Small, so that segments are switched and purged all the time, and a full disk is noticed soon.
const SEGMENT_BYTES: u64 = 2 << 20;

/// Settings of all nodes: snapshots all the time, and so few entries behind them that a node which was away for some seconds needs
/// one; nobody is fenced.
const SETTINGS: [(&str, &str); 4] = [
    ("dmq.kraft.raft.snapshot-bytes", "1048576"),
    ("dmq.kraft.raft.kept-entries", "1000"),
    ("dmq.kraft.cluster.id", CLUSTER),
    ("broker.session-timeout-ms", "3600000"),
];

/// Name of the cluster.
pub(super) const CLUSTER: &str = "chaos";

/// What the admin routes ask for.
pub(super) const TOKEN: &str = "chaos-admin";

/// Everything that a run needs.
#[derive(Debug)]
pub struct Stage {
    /// The nodes. First, so that they end before what they stand on.
    pub quorum: Quorum,
    /// A further node, which joins and leaves.
    pub guest: Node,
    /// What is between them.
    pub network: Network,
    /// Their disks, in the order of their ids, the guest's last.
    pub volumes: Vec<Volume>,
    /// Their databases.
    pub databases: Databases,
}

impl Stage {
    /// Builds it below `folder` and waits until there is a controller. Run inside of [`super::contain`]'s namespaces.
    pub async fn build(folder: &Path, choice: &Choice, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let network = Network::build(folder, choice.nodes + 1, seed)?;
        let mut volumes = Vec::new();
        for id in network.nodes() {
            let volume = Volume::make(folder, &format!("disk-{id}"))?;
            format_directory(volume.path(), id)?;
            volumes.push(volume);
        }
        let databases = Databases::start(choice).await?;
        let mut places = places(&network, &volumes);
        let guest = places.pop().context("no place for the guest")?;
        let options = options(folder, choice, &databases, places)?;
        let mut quorum = Quorum::start(&options).await?;
        Ok(Self {
            guest: quorum.further(guest)?,
            quorum,
            network,
            volumes,
            databases,
        })
    }

    /// Number of voters.
    pub fn nodes(&self) -> u32 {
        self.guest.id - 1
    }

    /// The disk of a node.
    pub fn volume(&self, id: u32) -> &Volume {
        &self.volumes[id as usize - 1]
    }

    /// Ids of all voters.
    pub fn ids(&self) -> Vec<u32> {
        (1..self.guest.id).collect()
    }

    /// Where each node is asked.
    pub fn addresses(&mut self, with_guest: bool) -> Vec<NodeAddress> {
        let guest = with_guest.then_some(&self.guest);
        let nodes = self.quorum.nodes().iter().chain(guest);
        nodes
            .map(|node| NodeAddress {
                id: node.id,
                url: format!("http://{}:{}", node.host, node.rest_port),
            })
            .collect()
    }

    /// The data directories of all nodes.
    pub fn directories(&self) -> Vec<PathBuf> {
        let volumes = self.volumes.iter().zip(1..);
        volumes
            .map(|(volume, id)| volume.path().join(format!("node-{id}")))
            .collect()
    }
}

fn options(
    folder: &Path,
    choice: &Choice,
    databases: &Databases,
    places: Vec<Place>,
) -> anyhow::Result<QuorumOptions> {
    let token = folder.join("admin-token");
    std::fs::write(&token, TOKEN)?;
    let options = QuorumOptions {
        nodes: choice.nodes,
        stores: databases.urls()?,
        places,
        ..QuorumOptions::default()
    }
    .with("auth.admin-token-file", token.display().to_string());
    let with = |options: QuorumOptions, (key, value)| options.with(key, value);
    Ok(SETTINGS.into_iter().fold(options, with))
}

fn places(network: &Network, volumes: &[Volume]) -> Vec<Place> {
    let placed = network.nodes().zip(volumes);
    placed
        .map(|(id, volume)| Place {
            host: address(id),
            entry: network.entry(id),
            volume: volume.path().to_owned(),
        })
        .collect()
}

/// An empty data directory of the first incarnation, under a fresh directory id, which is returned.
pub(super) fn format_directory(volume: &Path, id: u32) -> anyhow::Result<Identity> {
    let root = volume.join(format!("node-{id}"));
    std::fs::create_dir_all(&root)?;
    let identity = Identity {
        cluster_id: CLUSTER.to_owned(),
        incarnation: Incarnation::default(),
        node: NodeId(id),
        directory: random_directory_id(&FileDisk)?,
    };
    let options = FormatOptions {
        segment_bytes: SEGMENT_BYTES,
        ..FormatOptions::default()
    };
    DataDir::format(&FileDisk, &root, &identity, &options)?;
    Ok(identity)
}
