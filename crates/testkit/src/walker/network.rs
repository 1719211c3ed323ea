//! Messages between the members of a walk: what they promise when they leave, and what they meet.

use std::ops::RangeInclusive;

use dmq_raft::{
    AppendResult, EntryId, Input, LogIndex, MemberId, Message, MessageBody, Outgoing, Role, Term,
};

use super::coverage::Event;
use super::disk::{Placed, SnapshotFile};
use super::ids::{place, stranger};
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
            _ => self.message.to = stranger(self.message.to),
        }
    }
}

/// What a message says about the disk of its sender.
#[derive(Clone, Copy)]
struct Promise {
    from: MemberId,
    to: MemberId,
    term: Term,
    what: Promised,
}

#[derive(Clone, Copy)]
enum Promised {
    Vote(MemberId),
    Entries(LogIndex),
}

impl Promise {
    fn of(flying: &Flying) -> Option<Self> {
        let Message {
            from,
            to,
            term,
            ref body,
        } = flying.message;
        let what = match body {
            MessageBody::VoteReply { granted: true } => Promised::Vote(to),
            MessageBody::Vote { .. } => Promised::Vote(from),
            MessageBody::AppendReply {
                result: AppendResult::Matched(matched),
                ..
            }
            | MessageBody::InstallSnapshotReply { matched, .. } => Promised::Entries(*matched),
            _ => return None,
        };
        Some(Self {
            from,
            to,
            term,
            what,
        })
    }
}

/// Where messages are while nobody has them: each is moved in once and out once, only numbers are
/// reordered.
#[derive(Debug, Default)]
pub(crate) struct Network {
    places: Vec<Option<Flying>>,
    free: Vec<u32>,
    /// Those that left and did not arrive, oldest first.
    pub(crate) queue: Vec<u32>,
    /// Copies of a few messages that arrived or were lost long ago.
    late: Vec<Flying>,
}

/// Old messages that are remembered.
const LATE_MAX: usize = 8;

