//! Writes that wait for their outcome, keyed by (index, term), and answers that wait for the database.

use std::collections::{BTreeMap, VecDeque};

use dmq_raft::{EntryId, LogIndex, Term};

use crate::mutant;
use crate::{Ack, AppliedEntry, CommittedWrite, Ticket};

/// A write whose entry is in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Who waits; `None` for the controller's own commands.
    pub(super) ticket: Option<Ticket>,
    /// What the answer waits for.
    pub(super) ack: Ack,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Decision {
    /// Its entry was applied.
    Applied(CommittedWrite),
    /// Another term has its place: it did not happen and never will.
    Replaced,
    /// Nobody decided in time, or the decision is inside a snapshot.
    Unknown,
}

/// All waiting writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiters {
    by_entry: BTreeMap<(LogIndex, Term), Waiting>,
    /// Writes of terms in which this member no longer leads, if there are any.
    orphans: Option<Orphans>,
}

#[derive(Clone, Copy, Debug)]
struct Orphans {
    /// When leadership was first lost, in ticks.
    since: u64,
    /// The newest term that was lost.
    newest: Term,
}

impl Waiters {
    /// A write was appended at `id`.
    pub(super) fn insert(&mut self, id: EntryId, waiting: Waiting) {
        self.by_entry.insert((id.index, id.term), waiting);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.by_entry.len()
    }

    /// Leadership of `term` was lost: what waits now needs a later leader's commit to be decided.
    pub(super) fn orphan(&mut self, now: u64, term: Term) {
        if !self.by_entry.is_empty() {
            let since = self.orphans.map_or(now, |orphans| orphans.since);
            self.orphans = Some(Orphans {
                since,
                newest: term,
            });
        }
    }

    /// Decides everything that these applied entries decide.
    ///
    /// An entry of another term at a waiter's index is definite. So is an applied entry of a later term
    /// *below* the waiter's index: terms in a log never fall, so that no log that contains it can hold
    /// the waiter's entry behind it. Truncation alone decides nothing: another member may still have
    /// the entry and lead later (dissertation figure 3.7).
    pub(super) fn decide(&mut self, entries: Vec<AppliedEntry>) -> Vec<(Waiting, Decision)> {
        let mut decided = Vec::new();
        let mut last_term = Term(0);
        for entry in entries {
            last_term = entry.id.term;
            if self.by_entry.is_empty() {
                return decided;
            }
            self.decide_up_to(entry, &mut decided);
        }
        self.drop_older_than(last_term, &mut decided);
        decided
    }

    fn decide_up_to(&mut self, mut entry: AppliedEntry, decided: &mut Vec<(Waiting, Decision)>) {
        while let Some(first) = self.by_entry.first_entry() {
            let (index, term) = *first.key();
            if index > entry.id.index {
                return;
            }
            let waiting = first.remove();
            let own = EntryId::new(term, index) == entry.id
                || (mutant::is("waiter-by-index-alone") && index == entry.id.index);
            let decision = match entry.outcome.take() {
                Some(outcome) if own => Decision::Applied(CommittedWrite {
                    id: entry.id,
                    outcome,
                    projected: LogIndex(0),
                }),
                outcome => {
                    entry.outcome = outcome;
                    Decision::Replaced
                }
            };
            decided.push((waiting, decision));
        }
    }

    /// Decides the orphans once an entry of a term after all of theirs is applied.
    fn drop_older_than(&mut self, term: Term, decided: &mut Vec<(Waiting, Decision)>) {
        if self.orphans.is_none_or(|orphans| term <= orphans.newest) {
            return;
        }
        let old = self.by_entry.extract_if(.., |(_, of), _| *of < term);
        decided.extend(old.map(|(_, waiting)| (waiting, Decision::Replaced)));
        self.orphans = None;
    }

    /// A snapshot replaced the image: outcomes at or below it are lost. Returns who waited for them.
    pub(super) fn forget_up_to(&mut self, last: EntryId) -> Vec<(Waiting, Decision)> {
        let kept = self.by_entry.split_off(&(last.index.next(), Term(0)));
        let lost = std::mem::replace(&mut self.by_entry, kept);
        let mut decided: Vec<_> = lost
            .into_values()
            .map(|waiting| (waiting, Decision::Unknown))
            .collect();
        self.drop_older_than(last.term, &mut decided);
        decided
    }

