//! The leader's side of log replication: what is sent, what answers mean, what is committed.

use bytes::Bytes;

use crate::configurations::Configurations;
use crate::election::Standing;
use crate::leadership::Leadership;
use crate::log_view::LogView;
use crate::mutant;
use crate::progress::{Progress, ProgressState};
use crate::{
    AppendResult, Config, ENTRY_OVERHEAD_BYTES, Effects, Entry, EntryId, EntryKind, LogIndex,
    MemberId, Message, MessageBody, Outgoing, Proposed, Raft, Refusal, SendSnapshot, Term,
};

impl Raft {
    /// Takes a batch of commands, as a whole or not at all.
    pub(crate) fn propose(&mut self, payloads: Vec<Bytes>, fx: &mut Effects) {
        if payloads.is_empty() {
            return;
        }
        if let Some(refusal) = self.refusal_of(&payloads) {
            fx.proposed = Some(Proposed::Refused(refusal));
            return;
        }
        let first = self.log.last().index.next();
        let last = self.append_own(EntryKind::Command, payloads, fx);
        fx.proposed = Some(Proposed::Appended {
            term: self.hard.term,
            indexes: first..=last,
        });
        self.replicate_to_all(fx);
    }

    fn refusal_of(&self, payloads: &[Bytes]) -> Option<Refusal> {
        if let Some(refusal) = self.refusing() {
            return Some(refusal);
        }
        let too_large = payloads
            .iter()
            .find(|p| p.len() > self.config.entry_size_max);
        if let Some(payload) = too_large {
            return Some(Refusal::TooLarge {
                size_bytes: payload.len(),
            });
        }
        let batch: usize = payloads
            .iter()
            .map(|p| p.len() + ENTRY_OVERHEAD_BYTES)
            .sum();
        let uncommitted = self.log.bytes_between(self.commit, self.log.last().index);
        let full = uncommitted + batch as u64 > self.config.uncommitted_bytes_max;
        (full && !mutant::is("admission-off")).then_some(Refusal::Overloaded)
    }

    /// Appends entries of the own term. They count for this member once they are durable.
    pub(crate) fn append_own(
        &mut self,
        kind: EntryKind,
        payloads: Vec<Bytes>,
        fx: &mut Effects,
    ) -> LogIndex {
        let term = self.hard.term;
        let entries = &mut self.durability.write(fx).entries;
        for payload in payloads {
            let mut entry = Entry {
                index: LogIndex(0),
                term,
                kind,
                payload,
            };
            entry.index = self.log.append(term, entry.size_bytes());
            entries.push(entry);
        }
        self.log.last().index
    }

    /// The leader's state beside what appends are made of, or `None` for anybody else.
    pub(crate) fn leading(&mut self) -> Option<(&mut Leadership, Source<'_>)> {
        let Standing::Leader(lead) = &mut self.standing else {
            return None;
        };
        let source = Source {
            config: &self.config,
            term: self.hard.term,
            commit: self.commit,
            log: &self.log,
            snapshot: self.snapshot,
            configurations: &self.configurations,
        };
        Some((lead, source))
    }

    pub(crate) fn replicate_to_all(&mut self, fx: &mut Effects) {
        let Some((lead, source)) = self.leading() else {
            return;
        };
        for (peer, progress) in &mut lead.peers {
            source.replicate(*peer, progress, fx);
        }
    }

    /// What a heartbeat tick does for every peer beside the heartbeat itself.
    pub(crate) fn repeat_to_all(&mut self, fx: &mut Effects) {
        let Some((lead, source)) = self.leading() else {
            return;
        };
        for (peer, progress) in &mut lead.peers {
            source.repeat(*peer, progress, fx);
        }
    }

    pub(crate) fn on_append_reply(
        &mut self,
        from: MemberId,
        seq: u64,
        result: AppendResult,
        fx: &mut Effects,
    ) {
        let Some((lead, source)) = self.leading() else {
            return;
        };
        let Some(progress) = lead.peers.get_mut(&from).filter(|p| p.accepts(seq)) else {
            return;
        };
        match result {
            AppendResult::Matched(matched) if matched <= source.log.last().index => {
                progress.acknowledge(seq, matched, source.log.start().index);
                self.acknowledged(from, fx);
            }
            AppendResult::Matched(_) => self.ignored_messages += 1,
            AppendResult::Conflict { refused, hint } => {
                if source.backtrack(progress, refused, hint) {
                    source.replicate(from, progress, fx);
                }
            }
        }
    }

