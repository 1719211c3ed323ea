//! Messages between the members of a walk: what they promise when they leave, and what they meet.

use std::ops::RangeInclusive;

use dmq_raft::{
    AppendResult, Configuration, EntryId, Input, LogIndex, MemberId, Message, MessageBody,
    Outgoing, Raft,
};

use super::coverage::Event;
use super::disk::SnapshotFile;
use super::world::World;

/// A message on its way; an append perhaps still without its entries.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) message: Message,
    pub(crate) fill: Option<RangeInclusive<LogIndex>>,
}

impl Flying {
    /// Addresses the message to another life of its receiver, or takes an append's last entry away:
    /// both must be ignored.
    pub(crate) fn corrupt(&mut self, address: bool) {
        match &mut self.message.body {
            MessageBody::Append { entries, .. } if !address && !entries.is_empty() => {
                entries.pop();
            }
            _ => self.message.to.directory.0 ^= 1,
        }
    }
}

impl World {
    pub(crate) fn post(&mut self, at: usize, outgoing: Outgoing) {
        let Outgoing {
            message,
            fill,
            after,
        } = outgoing;
        let mut flying = Flying { message, fill };
        if !self.late_fill {
            self.fill(&mut flying);
        }
        match after {
            Some(io) => self.members[at].held.push((io, flying)),
            None => self.leave(flying),
        }
    }

    /// The moment when a message can be seen by others: its promises must hold on the disk.
    pub(crate) fn leave(&mut self, flying: Flying) {
        self.check_promise(&flying.message);
        self.network.push(flying);
    }

    fn check_promise(&mut self, message: &Message) {
        let (from, term) = (message.from, message.term);
        let Some(member) = self.members.iter().find(|member| member.id() == from) else {
            return;
        };
        let vote = match &message.body {
            MessageBody::VoteReply { granted: true } => Some(message.to),
            MessageBody::Vote { .. } => Some(from),
            _ => None,
        };
        let hard = member.disk.hard;
        if let Some(candidate) = vote {
            let kept = hard.term > term || (hard.term == term && hard.vote == Some(candidate));
            assert!(
                kept,
                "VoteIsDurable: {from} promises term {term} to {candidate}"
            );
            self.ghost.votes(from, term, candidate);
        }
        let (MessageBody::AppendReply {
            result: AppendResult::Matched(matched),
            ..
        }
        | MessageBody::InstallSnapshotReply { matched, .. }) = message.body
        else {
            return;
        };
        let kept = hard.term > term || member.disk.reach() >= matched;
        assert!(
            kept,
            "AckIsDurable: {from} acknowledges {matched} in term {term}"
        );
    }

    /// Reads an append's entries from its sender's log as it is now. False if they are not those that
    /// the core meant.
    fn fill(&self, flying: &mut Flying) -> bool {
        let Some(range) = flying.fill.take() else {
            return true;
        };
        let from = flying.message.from;
        let sender = self.members.iter().find(|member| member.id() == from);
        let found = sender.and_then(|sender| sender.memory.range(*range.start(), *range.end()));
        let MessageBody::Append { entries, last, .. } = &mut flying.message.body else {
            return false;
        };
        *entries = found.unwrap_or_default();
        entries.last().is_some_and(|entry| entry.id() == *last)
    }

    /// Hands a message over, unless its link is cut, its receiver down or its entries gone.
    pub(crate) fn deliver(&mut self, mut flying: Flying) {
        let (from, to) = (flying.message.from, flying.message.to);
        if !self.fill(&mut flying) {
            self.coverage.hit(Event::FillRefused);
            if let Some(sender) = self.find(from) {
                self.step(sender, Input::Unreachable { peer: to });
            }
            return;
        }
        let by_node = |id: MemberId| self.members.iter().position(|m| m.id().node == id.node);
        let (Some(sender), Some(receiver)) = (by_node(from), by_node(to)) else {
            return;
        };
        let cut = self.cut & self.link(sender, receiver) != 0;
        self.note(cut, Event::Blocked);
        if cut || self.members[receiver].raft.is_none() {
            self.lost(&flying.message);
            return;
        }
        self.coverage_of_delivery(receiver, &flying.message);
        if let MessageBody::InstallSnapshot {
            last,
            configuration,
            ..
        } = &flying.message.body
        {
            self.receive_file(receiver, *last, configuration.clone());
        }
        self.step(receiver, Input::Message(flying.message));
    }

    /// A lost snapshot is noticed by its sender: the stream of the file breaks.
    pub(crate) fn lost(&mut self, message: &Message) {
        let is_snapshot = matches!(message.body, MessageBody::InstallSnapshot { .. });
        if let Some(sender) = self.find(message.from).filter(|_| is_snapshot) {
            self.coverage.hit(Event::SnapshotFailed);
            self.step(sender, Input::SnapshotFailed { to: message.to });
        }
    }

    /// The snapshot file is durable before the core hears of it.
    fn receive_file(&mut self, at: usize, last: EntryId, configuration: (LogIndex, Configuration)) {
        let member = &mut self.members[at];
        let newer = member
            .disk
            .snapshot
            .as_ref()
            .is_none_or(|file| file.last.index < last.index);
        let ahead = last.index > member.committed;
        if newer && ahead {
            member.disk.snapshot = Some(SnapshotFile {
                last,
                configuration,
            });
        }
        let held = member.memory.term_at(last.index) == Some(last.term);
        self.note(ahead && held, Event::SnapshotHeld);
        self.note(!ahead, Event::SnapshotRefused);
    }

    fn coverage_of_delivery(&mut self, at: usize, message: &Message) {
        let term = self.members[at]
            .raft
            .as_ref()
            .map(Raft::term)
            .unwrap_or_default();
        match message.body {
            MessageBody::PreVoteReply { granted: false, .. } => {
                self.coverage.hit(Event::PreVoteRefused);
                self.note(message.term > term, Event::PreVoteTermAdopted);
            }
            MessageBody::AppendReply {
                result: AppendResult::Conflict { .. },
                ..
            } => {
                self.note(message.term == term, Event::Conflict);
            }
            _ => {}
        }
    }
}
