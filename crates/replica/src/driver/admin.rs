//! Administration: initialise, transfer of leadership, and the stop sequence.

use dmq_raft::{
    AdminOutcome, AdminRefusal, Configuration, EntryId, Input, IoSeq, MemberId, NodeId, Role, Term,
};

use super::bootstrap::{Past, Step};
use super::stop::{StopTimes, StopView};
use super::{Driver, StopPhase};
use crate::{
    Answer, DriverOutput, ExitReason, InitializeRequest, PinDigest, PinError, ProjectionHealth,
    RequestError, Ticket,
};

/// How often a stopping controller tries again to hand over, in ticks.
const HAND_OVER_RETRY_TICKS: u64 = 5;

impl Driver {
    pub(super) fn initialize(&mut self, ticket: Ticket, request: InitializeRequest) {
        let deadline = self.now + self.settings.pin_ticks;
        let past = self.past();
        let step = self.bootstrap.initialize(ticket, request, past, deadline);
        self.born(step);
    }

    pub(super) fn pin_request(&mut self, ticket: Ticket, digest: PinDigest) {
        let deadline = self.now + self.settings.pin_ticks;
        let past = self.past();
        let step = self.bootstrap.pin_request(ticket, digest, past, deadline);
        self.born(step);
    }

    pub(super) fn pin_stored(&mut self, digest: PinDigest, result: &Result<(), PinError>) {
        let steps = self.bootstrap.pin_stored(digest, result, self.now);
        self.born(steps);
    }

    pub(super) fn pin_reply(&mut self, from: MemberId, result: Result<(), PinError>) {
        let steps = self.bootstrap.pin_reply(from, result);
        self.born(steps);
    }

    pub(super) fn tick_bootstrap(&mut self) {
        let steps = self.bootstrap.tick(self.now);
        self.born(steps);
    }

    pub(super) fn bootstrap_persisted(&mut self, io: IoSeq) {
        let steps = self.bootstrap.persisted(io);
        self.born(steps);
    }

    fn past(&self) -> Past {
        let raft = self.raft.status();
        if raft.role != Role::Uninitialized {
            Past::Initialized
        } else if raft.term == Term(0) && raft.last == EntryId::ZERO {
            Past::Empty
        } else {
            Past::Touched
        }
    }

