//! The members of a walk, their disks and the messages between them. Nothing here has time.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use dmq_raft::{
    AdminOutcome, Config, Configuration, Effects, EntryId, Input, IoSeq, LogIndex, MemberId,
    Message, MessageBody, Persist, Proposed, Raft, Role, Term,
};

use super::book::Book;
use super::branches::{Before, observe, observe_configuration};
use super::coverage::{Coverage, Event};
use super::disk::Disk;
use super::ghost::Ghost;
use super::ids::{NODES_MAX, place};
use super::network::{Flying, Network};

/// One member: its core when it runs, its disk, and what is between them.
pub(crate) struct Member {
    pub(crate) config: Config,
    pub(crate) raft: Option<Raft>,
    /// What survives a crash.
    pub(crate) disk: Disk,
    /// The log as the core sees it: the disk with all writes under way.
    pub(crate) memory: Disk,
    pub(crate) writes: VecDeque<Persist>,
    /// Messages that wait for a write.
    pub(crate) held: Vec<(IoSeq, u32)>,
    /// An image that waits for the write of its start point.
    pub(crate) install: Option<(IoSeq, EntryId)>,
    /// Handed out as committed.
    pub(crate) committed: LogIndex,
    pub(crate) applied: LogIndex,
    pub(crate) role: Role,
    /// A transfer was begun and has not ended.
    pub(crate) transferring: bool,
    /// What an observer of this leader knows of its peers, by place.
    pub(crate) peers: [Peer; NODES_MAX],
}

/// A leader's peer, seen from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peer {
    /// Ticks since the leader heard from it, or since it was elected or changed the membership.
    pub(crate) silent_ticks: u32,
    /// The snapshot that was offered to it last.
    pub(crate) offered: Option<(MemberId, LogIndex)>,
}

/// Everything in a walk.
pub(crate) struct World {
    pub(crate) members: Vec<Member>,
    pub(crate) network: Network,
    /// Directed links that lose everything: bit `from * members + to`.
    pub(crate) cut: u64,
    pub(crate) ghost: Ghost,
    pub(crate) book: Book,
    pub(crate) coverage: Coverage,
    /// Entries are read from the log when the message leaves, not when it is made.
    pub(crate) late_fill: bool,
    /// Messages between two members keep their order.
    pub(crate) ordered: bool,
    /// The first voter set, as long as nobody may be initialised.
    pub(crate) birth: Option<Configuration>,
    pub(crate) next_payload: u32,
    pub(crate) next_read: u64,
    /// The effects of the last step, emptied: their memory serves the next one.
    effects: Option<Box<Effects>>,
    /// Things that happened: tells whether a choice found something to do.
    pub(crate) moves: u64,
    /// What happened, for people; kept only when a failure is told.
    pub(crate) story: Option<Vec<String>>,
}

impl Member {
    pub(crate) fn new(config: Config, disk: Disk) -> Self {
        Self {
            config,
            raft: None,
            memory: disk.clone(),
            disk,
            writes: VecDeque::new(),
            held: Vec::new(),
            install: None,
            committed: LogIndex(0),
            applied: LogIndex(0),
            role: Role::Follower,
            transferring: false,
            peers: [Peer::default(); NODES_MAX],
        }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.config.id
    }

    /// Whether its disk keeps an entry, and no write under way takes it away.
    pub(crate) fn keeps(&self, id: EntryId) -> bool {
        self.disk.keeps(id) && (self.raft.is_none() || self.memory.keeps(id))
    }

    /// Whether it has entered a later term: what it acknowledged in `term` may be gone by now, and the
    /// leader of that term may not know.
    pub(crate) fn is_beyond(&self, term: Term) -> bool {
        self.memory.hard.term.max(self.disk.hard.term) > term
    }

    pub(crate) fn is_installing(&self) -> bool {
        self.install.is_some()
    }

    pub(crate) fn leads(&self) -> bool {
        self.raft.is_some() && self.role == Role::Leader
    }
}

