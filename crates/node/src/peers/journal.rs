//! What the log of the process says of a link: every reason once, however often it is met.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dmq_raft::NodeId;

use super::Refusal;

/// A connection that lasted for so long counts: what comes after it is news again.
const STEADY: Duration = Duration::from_secs(1);
/// Reasons that are remembered. Whoever makes up more of them is not logged any more.
const REASONS_MAX: usize = 16;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no address in `dmq.kraft.cluster.nodes`")]
    NoAddress,
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("refused: {0}")]
    Refused(String),
    #[error("the peer is not who it should be: {0}")]
    Identity(#[from] Refusal),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the address changed")]
    Moved,
}

/// What was said of one link since its last steady connection. A link is tried many times a second; a peer that is
/// down for an hour, or that breaks every connection at once, costs a few lines.
#[derive(Debug, Default)]
pub(super) struct Journal {
    told: BTreeSet<String>,
    connected: Option<Instant>,
}

impl Journal {
    /// The peer is connected.
    pub(super) fn connected(&mut self, peer: NodeId, address: &str) {
        self.connected = Some(Instant::now());
        if self.is_news(format!("connected to {address}")) {
            tracing::info!(peer = peer.0, address, "connected to peer");
        }
    }

    /// The connection broke, or was not made; returns whether it had lasted.
    pub(super) fn failed(&mut self, peer: NodeId, error: &LinkError) -> bool {
        let connected = self.connected.take();
        let lasted = connected.is_some_and(|at| at.elapsed() >= STEADY);
        if lasted {
            self.told.clear();
        }
        let reason = error.to_string();
        if self.is_news(reason.clone()) {
            Self::tell(peer, error, &reason);
        }
        lasted
    }

    fn tell(peer: NodeId, error: &LinkError, reason: &str) {
        match error {
            LinkError::Refused(_) | LinkError::Identity(_) => {
                tracing::warn!(peer = peer.0, reason, "peer refused the connection");
            }
            _ => tracing::info!(peer = peer.0, reason, "no connection to peer"),
        }
    }

    fn is_news(&mut self, text: String) -> bool {
        self.told.len() < REASONS_MAX && self.told.insert(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_until_a_steady_connection() {
        let mut journal = Journal::default();
        let refused = LinkError::Connect("Connection refused".to_owned());
        assert!(!journal.failed(NodeId(2), &refused));
        assert!(!journal.is_news(refused.to_string()));
        journal.connected(NodeId(2), "a:1");
        journal.failed(NodeId(2), &refused);
        assert!(
            !journal.is_news("connected to a:1".to_owned()),
            "it did not last"
        );
        journal.connected = Instant::now().checked_sub(STEADY);
        assert!(journal.failed(NodeId(2), &LinkError::Moved), "it lasted");
        assert!(journal.is_news(refused.to_string()));
    }

    #[test]
    fn reasons_that_never_repeat_end_too() {
        let mut journal = Journal::default();
        let news = (0..1_000)
            .filter(|n| journal.is_news(n.to_string()))
            .count();
        assert_eq!(news, REASONS_MAX);
    }
}
