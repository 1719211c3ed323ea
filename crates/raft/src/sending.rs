//! How a leader sends to one peer at the moment: for tests and figures that must tell why nothing leaves.

use crate::election::Standing;
use crate::progress::ProgressState;
use crate::{LogIndex, MemberId, Raft};

/// The state of the way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sending {
    /// Where the logs agree is not known; one append may leave.
    Probing,
    /// One append is on its way to find out.
    Paused,
    /// Appends follow each other.
    Flowing,
    /// As many are on their way as the window allows.
    Full,
    /// It is being sent a snapshot.
    Snapshot,
}

impl Raft {
    /// How this leader sends to the peer, and what the peer is known to hold. `None` from anybody else.
    pub fn sending(&self, peer: &MemberId) -> Option<(Sending, LogIndex)> {
        let Standing::Leader(lead) = &self.standing else {
            return None;
        };
        let progress = lead.peers.get(peer)?;
        let sending = match progress.state {
            ProgressState::Probe { paused: false } => Sending::Probing,
            ProgressState::Probe { paused: true } => Sending::Paused,
            ProgressState::Replicate if progress.has_room(1, &self.config) => Sending::Flowing,
            ProgressState::Replicate => Sending::Full,
            ProgressState::Snapshot { .. } => Sending::Snapshot,
        };
        Some((sending, progress.matched))
    }
}
