//! Changes of the membership (DESIGN 6.5): a majority confirms the controller, the core appends the new
//! configuration, and the caller is answered when the final one is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_raft::{
    AdminOutcome, AdminRefusal, EntryId, Input, LogIndex, MembershipChange, ReadOutcome, Status,
    Term,
};

use super::Driver;
use crate::{Answer, RequestError, Ticket};

/// Changes that somebody waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Before the log: by the number of the read that confirms the controller.
    confirming: BTreeMap<u64, Wish>,
    /// Confirmed in this turn.
    confirmed: Vec<Wish>,
    /// In the log.
    appended: Vec<Appended>,
}

/// A change that is not in the log.
#[derive(Clone, Debug)]
struct Wish {
    ticket: Ticket,
    change: MembershipChange,
    expected: LogIndex,
    /// When its caller is told that nobody confirmed, in ticks.
    until: u64,
}

/// A change whose first configuration is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Appended {
    ticket: Ticket,
    entry: EntryId,
    /// Its first configuration was seen committed: it cannot come to nothing any more.
    certain: bool,
    /// When its caller is told that the outcome is not known, in ticks.
    until: u64,
}

/// What the log says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not decided.
    Open,
    /// The first configuration is committed, the final one is not.
    Certain,
    /// The final configuration is committed.
    Done,
    /// Another leader's entry has its place, or forbids it: it did not happen and never will.
    Replaced,
}

impl Changes {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.confirming.len() + self.confirmed.len() + self.appended.len()
    }

    /// Leadership was lost: what is in the log is decided by others, and not for ever waited for.
    pub(super) fn orphan(&mut self, until: u64) {
        for appended in &mut self.appended {
            appended.until = appended.until.min(until);
        }
    }

    /// The controller was confirmed, or not. `None`: the read is another's.
    fn confirmed(&mut self, outcome: &ReadOutcome) -> Option<Ticket> {
        let wish = self.confirming.remove(&outcome.seq)?;
        let ticket = wish.ticket;
        if outcome.result.is_ok() {
            self.confirmed.push(wish);
        }
        Some(ticket)
    }

    /// Changes that nobody waits for any longer.
    fn expire(&mut self, now: u64) -> Vec<(Ticket, RequestError)> {
        let unconfirmed = self.confirming.extract_if(.., |_, wish| wish.until <= now);
        let mut over: Vec<_> = unconfirmed
            .map(|(_, wish)| (wish.ticket, RequestError::NoQuorum))
            .collect();
        let late = self
            .appended
            .extract_if(.., |appended| appended.until <= now);
        over.extend(late.map(|appended| (appended.ticket, undecided(appended.certain))));
        over
    }

    /// The process ends. Returns who waits, and what they learn.
    pub(super) fn drain(&mut self) -> Vec<(Ticket, RequestError)> {
        let confirming = std::mem::take(&mut self.confirming).into_values();
        let wishes = confirming.chain(self.confirmed.drain(..));
        let mut waiting: Vec<_> = wishes
            .map(|wish| (wish.ticket, RequestError::Stopping))
            .collect();
        let appended = self.appended.drain(..);
        waiting.extend(appended.map(|appended| (appended.ticket, undecided(appended.certain))));
        waiting
    }
}

/// What the log of this member says of a change. A committed entry of a later term before the place of its entry
/// forbids it, too: terms in a log never fall.
fn fate(appended: &Appended, status: &Status, term_at: impl Fn(LogIndex) -> Option<Term>) -> Fate {
    let (entry, commit) = (appended.entry, status.commit);
    if appended.certain {
        let simple = !status.committed_configuration.is_joint();
        let done = simple && status.committed_configuration_index >= entry.index;
        return if done { Fate::Done } else { Fate::Certain };
    }
    if commit < entry.index {
        let overtaken = term_at(commit).is_some_and(|term| term > entry.term);
        return if overtaken {
            Fate::Replaced
        } else {
            Fate::Open
        };
    }
    match term_at(entry.index) {
        Some(term) if term == entry.term => Fate::Certain,
        Some(_) => Fate::Replaced,
        // A snapshot covers its place: nobody can tell.
        None => Fate::Open,
    }
}

fn undecided(certain: bool) -> RequestError {
    let text = if certain {
        "the change is committed and both voter sets decide; it is not known yet when the new one stands alone"
    } else {
        "the change of members was not committed in time"
    };
    RequestError::Undecided(text.to_owned())
}

