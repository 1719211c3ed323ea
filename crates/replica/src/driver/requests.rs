//! Proposals on their way into the log: admitted, held during a hand-over, or refused for reasons that do
//! not depend on the image (DESIGN 6.6).

use bytes::Bytes;
use dmq_metadata::{Command, Envelope};
use dmq_raft::{EntryId, NodeId, Proposed, Refusal, Role};

use super::Driver;
use super::office::cannot_apply;
use super::stop::StopPhase;
use super::waiters::Waiting;
use crate::{Ack, Proposal, RequestError, Ticket};

/// A command that is not in the log yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// Who waits; `None` for the controller's own commands.
    ticket: Option<Ticket>,
    envelope: Envelope,
    ack: Ack,
    /// When holding it ends, in ticks.
    hold_until: u64,
}

/// What happens to the proposals of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Leadership moves, or the quorum is being born: wait a moment rather than refuse.
    Hold(RequestError),
    Refuse(RequestError),
}

impl Driver {
    /// A client's proposal.
    pub(super) fn pending(&self, proposal: Proposal) -> Pending {
        let Proposal {
            ticket,
            envelope,
            ack,
        } = proposal;
        let hold_until = self.now + self.settings.hold_ticks;
        Pending {
            ticket: Some(ticket),
            envelope,
            ack,
            hold_until,
        }
    }

    /// Puts the proposals of this turn, the held ones before them, to the core as one batch.
    pub(super) fn propose(&mut self) {
        let mut batch = self.own_proposals();
        batch.append(&mut self.held);
        batch.append(&mut self.arrived);
        if batch.is_empty() {
            return;
        }
        match self.gate() {
            Gate::Open => self.append(batch),
            Gate::Hold(error) => self.hold(batch, &error),
            Gate::Refuse(error) => self.refuse_all(batch, &error),
        }
    }

    /// The controller's own commands: fencing, unfencing, the first feature level.
    fn own_proposals(&mut self) -> Vec<Pending> {
        let hold_until = self.now;
        let commands = self.own_commands();
        let pending = commands.into_iter().map(|command| Pending {
            ticket: None,
            envelope: self.own_envelope(command),
            ack: Ack::Applied,
            hold_until,
        });
        pending.collect()
    }

    fn gate(&self) -> Gate {
        if self.role.role == Role::Uninitialized {
            return Gate::Refuse(RequestError::Uninitialized);
        }
        if !self.leads() {
            let refusal = self.not_controller();
            let moving = self.role.leader.is_none() && self.office.is_handing_over();
            return if moving {
                Gate::Hold(refusal)
            } else {
                Gate::Refuse(refusal)
            };
        }
        if self.office.is_barred() {
            return Gate::Refuse(cannot_apply());
        }
        if self.no_space {
            return Gate::Refuse(RequestError::NoSpace);
        }
        if self.stop.holds(self.now) {
            return Gate::Hold(RequestError::Stopping);
        }
        if self.stop != StopPhase::Running {
            return Gate::Refuse(RequestError::Stopping);
        }
        if self.office.is_handing_over() {
            return Gate::Hold(RequestError::Transferring);
        }
        if self.waiters.len() + self.awaiting.len() >= self.settings.waiters_max {
            return Gate::Refuse(RequestError::Overloaded);
        }
        Gate::Open
    }

    /// Why a change of members is refused before anybody is asked, if it is.
    pub(super) fn takes_nothing(&self) -> Option<RequestError> {
        match self.gate() {
            Gate::Open => None,
            Gate::Hold(error) | Gate::Refuse(error) => Some(error),
        }
    }

    /// Before the first feature level is set, clients' commands would be rejected at apply, which is a
    /// definite answer to a passing state: they wait for it like for a hand-over, and may be sent again.
    /// Only an administrator who sets the level by hand need not wait for it.
    fn waits_for_level(&self, pending: &Pending) -> bool {
        let sets_level = matches!(pending.envelope.command, Command::SetFeatureLevel(_));
        self.feature_level.0 == 0 && pending.ticket.is_some() && !sets_level
    }

