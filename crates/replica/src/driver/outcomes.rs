//! Answers: writes that were applied, replaced or given up, reads that the image can serve.

use dmq_raft::{Input, LogIndex, ReadOutcome};

use super::reads::ReadTimes;
use super::waiters::{Decision, Waiting};
use super::{Driver, Ready};
use crate::{
    Ack, AlarmKind, Answer, AppliedBatch, ApplierStop, CommittedWrite, ExitReason, Installed,
    ProjectionHealth, ReadRequest, RequestError, Ticket,
};

impl Driver {
    /// The applier has applied entries.
    pub(super) fn applied(&mut self, batch: AppliedBatch) {
        let Some(last) = batch.entries.last().map(|entry| entry.id) else {
            return;
        };
        self.counters.applied += batch.entries.len() as u64;
        self.upkeep.grow(batch.size_bytes);
        self.feature_level = batch.feature_level;
        self.office
            .observe(batch.log_time, self.now, self.settings.tick);
        if let Some(image) = batch.brokers {
            self.sessions.observe(image, self.now);
        }
        for note in batch.hashes {
            self.reports.note(note);
            self.report_due = true;
        }
        self.advance_applied(last);
        for (waiting, decision) in self.waiters.decide(batch.entries) {
            self.decided(waiting, decision);
        }
        self.serve_reads();
    }

    /// A snapshot became the image.
    pub(super) fn installed(&mut self, installed: Installed) {
        let Installed { view, size_bytes } = installed;
        self.counters.snapshots_installed += 1;
        self.upkeep.installed(view.last, size_bytes);
        self.feature_level = view.image.feature_level();
        self.office
            .observe(view.image.log_time(), self.now, self.settings.tick);
        self.sessions.observe(view.image, self.now);
        self.advance_applied(view.last);
        for (waiting, decision) in self.waiters.forget_up_to(view.last) {
            self.decided(waiting, decision);
        }
        self.serve_reads();
    }

    fn advance_applied(&mut self, last: dmq_raft::EntryId) {
        self.applied = last;
        self.pipeline.applied(last.index);
        if matches!(self.ready, Ready::From(index) if last.index >= index) {
            self.ready = Ready::Yes;
        }
        if self.leads() && last.term == self.role.term {
            self.office.confirm();
            self.ready = Ready::Yes;
        }
        self.step(Input::Applied(last.index));
    }

    /// The image moves no more: nothing that needs a later entry will be served.
    pub(super) fn applier_stopped(&mut self, stop: ApplierStop) {
        match stop {
            ApplierStop::UnknownEntry(reason) => {
                self.alarm(AlarmKind::UnknownEntry, true, reason);
                for (waiting, decision) in self.waiters.drain() {
                    self.decided(waiting, decision);
                }
                self.resign();
            }
            ApplierStop::Unreadable(reason) => self.exit(ExitReason::LogFailed(reason)),
        }
    }

    fn decided(&mut self, waiting: Waiting, decision: Decision) {
        let Some(ticket) = waiting.ticket else { return };
        match decision {
            Decision::Applied(write) => self.write_applied(ticket, waiting.ack, write),
            Decision::Replaced => {
                self.counters.leader_changed += 1;
                self.fail(ticket, RequestError::LeaderChanged);
            }
            Decision::Unknown => {
                self.counters.outcome_unknown += 1;
                self.fail(ticket, RequestError::OutcomeUnknown);
            }
        }
    }

    /// Answers now, or when the database has it. A rejection changed nothing: it never waits.
    fn write_applied(&mut self, ticket: Ticket, ack: Ack, write: CommittedWrite) {
        let waits = ack == Ack::Projected
            && write.outcome.is_ok()
            && self.projection == ProjectionHealth::Healthy
            && write.id.index > self.projected;
        if waits {
            let deadline = self.now + self.settings.projected_wait_ticks;
            self.awaiting.push(ticket, write, deadline);
        } else {
            self.answer_write(ticket, write);
        }
    }