impl World {
    /// Without members yet.
    pub(crate) fn new(late_fill: bool, birth: Option<Configuration>) -> Self {
        Self {
            members: Vec::new(),
            network: Network::default(),
            cut: 0,
            ghost: Ghost::default(),
            book: Book::new(),
            coverage: Coverage::default(),
            late_fill,
            ordered: false,
            birth,
            next_payload: 1,
            next_read: 0,
            effects: None,
            moves: 0,
            story: None,
        }
    }

    /// One step of one core and all that follows at once.
    pub(crate) fn step(&mut self, at: usize, input: Input) {
        let member = &mut self.members[at];
        let Some(raft) = member.raft.as_mut() else {
            return;
        };
        if let Some(story) = &mut self.story {
            story.push(super::story::line(raft.id(), &input));
        }
        let before = Before::of(raft, member.role, &input);
        let mut effects = self.effects.take().unwrap_or_default();
        raft.step_into(input, &mut effects);
        assert!(
            raft.term() >= before.term,
            "MonotonicTerm: {} fell from term {}",
            raft.id(),
            before.term
        );
        self.coverage.hit(Event::Stepped);
        self.moves += 1;
        observe(&before, raft, &effects, &mut self.coverage);
        if let Some((index, configuration)) = &effects.configuration {
            let (known, number) = member.memory.active();
            let joint = self.book.configuration(number).is_joint();
            let coverage = &mut self.coverage;
            observe_configuration(
                &before,
                raft,
                (known, joint),
                (*index, configuration),
                coverage,
            );
        }
        if let Some(AdminOutcome::MembershipChanging { .. }) = effects.admin
            && let Some(expected) = before.expected()
        {
            self.check_expectation(at, expected);
        }
        if before.role == Role::Leader {
            self.check_hearing(at, &before, &effects);
            self.check_transfer(at, &effects);
        }
        self.perform(at, &mut effects, &before);
        self.effects = Some(effects);
    }

    fn perform(&mut self, at: usize, effects: &mut Effects, before: &Before) {
        if let Some(write) = effects.persist.take() {
            self.write(at, write, before);
        }
        if let Some(install) = &effects.install {
            self.ghost.installs(self.members[at].id(), install.last);
            self.members[at].install = Some((install.after, install.last));
            self.members[at].committed = install.last.index;
        }
        if effects.role.is_some() {
            self.change_role(at);
        }
        if let Some(range) = &effects.committed {
            self.commit(at, range, before);
        }
        if let Some(story) = &mut self.story {
            story.extend(effects.send.iter().map(super::story::sent));
        }
        for outgoing in effects.send.drain(..) {
            self.post(at, outgoing);
        }
        for offer in effects.send_snapshots.drain(..) {
            self.offer(offer.message);
        }
        let (id, leads) = (self.members[at].id(), self.members[at].leads());
        for read in effects.reads.drain(..) {
            let index = read.result.ok();
            self.ghost.reads(id, read.seq, index);
            self.coverage.hit(match index {
                Some(_) if leads => Event::ReadServed,
                Some(_) => Event::ReadForwarded,
                None => Event::ReadRefused,
            });
        }
        if let Some(Proposed::Appended { .. }) = effects.proposed.take() {
            let hands_over = self.members[at].transferring;
            assert!(
                !hands_over,
                "TransferHolds: {id} took a proposal while it hands over"
            );
            self.check_admission(at);
        }
        self.members[at].transferring = match effects.admin {
            Some(AdminOutcome::TransferStarted(_)) => true,
            Some(AdminOutcome::TransferDone | AdminOutcome::TransferAborted) => false,
            _ => leads && self.members[at].transferring,
        };
        (effects.committed, effects.install, effects.role) = (None, None, None);
        (effects.configuration, effects.admin) = (None, None);
    }

    /// A snapshot goes its way as a message; the file is not torn, only lost.
    fn offer(&mut self, message: Message) {
        self.coverage.hit(Event::SnapshotOffered);
        if let MessageBody::InstallSnapshot {
            last,
            configuration,
            ..
        } = &message.body
        {
            self.ghost.installs(message.from, *last);
            self.check_snapshot(last.index, configuration);
            let (from, to) = (place(message.from), message.to);
            self.members[from].peers[place(to)].offered = Some((to, last.index));
        }
        let number = self.network.keep(Flying {
            message,
            fill: None,
        });
        self.network.queue.push(number);
    }