impl Network {
    pub(crate) fn keep(&mut self, flying: Flying) -> u32 {
        if let Some(at) = self.free.pop() {
            self.places[at as usize] = Some(flying);
            return at;
        }
        self.places.push(Some(flying));
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn take(&mut self, at: u32) -> Option<Flying> {
        self.free.push(at);
        self.places[at as usize].take()
    }

    /// The message that is `at`th in the queue.
    pub(crate) fn look(&self, at: usize) -> Option<&Flying> {
        let number = self.queue.get(at)?;
        self.places[*number as usize].as_ref()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Flying> {
        self.places[number as usize].as_ref()
    }

    /// Everything that may still arrive.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Flying> {
        self.places.iter().flatten()
    }

    /// Takes the `at`th of the queue out of it.
    pub(crate) fn pull(&mut self, at: usize) -> Option<Flying> {
        let number = self.queue.remove(at);
        self.take(number)
    }

    /// Keeps a copy for [`Self::late`], in the place of another one.
    pub(crate) fn remember(&mut self, flying: &Flying, at: usize) {
        if flying.fill.is_none() {
            if self.late.len() < LATE_MAX {
                self.late.push(flying.clone());
            } else {
                self.late[at % LATE_MAX] = flying.clone();
            }
        }
    }

    /// A copy of a message of long ago.
    pub(crate) fn late(&self, roll: usize) -> Option<Flying> {
        let at = roll.checked_rem(self.late.len())?;
        self.late.get(at).cloned()
    }

    /// Forgets the messages that `keep` does not want.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Flying) -> bool) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|number| {
            let stays = self.get(*number).is_some_and(&keep);
            if !stays {
                self.take(*number);
            }
            stays
        });
        self.queue = queue;
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
        let number = self.network.keep(flying);
        match after {
            Some(io) => self.members[at].held.push((io, number)),
            None => self.leave(number),
        }
    }

    /// The moment when a message can be seen by others: its promises must hold on the disk.
    pub(crate) fn leave(&mut self, number: u32) {
        if let Some(promise) = self.network.get(number).and_then(Promise::of) {
            self.check_promise(promise);
        }
        self.network.queue.push(number);
    }

    fn check_promise(&mut self, promise: Promise) {
        let Promise { from, to, term, .. } = promise;
        let member = &self.members[place(from)];
        if member.id() != from {
            return;
        }
        let hard = member.disk.hard;
        match promise.what {
            Promised::Vote(candidate) => {
                let kept = hard.term > term || (hard.term == term && hard.vote == Some(candidate));
                assert!(
                    kept,
                    "VoteIsDurable: {from} promises term {term} to {candidate}"
                );
                self.ghost.votes(from, term, candidate);
            }
            Promised::Entries(matched) => {
                let kept = member.disk.reach() >= matched
                    && self
                        .leaders_term_at(to, term, matched)
                        .is_none_or(|held| member.disk.keeps(EntryId::new(held, matched)));
                assert!(
                    hard.term > term || kept,
                    "AckIsDurable: {from} acknowledges {matched} in term {term}"
                );
            }
        }
    }

    /// What the leader of this term has at `index`, if it still leads and still has it.
    fn leaders_term_at(&self, leader: MemberId, term: Term, index: LogIndex) -> Option<Term> {
        let leading = &self.members[place(leader)];
        let raft = leading.raft.as_ref().filter(|raft| raft.id() == leader)?;
        let leads = raft.term() == term && raft.role() == Role::Leader;
        leading.memory.term_at(index).filter(|_| leads)
    }

    /// Reads an append's entries from its sender's log as it is now. False if they are not those that
    /// the core meant.
    fn fill(&self, flying: &mut Flying) -> bool {
        let Some(range) = flying.fill.take() else {
            return true;
        };
        let from = flying.message.from;
        let sender = Some(&self.members[place(from)]).filter(|sender| sender.id() == from);
        let found = sender.and_then(|sender| {
            let (first, last) = (*range.start(), *range.end());
            sender.memory.range(first, last, &self.book)
        });
        let MessageBody::Append { entries, last, .. } = &mut flying.message.body else {
            return false;
        };
        *entries = found.unwrap_or_default();
        entries.last().is_some_and(|entry| entry.id() == *last)
    }

    /// Hands a message over, unless its link is cut, its receiver down or its entries gone.
    pub(crate) fn deliver(&mut self, mut flying: Flying) {
        let (from, to) = (flying.message.from, flying.message.to);
        let (sender, receiver) = (place(from), place(to));
        if !self.fill(&mut flying) {
            self.coverage.hit(Event::FillRefused);
            if self.members[sender].id() == from {
                self.step(sender, Input::Unreachable { peer: to });
            }
            return;
        }
        let cut = self.cut & self.link(sender, receiver) != 0;
        self.note(cut, Event::Blocked);
        self.moves += 1;
        if cut || self.members[receiver].raft.is_none() {
            self.lost(&flying.message);
            return;
        }
        if let MessageBody::InstallSnapshot {
            last,
            configuration: (index, configuration),
            ..
        } = &flying.message.body
            && self.members[receiver].id() == to
        {
            let number = self.book.note(configuration);
            self.receive_file(receiver, *last, (*index, number));
        }
        self.step(receiver, Input::Message(flying.message));
    }

    /// A lost snapshot is noticed by its sender: the stream of the file breaks.
    pub(crate) fn lost(&mut self, message: &Message) {
        if matches!(message.body, MessageBody::InstallSnapshot { .. }) {
            let sender = place(message.from);
            if self.members[sender].id() == message.from {
                self.coverage.hit(Event::SnapshotFailed);
                self.step(sender, Input::SnapshotFailed { to: message.to });
            }
        }
    }

    /// The snapshot file is durable before the core hears of it.
    fn receive_file(&mut self, at: usize, last: EntryId, configuration: Placed) {
        let member = &mut self.members[at];
        let newer = member
            .disk
            .snapshot
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
}