    /// Gives up on orphans after `limit` ticks. Writes of a term in which this member leads stay.
    pub(super) fn give_up(
        &mut self,
        now: u64,
        limit: u64,
        leads_in: Option<Term>,
    ) -> Vec<(Waiting, Decision)> {
        if self
            .orphans
            .is_none_or(|orphans| now < orphans.since + limit)
        {
            return Vec::new();
        }
        self.orphans = None;
        let lost = self
            .by_entry
            .extract_if(.., |(_, term), _| Some(*term) != leads_in);
        lost.map(|(_, waiting)| (waiting, Decision::Unknown))
            .collect()
    }

    /// The process ends.
    pub(super) fn drain(&mut self) -> Vec<(Waiting, Decision)> {
        let all = std::mem::take(&mut self.by_entry);
        all.into_values()
            .map(|waiting| (waiting, Decision::Unknown))
            .collect()
    }
}

/// Applied writes whose answer waits for the database, in the order of their index.
#[derive(Clone, Debug, Default)]
pub(super) struct AwaitingProjection {
    queue: VecDeque<(Ticket, CommittedWrite, u64)>,
}

impl AwaitingProjection {
    /// Adds a write with the tick at which it is answered anyway.
    pub(super) fn push(&mut self, ticket: Ticket, write: CommittedWrite, deadline: u64) {
        self.queue.push_back((ticket, write, deadline));
    }

    /// The next write that is in the database, or whose time is over.
    pub(super) fn pop(
        &mut self,
        projected: LogIndex,
        now: u64,
    ) -> Option<(Ticket, CommittedWrite)> {
        let (_, write, deadline) = self.queue.front()?;
        let waits = write.id.index > projected && now < *deadline;
        if waits && !mutant::is("answer-before-projected") {
            return None;
        }
        self.queue
            .pop_front()
            .map(|(ticket, write, _)| (ticket, write))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use dmq_metadata::{FeatureLevel, Reply};

    use super::*;

    fn at(term: u64, index: u64) -> EntryId {
        EntryId::new(Term(term), LogIndex(index))
    }

    fn waiters(ids: &[(u64, u64)]) -> Waiters {
        let mut waiters = Waiters::default();
        for (term, index) in ids {
            let waiting = Waiting {
                ticket: Some(Ticket(*index)),
                ack: Ack::Applied,
            };
            waiters.insert(at(*term, *index), waiting);
        }
        waiters
    }

    fn applied(ids: &[(u64, u64)]) -> Vec<AppliedEntry> {
        ids.iter()
            .map(|(term, index)| AppliedEntry {
                id: at(*term, *index),
                outcome: Some(Ok(Reply::FeatureLevelSet(FeatureLevel(1)))),
            })
            .collect()
    }

    fn summary(decided: Vec<(Waiting, Decision)>) -> Vec<(u64, char)> {
        decided
            .into_iter()
            .map(|(waiting, decision)| {
                let letter = match decision {
                    Decision::Applied(_) => 'a',
                    Decision::Replaced => 'r',
                    Decision::Unknown => 'u',
                };
                (waiting.ticket.map_or(0, |ticket| ticket.0), letter)
            })
            .collect()
    }

    #[test]
    fn the_same_term_is_the_outcome_and_another_term_is_definite() {
        let mut waiters = waiters(&[(2, 5), (2, 6), (2, 9)]);
        waiters.orphan(0, Term(2));
        assert_eq!(summary(waiters.decide(applied(&[(2, 5)]))), vec![(5, 'a')]);
        let decided = summary(waiters.decide(applied(&[(3, 6)])));
        assert_eq!(
            decided,
            vec![(6, 'r'), (9, 'r')],
            "9 is behind a committed entry of term 3"
        );
        assert_eq!(waiters.len(), 0);
    }

    #[test]
    fn orphans_are_given_up_after_the_limit_but_writes_of_the_own_term_stay() {
        let mut waiters = waiters(&[(2, 5), (4, 6)]);
        waiters.orphan(10, Term(2));
        assert!(waiters.give_up(19, 10, Some(Term(4))).is_empty());
        assert_eq!(
            summary(waiters.give_up(20, 10, Some(Term(4)))),
            vec![(5, 'u')]
        );
        assert_eq!(waiters.len(), 1);
    }

    #[test]
    fn a_snapshot_over_a_waiter_leaves_its_outcome_unknown() {
        let mut waiters = waiters(&[(2, 5), (2, 8), (3, 9)]);
        waiters.orphan(0, Term(2));
        let decided = summary(waiters.forget_up_to(at(3, 6)));
        assert_eq!(decided, vec![(5, 'u'), (8, 'r')]);
        assert_eq!(waiters.len(), 1);
    }
}
