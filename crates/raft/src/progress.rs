//! What a leader knows of one peer's log, and what is on the way to it.
//!
//! ```text
//!            matched                       conflict, unreachable
//!   Probe ------------> Replicate --------------------------------> Probe
//!     |  the log no longer holds the entry before `next`   |
//!     +---------------------> Snapshot <-------------------+
//!   Snapshot --- matched at or above the log's start ---> Replicate
//!   Snapshot --- transfer failed ---> Probe (paused until the next heartbeat)
//! ```

use std::collections::VecDeque;

use crate::mutant;
use crate::{Config, EntryId, LogIndex};

/// One peer, as its leader knows it within one term.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Progress {
    /// Highest index known to be durable at the peer. Never falls within a term.
    pub(crate) matched: LogIndex,
    /// First index that the next append carries. Always above `matched`.
    pub(crate) next: LogIndex,
    pub(crate) state: ProgressState,
    /// Ticks since the peer's last message.
    pub(crate) silent_ticks: u32,
    /// Highest heartbeat round that the peer answered.
    pub(crate) round: u64,
    /// Highest commit index that the peer was told and can use.
    pub(crate) commit_sent: LogIndex,
    /// Whether an append was acknowledged since the last heartbeat.
    pub(crate) answered: bool,
    /// It is a member no more since the configuration of this index, and is followed until it knows that for good.
    pub(crate) leaving: Option<LogIndex>,
    /// Who answers this heartbeat round was told that the configuration it leaves by is committed.
    told_by_round: Option<u64>,
    inflight: VecDeque<Sent>,
    inflight_bytes: u64,
    /// Number of the newest append or snapshot.
    last_seq: u64,
    /// Answers to older ones are stale: the leader has since changed its mind about the peer.
    valid_from_seq: u64,
}

/// How entries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProgressState {
    /// Where the logs agree is not known: one append at a time.
    Probe {
        /// One is on the way; the next heartbeat sends another.
        paused: bool,
    },
    /// Appends follow each other without waiting, within the window.
    Replicate,
    /// The peer needs entries that are purged: it is being sent a snapshot.
    Snapshot {
        /// Number of the transfer.
        seq: u64,
        /// Last entry of the snapshot; the log behind it must be kept.
        last: EntryId,
    },
}

#[derive(Clone, Copy, Debug, Hash)]
struct Sent {
    seq: u64,
    bytes: u64,
}

impl Progress {
    /// A peer of which a new leader knows nothing: its log may be as long as the leader's.
    pub(crate) fn new(next: LogIndex) -> Self {
        Self {
            matched: LogIndex(0),
            next,
            state: ProgressState::Probe { paused: false },
            silent_ticks: 0,
            round: 0,
            commit_sent: LogIndex(0),
            answered: false,
            leaving: None,
            told_by_round: None,
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            last_seq: 0,
            valid_from_seq: 1,
        }
    }

    /// It is a member, perhaps again.
    pub(crate) fn stays(&mut self) {
        self.leaving = None;
        self.told_by_round = None;
    }

    /// A heartbeat of this round says that `commit` is committed. The answer may be one to an earlier heartbeat of the
    /// round; the answers to later rounds are not.
    pub(crate) fn told(&mut self, round: u64, commit: LogIndex) {
        self.commit_sent = self.commit_sent.max(commit);
        if self.leaving.is_some_and(|at| commit >= at) {
            self.told_by_round.get_or_insert(round + 1);
        }
    }

    /// Whether it is known to know that it left: it holds the entry that says so, and that this is committed. With
    /// the entry alone it would have to campaign, for it might be the only one that can win (dissertation 4.2.2).
    pub(crate) fn knows_that_it_left(&self) -> bool {
        if mutant::is("removed-not-told") {
            return self.leaving.is_some_and(|at| self.matched >= at);
        }
        self.told_by_round.is_some_and(|round| self.round >= round)
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.last_seq
    }

    /// Whether an answer to this append still says something.
    pub(crate) fn accepts(&self, seq: u64) -> bool {
        (self.valid_from_seq..=self.last_seq).contains(&seq) || mutant::is("stale-ack-taken")
    }

    /// How many of the entries up to `commit` the peer is not known to have; the maximum while a snapshot is
    /// on its way.
    pub(crate) fn behind(&self, commit: LogIndex) -> u64 {
        match self.state {
            ProgressState::Snapshot { .. } => u64::MAX,
            _ => commit.0.saturating_sub(self.matched.0),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state == ProgressState::Replicate && self.inflight.is_empty()
    }

    /// Whether `bytes` more fit into the window. One append always fits into an empty one.
    pub(crate) fn has_room(&self, bytes: u64, config: &Config) -> bool {
        self.inflight.is_empty()
            || (self.inflight.len() < config.inflight_messages_max
                && self.inflight_bytes + bytes <= config.inflight_bytes_max)
    }

    /// An append of entries up to `end` left in [`ProgressState::Replicate`].
    pub(crate) fn sent(&mut self, seq: u64, end: LogIndex, bytes: u64) {
        self.inflight.push_back(Sent { seq, bytes });
        self.inflight_bytes += bytes;
        self.next = end.next();
    }

    /// The peer matches up to `matched`; the leader's log begins after `start`.
    pub(crate) fn acknowledge(&mut self, seq: u64, matched: LogIndex, start: LogIndex) {
        while let Some(sent) = self.inflight.pop_front_if(|sent| sent.seq <= seq) {
            self.inflight_bytes -= sent.bytes;
        }
        self.answered = true;
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        let from_snapshot = matches!(self.state, ProgressState::Snapshot { .. });
        if self.state != ProgressState::Replicate && (!from_snapshot || self.matched >= start) {
            self.state = ProgressState::Replicate;
            self.next = self.matched.next();
        }
    }

    /// Starts over one append at a time from `next`, or from what is matched if that is higher.
    /// Answers to everything that was sent before become stale.
    pub(crate) fn probe(&mut self, next: LogIndex, paused: bool) {
        self.state = ProgressState::Probe { paused };
        self.next = next.max(self.matched.next());
        if mutant::is("next-below-matched") {
            self.next = next;
        }
        self.forget_inflight();
    }

    /// The peer needs a snapshot. Returns the transfer's number.
    pub(crate) fn start_snapshot(&mut self, last: EntryId) -> u64 {
        self.forget_inflight();
        let seq = self.next_seq();
        self.state = ProgressState::Snapshot { seq, last };
        seq
    }

    fn forget_inflight(&mut self) {
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.valid_from_seq = self.last_seq + 1;
    }
}