impl Driver {
    /// `PUT /quorum/voters`, `POST` and `DELETE /quorum/observers`: judged once a majority has confirmed that this
    /// member leads, since a controller that was replaced unnoticed knows neither members nor changes.
    pub(super) fn change_membership(
        &mut self,
        ticket: Ticket,
        change: MembershipChange,
        expected: LogIndex,
    ) {
        if let Some(error) = self.takes_nothing() {
            return self.fail(ticket, error);
        }
        let seq = self.reads.number();
        let until = self.now + self.settings.read_ticks;
        let wish = Wish {
            ticket,
            change,
            expected,
            until,
        };
        self.changes.confirming.insert(seq, wish);
        self.step(Input::ReadIndex { seq });
    }

    /// A read was decided. Returns whether it was that of a change.
    pub(super) fn change_confirmed(&mut self, outcome: &ReadOutcome) -> bool {
        let Some(ticket) = self.changes.confirmed(outcome) else {
            return false;
        };
        if let Err(refusal) = outcome.result {
            let error = self.refusal(refusal);
            self.fail(ticket, error);
        }
        true
    }

    /// Puts the changes to the core that were confirmed in this turn.
    pub(super) fn start_changes(&mut self) {
        for wish in std::mem::take(&mut self.changes.confirmed) {
            let (ticket, expected) = (wish.ticket, wish.expected);
            let change = wish.change;
            match self.step_admin(Input::ChangeMembership { change, expected }) {
                (_, Some(AdminOutcome::MembershipChanging { index })) => {
                    self.changes.appended.push(Appended {
                        ticket,
                        entry: EntryId::new(self.raft.term(), index),
                        certain: false,
                        until: self.now + self.settings.membership_ticks,
                    });
                }
                (_, Some(AdminOutcome::MembershipUnchanged { .. })) => {
                    self.answer_change(ticket, &self.raft.status());
                }
                (_, Some(AdminOutcome::Refused(refusal))) => {
                    let error = self.change_refusal(refusal);
                    self.fail(ticket, error);
                }
                _ => self.fail(ticket, self.not_controller()),
            }
        }
    }

    fn answer_change(&mut self, ticket: Ticket, status: &Status) {
        let answer = Answer::MembershipChanged {
            index: status.committed_configuration_index,
            configuration: Arc::new(status.committed_configuration.clone()),
        };
        self.answer(ticket, answer);
    }

    fn change_refusal(&self, refusal: AdminRefusal) -> RequestError {
        match refusal {
            AdminRefusal::NotLeader => self.not_controller(),
            AdminRefusal::Busy => RequestError::Transferring,
            AdminRefusal::NotReady => RequestError::Unavailable(refusal.to_string()),
            AdminRefusal::ChangeInProgress => RequestError::MembershipChanging {
                index: self.configuration.0,
                target: Arc::new(self.configuration.1.final_one()),
            },
            AdminRefusal::StaleExpectation { actual } => RequestError::StaleMembership { actual },
            AdminRefusal::NotCaughtUp { member, behind } => {
                RequestError::NotCaughtUp(if behind == u64::MAX {
                    format!("{member} is no observer that answers: only such can become a voter")
                } else {
                    format!(
                        "{member} lacks {behind} entries: only an observer that is caught up can become a voter"
                    )
                })
            }
            AdminRefusal::NotLearner => {
                RequestError::UnknownMember("no observer runs on this node".to_owned())
            }
            AdminRefusal::AlreadyMember => RequestError::Conflict(refusal.to_string()),
            AdminRefusal::AlreadyInitialized
            | AdminRefusal::NotVoter
            | AdminRefusal::NoTarget
            | AdminRefusal::Invalid => RequestError::Invalid(refusal.to_string()),
        }
    }

    /// Answers every change that the log has decided, also when another member leads by now.
    pub(super) fn finish_changes(&mut self) {
        if self.changes.appended.is_empty() {
            return;
        }
        let status = self.raft.status();
        for mut appended in std::mem::take(&mut self.changes.appended) {
            let raft = &self.raft;
            let look = |appended: &Appended| fate(appended, &status, |index| raft.term_at(index));
            appended.certain |= look(&appended) == Fate::Certain;
            match look(&appended) {
                Fate::Done => self.answer_change(appended.ticket, &status),
                Fate::Replaced => self.fail(appended.ticket, RequestError::LeaderChanged),
                Fate::Open | Fate::Certain => self.changes.appended.push(appended),
            }
        }
    }

    pub(super) fn expire_changes(&mut self) {
        for (ticket, error) in self.changes.expire(self.now) {
            self.fail(ticket, error);
        }
    }
}
