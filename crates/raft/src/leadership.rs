//! What only a leader has: its peers' progress, its heartbeat clock and the reads it confirms.

use std::collections::BTreeMap;

use crate::progress::{Progress, ProgressState};
use crate::read_index::LeaderReads;
use crate::{Configuration, LogIndex, MemberId};

/// The state of one term of leadership.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leadership {
    pub(crate) peers: BTreeMap<MemberId, Progress>,
    pub(crate) heartbeat_elapsed_ticks: u32,
    pub(crate) reads: LeaderReads,
}

impl Leadership {
    /// At the start of a term, with `next` as the first index that peers may lack.
    pub(crate) fn new(me: MemberId, configuration: &Configuration, next: LogIndex) -> Self {
        let others = configuration.members().filter(|member| **member != me);
        let peers = others
            .map(|member| (*member, Progress::new(next)))
            .collect();
        Self {
            peers,
            heartbeat_elapsed_ticks: 0,
            reads: LeaderReads::default(),
        }
    }

    /// What a member is known to have durably; members that are not followed have nothing.
    pub(crate) fn matched(&self, member: &MemberId) -> LogIndex {
        self.peers
            .get(member)
            .map_or(LogIndex(0), |progress| progress.matched)
    }

    /// Highest round of heartbeats that a member answered.
    pub(crate) fn round(&self, member: &MemberId) -> u64 {
        self.peers.get(member).map_or(0, |progress| progress.round)
    }

    pub(crate) fn heard_within(&self, member: &MemberId, ticks: u32) -> bool {
        self.peers
            .get(member)
            .is_some_and(|progress| progress.silent_ticks < ticks)
    }

    /// The lowest index of a snapshot on its way to a peer: the log behind it must be kept.
    pub(crate) fn lowest_snapshot(&self) -> Option<LogIndex> {
        let in_transfer = self
            .peers
            .values()
            .filter_map(|progress| match progress.state {
                ProgressState::Snapshot { last, .. } => Some(last.index),
                _ => None,
            });
        in_transfer.min()
    }
}