    fn answer_write(&mut self, ticket: Ticket, mut write: CommittedWrite) {
        write.projected = self.projected;
        self.answer(ticket, Answer::Committed(write));
    }

    /// Answers what the database has, what waited long enough, and everything while it is down: a
    /// committed write is never turned into an error by a database.
    pub(super) fn release_projected(&mut self) {
        let healthy = self.projection == ProjectionHealth::Healthy;
        let projected = if healthy {
            self.projected
        } else {
            LogIndex(u64::MAX)
        };
        while let Some((ticket, write)) = self.awaiting.pop(projected, self.now) {
            self.answer_write(ticket, write);
        }
    }

    pub(super) fn give_up_on_orphans(&mut self) {
        let leads_in = self.leads().then_some(self.role.term);
        let lost = self
            .waiters
            .give_up(self.now, self.settings.undecided_ticks, leads_in);
        for (waiting, decision) in lost {
            self.decided(waiting, decision);
        }
    }

    /// The process ends: everyone gets an answer.
    pub(super) fn answer_everyone(&mut self) {
        for (waiting, decision) in self.waiters.drain() {
            self.decided(waiting, decision);
        }
        while let Some((ticket, write)) = self.awaiting.pop(LogIndex(u64::MAX), self.now) {
            self.answer_write(ticket, write);
        }
        for ticket in self.upkeep.drain() {
            self.fail(ticket, RequestError::Stopping);
        }
        for ticket in self.reads.drain() {
            self.fail(ticket, RequestError::Stopping);
        }
        let (births, changes) = (self.bootstrap.drain(), self.changes.drain());
        for (ticket, error) in births.into_iter().chain(changes) {
            self.fail(ticket, error);
        }
        let pending: Vec<_> = self.held.drain(..).chain(self.arrived.drain(..)).collect();
        self.refuse_all(pending, &RequestError::Stopping);
    }

    pub(super) fn read_times(&self) -> ReadTimes {
        ReadTimes {
            now: self.now,
            confirm: self.settings.read_ticks,
            apply: self.settings.min_index_ticks,
        }
    }

    pub(super) fn read(&mut self, read: ReadRequest) {
        if self.reads.len() >= self.settings.waiters_max {
            return self.fail_read(read.ticket, RequestError::Overloaded);
        }
        self.reads.arrive(read, self.read_times());
    }

    /// One confirmation for all linearizable reads of this turn.
    pub(super) fn start_reads(&mut self) {
        if let Some(seq) = self.reads.start_round(self.read_times()) {
            self.step(Input::ReadIndex { seq });
        }
    }

    pub(super) fn read_decided(&mut self, outcome: ReadOutcome) {
        if self.change_confirmed(&outcome) {
            return;
        }
        match outcome.result {
            Ok(index) => self.reads.confirmed(outcome.seq, index),
            Err(refusal) => {
                let error = self.refusal(refusal);
                for ticket in self.reads.refused(outcome.seq) {
                    self.fail_read(ticket, error.clone());
                }
            }
        }
    }

    /// A read, or a heartbeat that waits like one, cannot be confirmed.
    fn fail_read(&mut self, ticket: Ticket, error: RequestError) {
        let _ = self.sessions.take_doubted(ticket);
        self.fail(ticket, error);
    }

    pub(super) fn serve_reads(&mut self) {
        while let Some((index, ticket)) = self.reads.pop_ready(self.applied.index) {
            match self.sessions.take_doubted(ticket) {
                Some(beat) => self.confirmed_beat(&beat),
                None => self.answer(ticket, Answer::Read { index }),
            }
        }
    }

    pub(super) fn expire_reads(&mut self) {
        for (ticket, error) in self.reads.expire(self.now, self.applied.index) {
            self.fail_read(ticket, error);
        }
    }
}
