//! What is known of the peers: their addresses from the configuration, the rest from their handshakes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use dmq_metadata::FeatureLevel;
use dmq_raft::{MemberId, NodeId};
use dmq_replica::DriverInput;
use tokio::sync::watch;

use crate::config::NodeAddress;
use crate::threads::Work;

/// What a peer said of itself when it was last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its ids.
    pub member: MemberId,
    /// Its REST address.
    pub url: String,
    /// The feature levels that its binary knows.
    pub features: (FeatureLevel, FeatureLevel),
    /// Whether it had a configuration when it answered the last `Hello`; `None`: it was only heard.
    pub initialized: Option<bool>,
}

impl PeerInfo {
    /// What the driver has to know of a peer that was met.
    pub(super) fn features_input(&self) -> Work {
        let (member, features) = (self.member, self.features);
        Work::Input(DriverInput::PeerFeatures { member, features })
    }
}

/// The address book and the peers that were heard. Clones share it.
#[derive(Clone, Debug)]
pub struct PeerBook {
    addresses: watch::Sender<Arc<BTreeMap<NodeId, NodeAddress>>>,
    heard: Arc<RwLock<BTreeMap<NodeId, PeerInfo>>>,
    sources: watch::Sender<BTreeMap<NodeId, IpAddr>>,
}

impl PeerBook {
    /// A book with these addresses, in which nobody was heard yet.
    pub fn new(nodes: &[NodeAddress]) -> Self {
        Self {
            addresses: watch::Sender::new(index(nodes)),
            heard: Arc::default(),
            sources: watch::Sender::default(),
        }
    }

    /// Replaces the addresses; returns whether anything changed.
    pub fn replace(&self, nodes: &[NodeAddress]) -> bool {
        let new = index(nodes);
        self.addresses.send_if_modified(|old| {
            let changed = *old != new;
            *old = new;
            changed
        })
    }

    /// The addresses, and every later change of them.
    pub fn addresses(&self) -> watch::Receiver<Arc<BTreeMap<NodeId, NodeAddress>>> {
        self.addresses.subscribe()
    }

    /// `host:port` of a node's peer listener.
    pub fn authority(&self, node: NodeId) -> Option<String> {
        self.addresses
            .borrow()
            .get(&node)
            .map(NodeAddress::authority)
    }

    /// What the peer last said of itself.
    pub fn heard(&self, node: NodeId) -> Option<PeerInfo> {
        self.heard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&node)
            .cloned()
    }

    /// Notes from where a peer called. A pod that is made anew has another address than the one that name
    /// servers and their caches still tell for some seconds.
    pub fn note_source(&self, node: NodeId, source: IpAddr) {
        self.sources
            .send_if_modified(|sources| sources.insert(node, source) != Some(source));
    }

    /// From where the peers called last, and every later change of it.
    pub fn sources(&self) -> watch::Receiver<BTreeMap<NodeId, IpAddr>> {
        self.sources.subscribe()
    }

    /// Notes what a peer says; a stream does not tell whether it is initialised and keeps that.
    pub fn note(&self, mut info: PeerInfo) {
        let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
        let before = heard
            .get(&info.member.node)
            .filter(|old| old.member == info.member);
        info.initialized = info.initialized.or_else(|| before?.initialized);
        heard.insert(info.member.node, info);
    }

    /// The REST address of a node, if it was heard.
    pub fn url(&self, node: NodeId) -> Option<String> {
        self.heard(node).map(|info| info.url)
    }
}

fn index(nodes: &[NodeAddress]) -> Arc<BTreeMap<NodeId, NodeAddress>> {
    Arc::new(
        nodes
            .iter()
            .map(|node| (NodeId(node.id.0), node.clone()))
            .collect(),
    )
}
