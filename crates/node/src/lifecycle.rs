//! Beside the normal run: the birth of a quorum on plain machines, and addresses that change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dmq_metadata::NodeId;

use crate::config::{self, Sources};
use crate::handle::{Handle, InitializeRequest, NodeState, Voter};
use crate::identity::{NodeIdentity, directory_id, raft_node_id};
use crate::peers::{Links, PeerBook, PeerInfo};

/// How often a node that is to be born looks whether the others are there.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Pause after an attempt to initialise that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How often the configuration file is looked at.
const ADDRESS_BOOK_INTERVAL: Duration = Duration::from_secs(2);

/// `serve --bootstrap`: when all configured nodes answer uninitialised, the lowest id initialises.
pub struct Bootstrap {
    /// This node.
    pub own: NodeIdentity,
    /// The peers that were heard.
    pub book: PeerBook,
    /// The connections.
    pub links: Arc<Links>,
    /// The member.
    pub handle: Handle,
    /// All configured nodes.
    pub nodes: BTreeSet<NodeId>,
}

/// What `--bootstrap` sees of the configured nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Somebody is not there yet.
    Incomplete,
    /// Somebody has a configuration: the quorum exists, and this node waits to be taken in.
    Exists,
    /// Everybody is there and empty: these are the first voters.
    AllEmpty(Vec<Voter>),
}

impl Bootstrap {
    /// Runs until this node has a configuration. Only the node with the lowest id does anything.
    pub async fn run(self) {
        if self.nodes.first() != Some(&self.own.node()) {
            return;
        }
        let mut told = false;
        while self.handle.status().state == NodeState::Uninitialized {
            tokio::time::sleep(LOOK_INTERVAL).await;
            match self.look() {
                Seen::AllEmpty(voters) => self.initialize(voters).await,
                Seen::Exists if !told => {
                    told = true;
                    tracing::warn!(
                        "this node is empty, but the quorum exists: it is not bootstrapped again"
                    );
                }
                Seen::Exists | Seen::Incomplete => {}
            }
        }
    }

    fn look(&self) -> Seen {
        let peer = |node: &NodeId| {
            let node = raft_node_id(*node);
            self.book
                .heard(node)
                .filter(|_| self.links.is_connected(node))
        };
        let peers = self
            .nodes
            .iter()
            .filter(|node| **node != self.own.node())
            .map(peer);
        judge(&self.own, peers)
    }

