//! What the core's effects mean for the log writer, the peers and the applier.

use std::sync::Arc;

use dmq_raft::{
    AdminOutcome, Effects, Input, IoSeq, MessageBody, Outgoing, Persist, Proposed, Role, RoleChange,
};

use super::Driver;
use super::pipeline::Next;
use crate::mutant;
use crate::{CommittedEntries, DriverOutput};

impl Driver {
    /// One input for the core whose only direct consequence is its effects.
    pub(super) fn step(&mut self, input: Input) {
        let effects = self.raft.step(input);
        let _ = self.absorb(effects);
    }

    /// A proposal, and what became of it.
    pub(super) fn step_proposal(&mut self, payloads: Vec<bytes::Bytes>) -> Option<Proposed> {
        let effects = self.raft.step(Input::Propose(payloads));
        self.absorb(effects)
    }

    /// An administrative input, and what became of it.
    pub(super) fn step_admin(&mut self, input: Input) -> (Option<IoSeq>, Option<AdminOutcome>) {
        let mut effects = self.raft.step(input);
        let io = effects.persist.as_ref().map(|persist| persist.io);
        let outcome = effects.admin.take();
        let _ = self.absorb(effects);
        (io, outcome)
    }

    /// Carries out effects in the order of their fields. Returns what answers the input itself.
    fn absorb(&mut self, effects: Effects) -> Option<Proposed> {
        if let Some(persist) = effects.persist {
            self.persist(persist);
        }
        for outgoing in effects.send {
            self.send(outgoing);
        }
        self.commit(effects.committed, effects.install);
        for read in effects.reads {
            self.read_decided(read);
        }
        for transfer in effects.send_snapshots {
            self.out.push(DriverOutput::SendSnapshot(transfer.message));
        }
        if let Some((index, configuration)) = effects.configuration {
            self.configuration = (index, Arc::new(configuration));
        }
        if let Some(role) = effects.role {
            self.role_changed(role);
        }
        if let Some(outcome) = effects.admin {
            self.admin_outcome(outcome);
        }
        effects.proposed
    }

    fn persist(&mut self, persist: Persist) {
        if persist.start.is_some() {
            self.cache.clear();
        }
        if let Some(from) = persist.truncate_from {
            self.cache.truncate_from(from);
        }
        self.cache.append(&persist.entries);
        // What was durable and is cut must not count for what takes its place (DESIGN 6.3): the projector
        // hears of it before any of that can be applied.
        self.note_durable();
        self.out.push(DriverOutput::Persist(persist));
    }

    /// Sends a message, with its entries if they are in memory, now or when its write is durable.
    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing {
            mut message,
            fill,
            after,
        } = outgoing;
        let output = match (fill, &mut message.body) {
            (Some(range), MessageBody::Append { entries, .. }) => {
                if let Some(cached) = self.cache.get(&range) {
                    *entries = cached;
                    DriverOutput::Send(message)
                } else {
                    DriverOutput::Fill { message, range }
                }
            }
            _ => DriverOutput::Send(message),
        };
        match after {
            Some(io) if io > self.persisted && !mutant::is("promise-sent-at-once") => {
                self.outbox.hold(io, output);
            }
            _ => self.out.push(output),
        }
    }

    /// Queues committed entries or a snapshot for the applier; what the snapshot covers is not applied
    /// one by one.
    fn commit(
        &mut self,
        committed: Option<std::ops::RangeInclusive<dmq_raft::LogIndex>>,
        install: Option<dmq_raft::InstallSnapshot>,
    ) {
        let Some(install) = install else {
            if let Some(range) = committed {
                self.pipeline.commit(range);
            }
            return;
        };
        self.pipeline.install(install.last, install.after);
        if let Some(range) = committed.filter(|range| *range.start() > install.last.index) {
            self.pipeline.commit(range);
        }
    }

    /// Writes up to here are durable: what waited for them leaves before what follows from them.
    pub(super) fn persisted(&mut self, io: IoSeq) {
        self.persisted = self.persisted.max(io);
        let released = self.outbox.release(self.persisted);
        self.out.extend(released);
        self.step(Input::Persisted(io));
        self.bootstrap_persisted(io);
    }

    /// Hands the applier what its window has room for.
    pub(super) fn feed_applier(&mut self) {
        while let Some(next) = self.pipeline.next(self.persisted) {
            let output = match next {
                Next::Install(last) => DriverOutput::Install(last),
                Next::Apply(range) => {
                    let entries = self.cache.tail_of(&range);
                    DriverOutput::Apply(CommittedEntries { range, entries })
                }
            };
            self.out.push(output);
        }
    }

    /// Tells the projector how far the log is durable here, up or down, and lets the cache forget.
    pub(super) fn note_durable(&mut self) {
        let durable = self.raft.durable();
        self.cache.evict(durable);
        let is_news = durable > self.durable || !mutant::is("truncation-not-told");
        if durable != self.durable && is_news {
            self.durable = durable;
            self.out.push(DriverOutput::Durable(durable));
        }
    }

    fn role_changed(&mut self, role: RoleChange) {
        let before = std::mem::replace(&mut self.role, role);
        if before.role == Role::Leader && (role.role != Role::Leader || role.term != before.term) {
            self.waiters.orphan(self.now, before.term);
            self.changes
                .orphan(self.now + self.settings.undecided_ticks);
            self.sessions.leave_office();
        }
        if role.role == Role::Leader && before.role != Role::Leader {
            self.counters.elected += 1;
            self.office.take(self.now);
            self.sessions.take_office(self.now);
        }
        if role.role == Role::PreCandidate && before.role != Role::PreCandidate {
            self.counters.elections += 1;
        }
        self.report_due |= role.leader != before.leader && role.leader.is_some();
    }
}
