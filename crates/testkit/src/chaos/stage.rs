//! Where a run takes place: nodes in their network namespaces, on disks of their own, each with its own database.

use std::path::Path;

use dmq_log::{DataDir, FileDisk, FormatOptions, Identity, Incarnation, random_directory_id};
use dmq_raft::NodeId;

use super::databases::Databases;
use super::network::Network;
use super::plan::Choice;
use super::rules::address;
use super::volume::Volume;
use crate::harness::{Place, Quorum, QuorumOptions};

/// Small, so that segments are switched and purged all the time, and a full disk is noticed soon.
const SEGMENT_BYTES: u64 = 2 << 20;

/// Settings of all nodes: snapshots all the time; played brokers send no heartbeats.
const SETTINGS: [(&str, &str); 3] = [
    ("dmq.kraft.raft.snapshot-bytes", "1048576"),
    ("dmq.kraft.cluster.id", CLUSTER),
    ("broker.session-timeout-ms", "3600000"),
];

const CLUSTER: &str = "chaos";

/// Everything that a run needs.
#[derive(Debug)]
pub struct Stage {
    /// The nodes. First, so that they end before what they stand on.
    pub quorum: Quorum,
    /// What is between them.
    pub network: Network,
    /// Their disks, in the order of their ids.
    pub volumes: Vec<Volume>,
    /// Their databases.
    pub databases: Databases,
}

impl Stage {
    /// Builds it below `folder` and waits until there is a controller. Run inside of [`super::contain`]'s namespaces.
    pub async fn build(folder: &Path, choice: &Choice, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let network = Network::build(folder, choice.nodes, seed)?;
        let mut volumes = Vec::new();
        for id in network.nodes() {
            let volume = Volume::make(folder, &format!("disk-{id}"))?;
            format_directory(volume.path(), id)?;
            volumes.push(volume);
        }
        let databases = Databases::start(choice).await?;
        let mut options = QuorumOptions {
            nodes: choice.nodes,
            stores: databases.urls()?,
            places: places(&network, &volumes),
            ..QuorumOptions::default()
        };
        for (key, value) in SETTINGS {
            options = options.with(key, value);
        }
        Ok(Self {
            quorum: Quorum::start(&options).await?,
            network,
            volumes,
            databases,
        })
    }

    /// Number of nodes.
    pub fn nodes(&self) -> u32 {
        self.network.nodes().count() as u32
    }

    /// The disk of a node.
    pub fn volume(&self, id: u32) -> &Volume {
        &self.volumes[id as usize - 1]
    }

    /// Ids of all nodes.
    pub fn ids(&self) -> Vec<u32> {
        self.network.nodes().collect()
    }

    /// Where each node is asked.
    pub fn urls(&mut self) -> Vec<(u32, String)> {
        let nodes = self.quorum.nodes().iter();
        nodes
            .map(|node| (node.id, format!("http://{}:{}", node.host, node.rest_port)))
            .collect()
    }
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
