//! The network between the nodes of a quorum: one forwarder per direction, each of which can be cut and healed.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ports::free_port;

/// Forwarders by (from, to). A node's address book names its peers' forwarders instead of the peers themselves.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<(u32, u32), Link>,
    /// Dropping them ends the forwarding.
    forwarders: JoinSet<()>,
}

#[derive(Debug)]
struct Link {
    port: u16,
    open: Arc<watch::Sender<bool>>,
}

impl Links {
    /// Forwarders between all pairs of `nodes` (id, gRPC port).
    pub(super) async fn between(nodes: &[(u32, u16)]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for &(from, _) in nodes {
            for &(to, target) in nodes {
                if from != to {
                    all.add((from, to), target).await?;
                }
            }
        }
        Ok(all)
    }

    async fn add(&mut self, between: (u32, u32), target: u16) -> anyhow::Result<()> {
        let port = free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let open = Arc::new(watch::Sender::new(true));
        self.forwarders
            .spawn(forward(listener, target, open.subscribe()));
        self.links.insert(between, Link { port, open });
        Ok(())
    }

    /// The port at which `from` reaches `to`.
    pub(super) fn port(&self, from: u32, to: u32) -> anyhow::Result<u16> {
        let link = self.links.get(&(from, to)).context("no such link")?;
        Ok(link.port)
    }

    /// Cuts every link between `group` and the other nodes, in both directions: connections break, new ones are refused.
    pub fn cut_off(&self, group: &[u32]) {
        for ((from, to), link) in &self.links {
            if group.contains(from) != group.contains(to) {
                link.open.send_replace(false);
            }
        }
    }

    /// Opens all links.
    pub fn heal(&self) {
        for link in self.links.values() {
            link.open.send_replace(true);
        }
    }
}

async fn forward(listener: TcpListener, target: u16, open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                // A cut link accepts and hangs up: what a peer sees of a broken path.
                if *open.borrow() {
                    connections.spawn(carry(stream, target, open.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, target: u16, mut open: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