    /// Carries out the steps of a birth.
    fn born(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            match step {
                Step::Pin(digest) => self.out.push(DriverOutput::Pin(digest)),
                Step::Ask(to, digest) => self.out.push(DriverOutput::RequestPin { to, digest }),
                Step::Initialize(request) => self.make_first_entry(request),
                Step::Done(ticket) => self.answer(ticket, Answer::Initialized),
                Step::Pinned(ticket) => self.answer(ticket, Answer::Pinned),
                Step::Fail(ticket, error) => self.fail(ticket, error),
                Step::Campaign => self.step(Input::Campaign),
                Step::Fatal(reason) => self.exit(ExitReason::LogFailed(reason)),
            }
        }
    }

    fn make_first_entry(&mut self, request: InitializeRequest) {
        let configuration = Configuration::of_voters(request.voters);
        let failed = match self.step_admin(Input::Initialize(configuration)) {
            (Some(io), Some(AdminOutcome::Initialized)) => {
                self.bootstrap.writing(io);
                return;
            }
            (_, Some(AdminOutcome::Refused(refusal))) => refusal.to_string(),
            _ => "the core did not take the voter set".to_owned(),
        };
        let steps = self.bootstrap.fail(&RequestError::Conflict(failed));
        self.born(steps);
    }

    /// `POST /quorum/leader:transfer`. The term is compared here and nowhere before: whoever does not lead
    /// sends the caller on, and between a look at a published term and the transfer another election fits.
    pub(super) fn transfer(
        &mut self,
        ticket: Ticket,
        to: Option<NodeId>,
        expected_term: Option<Term>,
    ) {
        if !self.leads() {
            let error = self.not_controller();
            return self.fail(ticket, error);
        }
        let term = self.raft.status().term;
        if expected_term.is_some_and(|expected| expected != term) {
            return self.fail(ticket, RequestError::StaleTerm { actual: term });
        }
        let me = self.identity.member.node;
        if to == Some(me) {
            return self.answer(ticket, Answer::Transferred { to: me, term });
        }
        if let Some(error) = self.not_a_voter(to) {
            return self.fail(ticket, error);
        }
        self.start_transfer(to, Some(ticket));
    }

    /// Refuses a target that is no voter, naming the voters.
    fn not_a_voter(&self, to: Option<NodeId>) -> Option<RequestError> {
        let voters: Vec<NodeId> = self.configuration.1.voters.iter().map(|m| m.node).collect();
        let target = to.filter(|target| !voters.contains(target))?;
        let names: Vec<_> = voters.iter().map(NodeId::to_string).collect();
        let names = names.join(", ");
        Some(RequestError::Invalid(format!(
            "target is '{target}': must be one of the voters {names}"
        )))
    }

    /// Whether another voter could take over, now or soon. One that is on its way out is none.
    fn has_successor(&self) -> bool {
        let voters = &self.configuration.1.voters;
        let peers = self.raft.status().peers;
        peers
            .iter()
            .any(|peer| voters.contains(&peer.member) && !peer.stopping)
    }

    /// Starts a transfer for its caller, if it has one. A refusal concerns that caller alone: others may
    /// wait for a transfer that runs already.
    fn start_transfer(&mut self, to: Option<NodeId>, ticket: Option<Ticket>) {
        match self.step_admin(Input::Transfer { to }) {
            (_, Some(AdminOutcome::Refused(refusal))) => {
                let error = self.transfer_refusal(refusal);
                if let Some(ticket) = ticket {
                    self.fail(ticket, error);
                }
            }
            (_, outcome) => {
                self.transfers.extend(ticket);
                if let Some(outcome) = outcome {
                    self.admin_outcome(outcome);
                }
            }
        }
    }

    /// The image moves no more: this member can be no controller. It goes on voting and replicating.
    pub(super) fn resign(&mut self) {
        self.office.bar();
        self.step(Input::Stop);
        if self.leads() {
            self.start_transfer(None, None);
        }
    }

    /// What became of a transfer, at once or later.
    pub(super) fn admin_outcome(&mut self, outcome: AdminOutcome) {
        match outcome {
            // The outcome of an input answers that input's caller.
            AdminOutcome::Initialized
            | AdminOutcome::MembershipChanging { .. }
            | AdminOutcome::MembershipUnchanged { .. }
            | AdminOutcome::Refused(_) => {}
            AdminOutcome::TransferStarted(_) => self.office.hand_over(true),
            AdminOutcome::TransferDone => self.end_transfer(),
            AdminOutcome::TransferAborted => {
                self.office.hand_over(false);
                let error = self.transfer_aborted();
                self.fail_transfers(&error);
            }
        }
    }

    /// Why a transfer came to nothing. Nothing was done only if this node leads: a target that has stood for
    /// election may win it yet.
    fn transfer_aborted(&self) -> RequestError {
        let term = self.raft.status().term;
        if self.leads() {
            let text = format!("the target did not take over; this node leads in term {term}");
            return RequestError::Unavailable(text);
        }
        let text = format!(
            "the target did not take over in time, and this node does not lead any more; no controller of \
             term {term} is known yet"
        );
        RequestError::Undecided(text)
    }

    fn transfer_refusal(&self, refusal: AdminRefusal) -> RequestError {
        match refusal {
            AdminRefusal::NotLeader => self.not_controller(),
            AdminRefusal::AlreadyInitialized | AdminRefusal::NotVoter | AdminRefusal::Invalid => {
                RequestError::Invalid(refusal.to_string())
            }
            _ => RequestError::Conflict(refusal.to_string()),
        }
    }

    /// Another member leads: callers learn who as soon as it is known.
    fn end_transfer(&mut self) {
        self.office.hand_over(self.role.leader.is_none());
        if let Some(to) = self.leader_node().filter(|_| !self.leads()) {
            self.office.hand_over(false);
            let term = self.raft.status().term;
            for ticket in std::mem::take(&mut self.transfers) {
                self.answer(ticket, Answer::Transferred { to, term });
            }
        }
    }

    fn fail_transfers(&mut self, error: &RequestError) {
        for ticket in std::mem::take(&mut self.transfers) {
            self.fail(ticket, error.clone());
        }
    }

    /// SIGTERM.
    pub(super) fn begin_stop(&mut self) {
        let fresh = !self.stop.is_stopping();
        self.stop = self.stop.begin(self.now, self.leads(), self.stop_times());
        if fresh {
            self.step(Input::Stop);
            if self.leads() {
                self.start_transfer(None, None);
            }
        }
    }

    /// While a controller that stops or resigned still leads, it tries again.
    pub(super) fn retry_hand_over(&mut self) {
        let due = self.now.is_multiple_of(HAND_OVER_RETRY_TICKS);
        let waiting = matches!(self.stop, StopPhase::HandOver { .. }) || self.office.is_barred();
        if waiting && due && self.leads() && !self.office.is_handing_over() {
            self.start_transfer(None, None);
        }
    }

    fn stop_times(&self) -> StopTimes {
        StopTimes {
            hold: self.settings.hold_ticks,
            linger: self.settings.linger_ticks,
            flush: self.settings.flush_ticks,
        }
    }

    /// Moves the stop sequence on as far as the present state allows.
    pub(super) fn advance_stop(&mut self) {
        if !self.leads() && self.role.leader.is_some() {
            self.end_transfer();
        }
        if !self.stop.is_stopping() {
            return;
        }
        let waiting = self.waiting();
        let view = StopView {
            now: self.now,
            leads: self.leads(),
            has_successor: self.has_successor(),
            busy: waiting > 0 || !self.drained,
            flushed: self.projection != ProjectionHealth::Healthy
                || self.projected >= self.applied.index,
        };
        loop {
            let next = self.stop.next(view, self.stop_times());
            if next == self.stop {
                break;
            }
            self.stop = next;
        }
        match (self.stop, self.doom.as_ref()) {
            (StopPhase::Linger { .. } | StopPhase::Flush { .. } | StopPhase::Done, Some(doom)) => {
                let reason = doom.reason.clone();
                self.exit(ExitReason::Corrupt(reason));
            }
            (StopPhase::Done, None) => self.exit(ExitReason::Stopped),
            _ => {}
        }
    }

    pub(super) fn exit(&mut self, reason: ExitReason) {
        self.answer_everyone();
        self.fail_transfers(&RequestError::Stopping);
        self.out.push(DriverOutput::Exit(reason));
        self.exited = true;
    }
}