    async fn initialize(&self, voters: Vec<Voter>) {
        let request = InitializeRequest {
            cluster: self.own.cluster.clone(),
            incarnation: self.own.incarnation,
            voters,
        };
        match self.handle.initialize(request).await {
            Ok(done) => tracing::info!(voters = done.voters.len(), "the quorum is initialised"),
            Err(error) => {
                tracing::warn!(%error, "the quorum cannot be initialised yet");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Decides from what the peers said of themselves; `None` for one that is not there.
fn judge(own: &NodeIdentity, peers: impl Iterator<Item = Option<PeerInfo>>) -> Seen {
    let mut voters = vec![Voter {
        id: own.node(),
        directory: own.directory(),
    }];
    let mut complete = true;
    for peer in peers {
        match peer {
            Some(PeerInfo {
                initialized: Some(true),
                ..
            }) => return Seen::Exists,
            Some(PeerInfo {
                initialized: Some(false),
                member,
                ..
            }) => voters.push(Voter {
                id: crate::identity::node_id(member.node),
                directory: directory_id(member.directory),
            }),
            Some(PeerInfo {
                initialized: None, ..
            })
            | None => complete = false,
        }
    }
    voters.sort_unstable();
    if complete {
        Seen::AllEmpty(voters)
    } else {
        Seen::Incomplete
    }
}

/// Reads the address book again whenever the configuration file changes (DESIGN 6.1). A file that has
/// become invalid is reported, and the addresses stay.
pub async fn follow_address_book(sources: Sources, book: PeerBook) {
    let Some(file) = sources.file.clone() else {
        return;
    };
    // The first look reads the file in any case: it may have changed since the node read it at its start.
    let mut seen = None;
    loop {
        tokio::time::sleep(ADDRESS_BOOK_INTERVAL).await;
        let now = modified(&file).await;
        if now == seen {
            continue;
        }
        seen = now;
        match config::load(&sources) {
            Ok(config) if book.replace(&config.nodes) => {
                tracing::info!(file = %file.display(), "the address book has changed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the changed configuration is not used"),
        }
    }
}

async fn modified(file: &std::path::Path) -> Option<SystemTime> {
    tokio::fs::metadata(file).await.ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use dmq_metadata::{ClusterId, FeatureLevel, Incarnation};
    use dmq_raft::{DirectoryId, MemberId};

    use super::*;

    fn member(node: u32) -> MemberId {
        MemberId {
            node: dmq_raft::NodeId(node),
            directory: DirectoryId(u128::from(node) * 10),
        }
    }

    fn own() -> NodeIdentity {
        let cluster = ClusterId::parse("dmq").unwrap();
        NodeIdentity {
            cluster,
            incarnation: Incarnation::FIRST,
            member: member(1),
        }
    }

    fn peer(node: u32, initialized: Option<bool>) -> PeerInfo {
        let features = (FeatureLevel::ZERO, FeatureLevel::MAX);
        PeerInfo {
            member: member(node),
            url: String::new(),
            features,
            initialized,
        }
    }

    #[test]
    fn all_empty_nodes_become_the_voters() {
        let seen = judge(
            &own(),
            [Some(peer(3, Some(false))), Some(peer(2, Some(false)))].into_iter(),
        );
        let Seen::AllEmpty(voters) = seen else {
            panic!("{seen:?}")
        };
        let ids: Vec<(u32, u128)> = voters
            .iter()
            .map(|voter| (voter.id.0, voter.directory.0.as_u128()))
            .collect();
        assert_eq!(ids, [(1, 10), (2, 20), (3, 30)]);
    }

    #[test]
    fn a_node_that_is_not_there_or_did_not_say_is_waited_for() {
        assert_eq!(
            judge(&own(), [Some(peer(2, Some(false))), None].into_iter()),
            Seen::Incomplete
        );
        let silent = [Some(peer(2, Some(false))), Some(peer(3, None))];
        assert_eq!(judge(&own(), silent.into_iter()), Seen::Incomplete);
    }

    #[test]
    fn one_initialised_node_is_a_quorum_whoever_is_missing() {
        assert_eq!(
            judge(&own(), [None, Some(peer(3, Some(true)))].into_iter()),
            Seen::Exists
        );
    }

    #[test]
    fn a_quorum_of_one_needs_nobody() {
        assert!(
            matches!(judge(&own(), std::iter::empty()), Seen::AllEmpty(voters) if voters.len() == 1)
        );
    }

    #[tokio::test]
    async fn a_changed_file_changes_the_addresses_and_a_broken_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.yaml");
        let text = |port: &str| {
            format!(
                "dmq: {{kraft: {{node-id: 1, cluster: {{nodes: [{{id: 1, host: a, port: {port}}}]}}}}}}"
            )
        };
        std::fs::write(&file, text("1000")).unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            ..Sources::default()
        };
        let book = PeerBook::new(&config::load(&sources).unwrap().nodes);
        let mut addresses = book.addresses();
        let port = |book: &PeerBook| book.authority(dmq_raft::NodeId(1)).unwrap();
        let follower = tokio::spawn(follow_address_book(sources, book.clone()));
        let later = |seconds| SystemTime::now() + Duration::from_secs(seconds);
        let write = |text: String, at| {
            std::fs::write(&file, text).unwrap();
            std::fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(at)
                .unwrap();
        };
        // Whether the follower has looked at the first file yet or not.
        write(text("2000"), later(10));
        addresses.changed().await.unwrap();
        write(text("none"), later(20));
        write(text("none"), later(30));
        assert_eq!(port(&book), "a:2000");
        follower.abort();
    }
}
