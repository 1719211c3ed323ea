//! The members of a walk, their disks and the messages between them. Nothing here has time.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use dmq_raft::{
    Config, Effects, EntryId, Input, IoSeq, LogIndex, MemberId, Persist, Proposed, Raft, Role,
};

use super::coverage::{Coverage, Event};
use super::dice::Dice;
use super::disk::Disk;
use super::ghost::Ghost;
use super::network::Flying;

/// One member: its core when it runs, its disk, and what is between them.
pub(crate) struct Member {
    pub(crate) config: Config,
    pub(crate) raft: Option<Raft>,
    /// What survives a crash.
    pub(crate) disk: Disk,
    /// The log as the core sees it: the disk with all writes under way.
    pub(crate) memory: Disk,
    pub(crate) writes: VecDeque<Persist>,
    pub(crate) held: Vec<(IoSeq, Flying)>,
    /// An image that waits for the write of its start point.
    install: Option<(IoSeq, EntryId)>,
    /// Handed out as committed.
    pub(crate) committed: LogIndex,
    pub(crate) applied: LogIndex,
    role: Role,
}

/// Everything in a walk.
pub(crate) struct World {
    pub(crate) members: Vec<Member>,
    pub(crate) network: Vec<Flying>,
    /// Directed links that lose everything: bit `from * members + to`.
    pub(crate) cut: u64,
    pub(crate) ghost: Ghost,
    pub(crate) coverage: Coverage,
    /// Entries are read from the log when the message leaves, not when it is made.
    pub(crate) late_fill: bool,
    pub(crate) voters: usize,
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
        }
    }

    pub(crate) fn id(&self) -> MemberId {
        self.config.id
    }

    pub(crate) fn is_installing(&self) -> bool {
        self.install.is_some()
    }
}

impl World {
    /// Starts a member's process from its disk.
    pub(crate) fn start(&mut self, at: usize, dice: &mut Dice) {
        let member = &mut self.members[at];
        member.config.seed = dice.roll();
        let restored = member.disk.recover();
        member.memory = member.disk.clone();
        (member.committed, member.applied) = (restored.commit, restored.commit);
        member.raft = Some(Raft::new(member.config.clone(), restored));
        member.role = Role::Follower;
    }

    /// Power loss: of the writes under way the first `kept` reached the disk.
    pub(crate) fn crash(&mut self, at: usize, kept: usize) {
        let id = self.members[at].id();
        let member = &mut self.members[at];
        let (lost, landed) = (member.writes.len() - kept, kept > 0);
        for write in member.writes.drain(..).take(kept) {
            member.disk.take(&write);
        }
        member.held.clear();
        member.install = None;
        member.raft = None;
        // Messages whose entries were not read yet were still inside the process.
        self.network
            .retain(|flying| flying.message.from != id || flying.fill.is_none());
        self.ghost.forget_reads(id);
        self.note(lost > 0, Event::CrashLostWrites);
        self.note(landed, Event::CrashKeptWrites);
        self.check_durable();
    }

    /// One step of one core and all that follows at once.
    pub(crate) fn step(&mut self, at: usize, input: Input) {
        let member = &mut self.members[at];
        let Some(raft) = member.raft.as_mut() else {
            return;
        };
        let (ignored, term) = (raft.ignored_messages(), raft.term());
        let effects = raft.step(input);
        let (ignored, same_term) = (raft.ignored_messages() > ignored, raft.term() == term);
        assert!(
            raft.term() >= term,
            "MonotonicTerm: {} fell from term {term}",
            raft.id()
        );
        self.note(ignored, Event::Ignored);
        self.perform(at, effects, same_term);
    }

    fn perform(&mut self, at: usize, mut effects: Effects, same_term: bool) {
        if let Some(write) = effects.persist.take() {
            self.write(at, write);
        }
        if let Some(install) = &effects.install {
            self.ghost.installs(self.members[at].id(), install.last);
            self.members[at].install = Some((install.after, install.last));
            self.members[at].committed = install.last.index;
            self.coverage.hit(Event::SnapshotInstalled);
        }
        self.change_role(at, same_term);
        if let Some(range) = &effects.committed {
            self.commit(at, range);
        }
        for outgoing in std::mem::take(&mut effects.send) {
            self.post(at, outgoing);
        }
        for offer in std::mem::take(&mut effects.send_snapshots) {
            self.coverage.hit(Event::SnapshotOffered);
            self.network.push(Flying {
                message: offer.message,
                fill: None,
            });
        }
        self.answer(at, &effects);
    }