    /// A peer made progress: commit what that decides, send it more, tell who waits.
    pub(crate) fn acknowledged(&mut self, peer: MemberId, fx: &mut Effects) {
        self.advance_commit(fx);
        if let Some((lead, source)) = self.leading()
            && let Some(progress) = lead.peers.get_mut(&peer)
        {
            source.replicate(peer, progress, fx);
        }
        self.tell_commit(fx);
        // Before the transfer goes on: what this appends the target must have, too.
        self.settle_membership(fx);
        self.continue_transfer(fx);
    }

    /// The commit rule: durable on a quorum, and of the current term, since an older entry on a
    /// majority may still be overwritten (dissertation 3.6.2, figure 3.7).
    pub(crate) fn advance_commit(&mut self, fx: &mut Effects) {
        let Standing::Leader(lead) = &self.standing else {
            return;
        };
        let (me, mut own) = (self.config.id, self.durability.index());
        if mutant::is("leader-counts-unpersisted") {
            own = self.log.last().index;
        }
        let configuration = &self.configurations.active().1;
        let decided = configuration.quorum_value(|m| if *m == me { own } else { lead.matched(m) });
        let of_term = self.log.term_at(decided) == Some(self.hard.term);
        if decided > self.commit && (of_term || mutant::is("commit-of-older-term")) {
            self.commit_to(decided);
            self.answer_reads(fx);
        }
    }

    /// Peers that have nothing on the way learn the commit index at once, the others with the next
    /// append or heartbeat.
    pub(crate) fn tell_commit(&mut self, fx: &mut Effects) {
        let Some((lead, source)) = self.leading() else {
            return;
        };
        let round = lead.reads.round();
        for (peer, progress) in &mut lead.peers {
            let usable = source.commit.min(progress.matched);
            if progress.is_idle() && usable > progress.commit_sent {
                source.heartbeat(*peer, progress, round, fx);
            }
        }
    }

    /// What was on the way to this peer may be lost.
    pub(crate) fn on_unreachable(&mut self, peer: MemberId) {
        if let Some((lead, _)) = self.leading()
            && let Some(progress) = lead.peers.get_mut(&peer)
            && !matches!(progress.state, ProgressState::Snapshot { .. })
        {
            progress.probe(progress.matched.next(), true);
        }
    }
}

/// What appends, heartbeats and snapshot offers are made of.
pub(crate) struct Source<'a> {
    pub(crate) config: &'a Config,
    pub(crate) term: Term,
    pub(crate) commit: LogIndex,
    pub(crate) log: &'a LogView,
    pub(crate) snapshot: Option<EntryId>,
    pub(crate) configurations: &'a Configurations,
}