    fn no_level(&self) -> RequestError {
        let unknown = self.reports.unknown_voters(&self.configuration.1);
        let nodes: Vec<_> = unknown.iter().map(|voter| voter.node.to_string()).collect();
        let mut text = "the first feature level is not set yet".to_owned();
        if !nodes.is_empty() {
            text.push_str("; nothing was heard of the voters ");
            text.push_str(&nodes.join(", "));
        }
        RequestError::Unavailable(text)
    }

    fn append(&mut self, batch: Vec<Pending>) {
        let (held, batch): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|pending| self.waits_for_level(pending));
        if !held.is_empty() {
            self.hold(held, &self.no_level());
        }
        let batch = self.encode(batch);
        if batch.is_empty() {
            return;
        }
        let payloads = batch.iter().map(|(_, payload)| payload.clone()).collect();
        let batch: Vec<Pending> = batch.into_iter().map(|(pending, _)| pending).collect();
        match self.step_proposal(payloads) {
            Some(Proposed::Appended { term, indexes }) => {
                self.counters.proposed += batch.len() as u64;
                let indexes = (indexes.start().0..=indexes.end().0).map(dmq_raft::LogIndex);
                for (pending, index) in batch.into_iter().zip(indexes) {
                    let waiting = Waiting {
                        ticket: pending.ticket,
                        ack: pending.ack,
                    };
                    self.waiters.insert(EntryId::new(term, index), waiting);
                }
            }
            Some(Proposed::Refused(Refusal::Transferring)) => {
                self.hold(batch, &RequestError::Transferring);
            }
            Some(Proposed::Refused(refusal)) => {
                let error = self.refusal(refusal);
                self.refuse_all(batch, &error);
            }
            None => self.refuse_all(batch, &self.not_controller()),
        }
    }

    /// Stamps and encodes; commands that are too large are refused one by one.
    fn encode(&mut self, batch: Vec<Pending>) -> Vec<(Pending, Bytes)> {
        let log_time = self.office.log_time(self.now, self.settings.tick);
        let limit_bytes = self.settings.raft.entry_size_max;
        let mut encoded = Vec::with_capacity(batch.len());
        for mut pending in batch {
            pending.envelope.log_time = log_time;
            let payload = pending.envelope.encode();
            let size_bytes = payload.len();
            if size_bytes <= limit_bytes {
                encoded.push((pending, payload));
            } else {
                self.refuse(
                    &pending,
                    RequestError::TooLarge {
                        size_bytes,
                        limit_bytes,
                    },
                );
            }
        }
        encoded
    }

    fn hold(&mut self, batch: Vec<Pending>, error: &RequestError) {
        for pending in batch {
            if self.now < pending.hold_until {
                self.held.push(pending);
            } else {
                self.refuse(&pending, error.clone());
            }
        }
    }

    pub(super) fn refuse_all(&mut self, batch: Vec<Pending>, error: &RequestError) {
        for pending in batch {
            self.refuse(&pending, error.clone());
        }
    }

    fn refuse(&mut self, pending: &Pending, error: RequestError) {
        match pending.ticket {
            Some(ticket) => self.fail(ticket, error),
            None => self.retry_own_commands(),
        }
    }

    pub(super) fn not_controller(&self) -> RequestError {
        RequestError::NotController {
            leader: self.leader_node(),
        }
    }

    /// The known leader, unless it is this member on its way out.
    pub(super) fn leader_node(&self) -> Option<NodeId> {
        let own = self.identity.member;
        self.role
            .leader
            .filter(|leader| *leader != own || self.leads())
            .map(|leader| leader.node)
    }

    pub(super) fn refusal(&self, refusal: Refusal) -> RequestError {
        match refusal {
            Refusal::NotLeader { leader } => RequestError::NotController { leader },
            Refusal::Transferring => RequestError::Transferring,
            Refusal::Overloaded => RequestError::Overloaded,
            Refusal::TooLarge { size_bytes } => {
                let limit_bytes = self.settings.raft.entry_size_max;
                RequestError::TooLarge {
                    size_bytes,
                    limit_bytes,
                }
            }
            Refusal::LeaderChanged => RequestError::NoQuorum,
            Refusal::Uninitialized => RequestError::Uninitialized,
        }
    }
}