    fn write(&mut self, at: usize, write: Persist) {
        let busy = !self.members[at].writes.is_empty();
        self.note(write.truncate_from.is_some(), Event::Truncated);
        self.note(
            write.truncate_from.is_some() && busy,
            Event::TruncatedUnsynced,
        );
        let member = &mut self.members[at];
        let first = write
            .entries
            .first()
            .map_or(LogIndex(0), |entry| entry.index);
        let term = member.memory.term_at(first.previous()).unwrap_or_default();
        let mut before = EntryId::new(term, first.previous());
        for entry in &write.entries {
            self.ghost.appended(before, entry);
            before = entry.id();
        }
        member.memory.take(&write);
        member.writes.push_back(write);
    }

    fn commit(&mut self, at: usize, range: &RangeInclusive<LogIndex>) {
        let member = &self.members[at];
        assert!(
            *range.start() == member.committed.next(),
            "commits follow each other"
        );
        let (id, leads) = (member.id(), member.role == Role::Leader);
        let (term, durable) = member
            .raft
            .as_ref()
            .map(|r| (r.term(), r.durable()))
            .unwrap_or_default();
        let mut fresh = false;
        for index in range.start().0..=range.end().0 {
            let index = LogIndex(index);
            let found = self.members[at].memory.term_at(index).unwrap_or_default();
            self.note(leads && found < term, Event::OldTermCommitted);
            fresh |= self.ghost.commits(id, term, EntryId::new(found, index));
        }
        assert!(
            !fresh || leads,
            "{id} commits {} before any leader did",
            range.end()
        );
        self.note(*range.end() > durable, Event::CommitBeyondOwnDisk);
        self.members[at].committed = *range.end();
        if fresh {
            self.check_durable();
        }
    }

    fn change_role(&mut self, at: usize, same_term: bool) {
        let Some(raft) = &self.members[at].raft else {
            return;
        };
        let (id, term, role) = (raft.id(), raft.term(), raft.role());
        let before = std::mem::replace(&mut self.members[at].role, role);
        if role == Role::Leader && before != Role::Leader {
            let rivals = self
                .members
                .iter()
                .filter(|member| member.role == Role::Leader);
            let rival = rivals.count() > 1;
            self.coverage.hit(Event::Elected);
            self.note(rival, Event::Reelected);
            self.ghost.leads(id, term, &self.members[at].memory);
        } else if before == Role::Leader && role != Role::Leader {
            self.coverage.hit(Event::SteppedDown);
            self.note(same_term, Event::CheckQuorum);
        }
    }

    fn answer(&mut self, at: usize, effects: &Effects) {
        let (id, leads) = (self.members[at].id(), self.members[at].role == Role::Leader);
        for read in &effects.reads {
            let index = read.result.ok();
            self.ghost.reads(id, read.seq, index);
            self.coverage.hit(match index {
                Some(_) if leads => Event::ReadServed,
                Some(_) => Event::ReadForwarded,
                None => Event::ReadRefused,
            });
        }
        let refused = matches!(effects.proposed, Some(Proposed::Refused(_)));
        self.note(refused, Event::ProposalRefused);
        match effects.admin {
            Some(dmq_raft::AdminOutcome::TransferDone) => self.coverage.hit(Event::TransferDone),
            Some(dmq_raft::AdminOutcome::TransferAborted) => {
                self.coverage.hit(Event::TransferAborted);
            }
            Some(dmq_raft::AdminOutcome::Refused(_)) => self.coverage.hit(Event::TransferRefused),
            _ => {}
        }
    }

    /// Completes the oldest `count` writes of a member and reports them together.
    pub(crate) fn sync(&mut self, at: usize, count: usize) {
        let member = &mut self.members[at];
        let mut newest = None;
        for write in member.writes.drain(..count.min(member.writes.len())) {
            member.disk.take(&write);
            newest = Some(write.io);
        }
        let Some(io) = newest else {
            return;
        };
        let held = std::mem::take(&mut member.held);
        let (free, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|(after, _)| *after <= io);
        member.held = held;
        let installed = member.install.take_if(|(after, _)| *after <= io);
        self.check_durable();
        for (_, flying) in free {
            self.leave(flying);
        }
        self.step(at, Input::Persisted(io));
        if let Some((_, last)) = installed {
            self.members[at].applied = last.index;
            self.step(at, Input::Applied(last.index));
        }
    }

    pub(crate) fn check_durable(&self) {
        self.ghost.check_durable(
            self.members[..self.voters]
                .iter()
                .map(|member| &member.disk),
        );
    }

    pub(crate) fn find(&self, id: MemberId) -> Option<usize> {
        self.members.iter().position(|member| member.id() == id)
    }

    pub(crate) fn link(&self, from: usize, to: usize) -> u64 {
        1 << (from * self.members.len() + to)
    }

    pub(crate) fn note(&mut self, happened: bool, event: Event) {
        if happened {
            self.coverage.hit(event);
        }
    }
}
