//! The links to all peers of the address book, made and dropped as it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use dmq_raft::{MemberId, NodeId};

use super::outbound::{Connection, LinkContext, PeerLink, connect};
use super::outbox::Parcel;

/// One link per peer.
#[derive(Default)]
pub struct Links(RwLock<BTreeMap<NodeId, PeerLink>>);

impl Links {
    /// Leaves something for a peer. `false`: it takes none, what waited was lost. A node without an
    /// address gets nothing, which is no news to anybody.
    pub fn send(&self, to: NodeId, parcel: Parcel) -> bool {
        self.read()
            .get(&to)
            .is_none_or(|link| link.outbox.push(parcel))
    }

    /// The connection to a member, if it is there under this very directory.
    pub fn connection(&self, to: MemberId) -> Option<Connection> {
        let connection = self.read().get(&to.node)?.connection()?;
        (connection.member == to).then_some(connection)
    }

    /// Whether a node is connected.
    pub fn is_connected(&self, node: NodeId) -> bool {
        self.read()
            .get(&node)
            .is_some_and(|link| link.connection().is_some())
    }

    /// A node was heard: try to reach it at once.
    pub fn wake(&self, node: NodeId) {
        if let Some(link) = self.read().get(&node) {
            link.wake();
        }
    }

    /// Drops all links.
    pub fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Keeps one link for each peer of the address book, for as long as the book lives.
    pub async fn follow(self: Arc<Self>, context: LinkContext) {
        let own = context.own.identity.member.node;
        let mut addresses = context.book.addresses();
        loop {
            let wanted = Arc::clone(&addresses.borrow_and_update());
            {
                let mut links = self.0.write().unwrap_or_else(PoisonError::into_inner);
                links.retain(|node, _| wanted.contains_key(node));
                for node in wanted.keys().filter(|node| **node != own) {
                    links
                        .entry(*node)
                        .or_insert_with(|| connect(*node, context.clone()));
                }
            }
            if addresses.changed().await.is_err() {
                return;
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<NodeId, PeerLink>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