    fn write(&mut self, at: usize, write: Persist, before: &Before) {
        let member = &mut self.members[at];
        let busy = !member.writes.is_empty();
        if let Some(from) = write.truncate_from {
            let id = member.config.id;
            let term = member.raft.as_ref().map(Raft::term).unwrap_or_default();
            self.ghost.truncates(id, term, from, &member.memory);
            let led = member.role == Role::Leader && term == before.term;
            assert!(
                !led,
                "LeaderAppendOnly: {id} cuts off {from} in its own term"
            );
            self.coverage.hit(Event::Truncated);
            if busy {
                self.coverage.hit(Event::TruncatedUnsynced);
            }
        }
        let active = member.memory.active();
        member.memory.take(&write, &mut self.book);
        if let Some(first) = write.entries.first() {
            let index = first.index.previous();
            let term = member.memory.term_at(index).unwrap_or_default();
            let mut last = EntryId::new(term, index);
            for entry in &write.entries {
                let slot = self.book.slot(entry);
                self.ghost.appended(last, entry.index, slot);
                last = entry.id();
            }
        }
        self.check_view(at);
        self.check_change(at, &write, active);
        self.members[at].writes.push_back(write);
    }

    fn commit(&mut self, at: usize, range: &RangeInclusive<LogIndex>, before: &Before) {
        let member = &mut self.members[at];
        assert!(
            *range.start() == member.committed.next(),
            "commits follow each other"
        );
        let Some(raft) = &member.raft else { return };
        // A leader that commits its own removal leads no more when the step is over.
        let leads = member.role == Role::Leader || before.role == Role::Leader;
        let id = member.config.id;
        let (term, durable) = (raft.term(), raft.durable());
        let mut fresh = false;
        for index in range.start().0..=range.end().0 {
            let index = LogIndex(index);
            let found = member.memory.term_at(index).unwrap_or_default();
            if leads && found < term {
                self.coverage.hit(Event::OldTermCommitted);
            }
            if self.ghost.commits(id, term, EntryId::new(found, index)) {
                fresh = true;
                let placed = member.memory.configuration_at(index);
                if placed.0 == index {
                    self.ghost.decides(placed);
                }
            }
        }
        member.committed = *range.end();
        assert!(
            !fresh || leads,
            "LeaderCommitsFirst: {id} commits {} before any leader did",
            range.end()
        );
        self.note(*range.end() > durable, Event::CommitBeyondOwnDisk);
        if fresh {
            self.check_durable(at);
        }
        self.check_office(at);
    }

    fn change_role(&mut self, at: usize) {
        let member = &mut self.members[at];
        let Some(raft) = &member.raft else {
            return;
        };
        let role = raft.role();
        if role == member.role {
            return;
        }
        let (id, term) = (raft.id(), raft.term());
        let before = std::mem::replace(&mut member.role, role);
        if role == Role::Leader && before != Role::Leader {
            member.peers = [Peer::default(); NODES_MAX];
            self.ghost.leads(id, term, &member.memory);
            let rival = self.members.iter().filter(|member| member.leads()).count() > 1;
            self.coverage.hit(Event::Elected);
            self.note(rival, Event::Reelected);
            self.check_election(at);
            self.note_election(at);
        }
    }

    /// Where a member lives, if its directory is not lost.
    pub(crate) fn find(&self, id: MemberId) -> Option<usize> {
        let at = place(id);
        (self.members.get(at)?.id() == id).then_some(at)
    }

    pub(crate) fn link(&self, from: usize, to: usize) -> u64 {
        1 << (from * self.members.len() + to)
    }

    #[inline]
    pub(crate) fn note(&mut self, happened: bool, event: Event) {
        if happened {
            self.coverage.hit(event);
        }
    }
}