impl Source<'_> {
    /// Sends what the peer's state and window allow.
    pub(crate) fn replicate(&self, peer: MemberId, progress: &mut Progress, fx: &mut Effects) {
        let last = self.log.last().index;
        while progress.next <= last {
            let Some(prev) = self.log.position(progress.next.previous()) else {
                self.offer_snapshot(peer, progress, fx);
                return;
            };
            match progress.state {
                ProgressState::Probe { paused: false } => {
                    self.append(peer, progress, prev, self.end_after(prev), fx);
                    progress.state = ProgressState::Probe { paused: true };
                    return;
                }
                ProgressState::Replicate => {
                    let end = self.end_after(prev);
                    let bytes = self.log.bytes_between(prev.index, end.index);
                    if !progress.has_room(bytes, self.config) {
                        return;
                    }
                    let seq = self.append(peer, progress, prev, end, fx);
                    progress.sent(seq, end.index, bytes);
                }
                _ => return,
            }
        }
    }

    /// Repeats what may have been lost.
    pub(crate) fn repeat(&self, peer: MemberId, progress: &mut Progress, fx: &mut Effects) {
        let unanswered = !std::mem::take(&mut progress.answered);
        match progress.state {
            ProgressState::Probe { .. } => {
                progress.state = ProgressState::Probe { paused: false };
            }
            ProgressState::Replicate if unanswered && !progress.is_idle() => {
                // An empty append behind all that was sent: it tells whether something was lost,
                // without sending it again to a peer whose disk is merely slow.
                match self.log.position(progress.next.previous()) {
                    Some(prev) => _ = self.append(peer, progress, prev, prev, fx),
                    None => progress.probe(progress.matched.next(), false),
                }
            }
            ProgressState::Replicate => {}
            ProgressState::Snapshot { last, .. } => {
                // Should the answer to the snapshot be lost, the answer to this tells the same.
                self.append(peer, progress, last, last, fx);
            }
        }
        self.replicate(peer, progress, fx);
    }

    pub(crate) fn heartbeat(
        &self,
        peer: MemberId,
        progress: &mut Progress,
        round: u64,
        fx: &mut Effects,
    ) {
        let mut commit = self.commit.min(progress.matched);
        if mutant::is("heartbeat-commits-unmatched") {
            commit = self.commit;
        }
        progress.told(round, commit);
        let message = self.message(peer, MessageBody::Heartbeat { round, commit });
        fx.send.push(Outgoing {
            message,
            fill: None,
            after: None,
        });
    }

    /// Takes a refused position into account. Returns false if the refusal says nothing new: a member
    /// cannot take back what it acknowledged within this term.
    fn backtrack(&self, progress: &mut Progress, refused: LogIndex, hint: EntryId) -> bool {
        let in_snapshot = matches!(progress.state, ProgressState::Snapshot { .. });
        if in_snapshot || refused <= progress.matched {
            return false;
        }
        let shared = self
            .log
            .highest_shared(hint)
            .map_or(LogIndex(0), |id| id.index);
        progress.probe(shared.next().min(refused), false);
        true
    }

    /// The log no longer holds the entry before `next`.
    fn offer_snapshot(&self, peer: MemberId, progress: &mut Progress, fx: &mut Effects) {
        let wanted = match progress.state {
            ProgressState::Snapshot { .. } | ProgressState::Probe { paused: true } => false,
            ProgressState::Probe { .. } | ProgressState::Replicate => true,
        };
        // A snapshot to a peer that does not answer would only hold back the purging of the log.
        let answers = progress.silent_ticks < self.config.check_quorum_ticks;
        let Some(last) = self.snapshot.filter(|_| wanted && answers) else {
            return;
        };
        let seq = progress.start_snapshot(last);
        let configuration = self.configurations.at(last.index).clone();
        let body = MessageBody::InstallSnapshot {
            seq,
            last,
            configuration,
        };
        fx.send_snapshots.push(SendSnapshot {
            message: self.message(peer, body),
        });
    }

    /// Sends the entries after `prev` up to `last`, perhaps none, in parallel with the own write.
    fn append(
        &self,
        peer: MemberId,
        progress: &mut Progress,
        prev: EntryId,
        last: EntryId,
        fx: &mut Effects,
    ) -> u64 {
        let seq = progress.next_seq();
        let fill = (last.index > prev.index).then(|| prev.index.next()..=last.index);
        progress.commit_sent = progress.commit_sent.max(self.commit.min(last.index));
        let (commit, entries) = (self.commit, Vec::new());
        let body = MessageBody::Append {
            seq,
            prev,
            last,
            entries,
            commit,
        };
        fx.send.push(Outgoing {
            message: self.message(peer, body),
            fill,
            after: None,
        });
        seq
    }

    fn end_after(&self, prev: EntryId) -> EntryId {
        let (entries, bytes) = (self.config.append_entries_max, self.config.append_bytes_max);
        let end = self.log.end_of_append(prev.index.next(), entries, bytes);
        self.log.position(end).unwrap_or(prev)
    }

    fn message(&self, to: MemberId, body: MessageBody) -> Message {
        Message {
            from: self.config.id,
            to,
            term: self.term,
            body,
        }
    }
}
