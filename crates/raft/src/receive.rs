//! What arrives: the address, Raft's rule of terms (dissertation 3.3), and who handles which message.

use crate::election::Standing;
use crate::follower::Append;
use crate::mutant;
use crate::{AppendResult, Effects, LogIndex, Message, MessageBody, Raft};

impl Raft {
    #[inline]
    pub(crate) fn receive(&mut self, message: Message, fx: &mut Effects) {
        if message.to != self.config.id || message.from == self.config.id {
            self.ignored_messages += 1;
            return;
        }
        match message.body {
            // These two name terms that nobody may have entered.
            MessageBody::PreVote { last } => self.on_pre_vote(&message, last, fx),
            MessageBody::PreVoteReply { asked, granted } => {
                self.on_pre_vote_reply(&message, asked, granted, fx);
            }
            MessageBody::Stopping => self.note_stopping(message.from, true),
            _ if message.term < self.hard.term && !mutant::is("older-term-taken") => {
                self.answer_stale(&message, fx);
            }
            ref body if message.term > self.hard.term && self.sticks_to_leader(body) => {}
            _ => {
                if message.term > self.hard.term {
                    self.become_follower(message.term, fx);
                }
                self.dispatch(message, fx);
            }
        }
    }

    /// A message of the current term.
    #[inline]
    fn dispatch(&mut self, message: Message, fx: &mut Effects) {
        let from = message.from;
        if let Standing::Leader(lead) = &mut self.standing
            && let Some(progress) = lead.peers.get_mut(&from)
        {
            progress.silent_ticks = 0;
        }
        match message.body {
            MessageBody::Vote { last, .. } => self.on_vote(from, last, fx),
            MessageBody::VoteReply { granted } => self.on_vote_reply(from, granted, fx),
            MessageBody::Append {
                seq,
                prev,
                last,
                entries,
                commit,
            } => {
                self.on_append(
                    from,
                    Append {
                        seq,
                        prev,
                        last,
                        entries,
                        commit,
                    },
                    fx,
                );
            }
            MessageBody::AppendReply { seq, result } => {
                self.on_append_reply(from, seq, result, fx);
            }
            MessageBody::Heartbeat { round, commit } => self.on_heartbeat(from, round, commit, fx),
            MessageBody::HeartbeatReply { round, stopping } => {
                self.note_stopping(from, stopping);
                self.on_heartbeat_reply(from, round, fx);
            }
            MessageBody::InstallSnapshot {
                seq,
                last,
                configuration,
            } => {
                self.on_install_snapshot(from, seq, last, configuration, fx);
            }
            MessageBody::InstallSnapshotReply { seq, matched } => {
                self.on_install_snapshot_reply(from, seq, matched, fx);
            }
            MessageBody::TimeoutNow => self.on_timeout_now(from, fx),
            MessageBody::ReadIndex { seq } => self.on_read_index(from, seq, fx),
            MessageBody::ReadIndexReply { seq, index } => {
                self.on_read_index_reply(from, seq, index, fx);
            }
            MessageBody::PreVote { .. }
            | MessageBody::PreVoteReply { .. }
            | MessageBody::Stopping => unreachable!("handled before the term rule"),
        }
    }

    /// Whoever sends with an old term learns the new one from the answer, and follows.
    fn answer_stale(&self, message: &Message, fx: &mut Effects) {
        let body = match message.body {
            MessageBody::Vote { .. } => MessageBody::VoteReply { granted: false },
            MessageBody::Append { seq, prev, .. } => {
                let result = AppendResult::Conflict {
                    refused: prev.index,
                    hint: self.log.last(),
                };
                MessageBody::AppendReply { seq, result }
            }
            MessageBody::Heartbeat { round, .. } => MessageBody::HeartbeatReply {
                round,
                stopping: self.stopping,
            },
            MessageBody::InstallSnapshot { seq, .. } => MessageBody::InstallSnapshotReply {
                seq,
                matched: LogIndex(0),
            },
            MessageBody::ReadIndex { seq } => MessageBody::ReadIndexReply { seq, index: None },
            _ => return,
        };
        self.send(message.from, body, None, fx);
    }
}
