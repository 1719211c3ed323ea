//! The administrator who adds, promotes, replaces and removes members: one step at a time towards what is wished,
//! sometimes by an expectation that is out of date.

use std::collections::BTreeSet;

use dmq_raft::{Configuration, LogIndex, MemberId, MembershipChange};
use dmq_replica::{Answer, DriverInput, RequestError, Ticket};

use super::faults::Done;
use super::history::Violation;
use super::params::MS;
use super::rng::Rng;
use super::world::{Event, World};

/// What the administrator wants, and waits for.
#[derive(Debug)]
pub(super) struct Steward {
    /// The nodes that are to vote.
    goal: BTreeSet<usize>,
    wish: Option<Wish>,
}

/// What was asked for.
#[derive(Debug)]
struct Wish {
    ticket: Ticket,
    /// Where.
    node: usize,
    change: MembershipChange,
    /// The expectation was known to be out of date.
    stale: bool,
    /// Index of the last configuration in any log at that time.
    newest: LogIndex,
    /// Whether the node that leads is not among the new voters.
    without_controller: bool,
}

impl Steward {
    /// An administrator who is content with the first so many nodes.
    pub(super) fn new(voters: usize) -> Self {
        Self {
            goal: (0..voters).collect(),
            wish: None,
        }
    }

    /// Whether this is the answer to what was asked for.
    pub(super) fn waits_for(&self, ticket: Ticket) -> bool {
        self.wish.as_ref().is_some_and(|wish| wish.ticket == ticket)
    }

    /// The process that was asked is gone.
    pub(super) fn connection_breaks(&mut self, node: usize) {
        self.wish.take_if(|wish| wish.node == node);
    }

    /// The voters that were asked for and may come into force yet.
    pub(super) fn wished_voters(&self) -> Option<Configuration> {
        match &self.wish.as_ref()?.change {
            MembershipChange::Voters(voters) => Some(Configuration::of_voters(voters.clone())),
            _ => None,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "all faults have one shape")]
impl World {
    /// The administrator wants other voters from now on: any number of them, most often an odd one.
    pub(super) fn wish_members(&mut self, rng: &mut Rng) -> Done {
        let mut whole: Vec<_> = (0..self.nodes.len())
            .filter(|node| !self.nodes[*node].damaged)
            .collect();
        let size = rng.index(whole.len()) + 1;
        let size = if rng.chance(800) {
            (size - 1) | 1
        } else {
            size
        };
        let mut goal = BTreeSet::new();
        while goal.len() < size.min(self.nodes.len()) && !whole.is_empty() {
            goal.insert(whole.swap_remove(rng.index(whole.len())));
        }
        self.steward.goal.clone_from(&goal);
        Some(format!("nodes {goal:?} are to be the voters"))
    }

    /// The administrator takes the next step.
    pub(super) fn steward(&mut self) {
        let delay = self.rng.between(30 * MS, 300 * MS);
        self.after(delay, Event::Steward);
        if !self.chaos || self.steward.wish.is_some() {
            return;
        }
        let Some((index, committed)) = self.membership() else {
            return;
        };
        if let (Some(node), Some(change)) = (self.controller(), self.next_change(&committed)) {
            self.ask_for(node, change, index);
        }
    }

    fn ask_for(&mut self, node: usize, change: MembershipChange, index: LogIndex) {
        let ticket = self.ticket();
        let stale = self.rng.chance(80);
        let expected = if stale { index.previous() } else { index };
        let newest = self.configurations.last_key_value();
        let leader = self.nodes[node].member();
        let without_controller =
            matches!(&change, MembershipChange::Voters(voters) if !voters.contains(&leader));
        self.steward.wish = Some(Wish {
            ticket,
            node,
            change: change.clone(),
            stale,
            newest: newest.map_or(index, |((index, _), _)| *index),
            without_controller,
        });
        self.tell(node, || format!("is asked for {change:?} at {expected}"));
        let life = self.nodes[node].life;
        let input = DriverInput::ChangeMembership {
            ticket,
            change,
            expected,
        };
        self.queue_driver(node, life, input);
    }

    /// One step from these members to the wished ones: new members first learn, then the voters change, then those
    /// go who are left over.
    fn next_change(&self, committed: &Configuration) -> Option<MembershipChange> {
        if committed.is_joint() {
            return None;
        }
        let goal = &self.steward.goal;
        let wanted: BTreeSet<_> = goal.iter().map(|node| self.nodes[*node].member()).collect();
        let is_new = |member: &&MemberId| !committed.is_member(member);
        let whole = |member: &MemberId| self.is_whole(*member);
        let left_over = |member: &&MemberId| !wanted.contains(member);
        if let Some(stray) = committed.learners.iter().find(left_over) {
            return Some(MembershipChange::RemoveLearner(stray.node));
        }
        if let Some(new) = wanted.iter().find(is_new) {
            return whole(new).then_some(MembershipChange::AddLearner(*new));
        }
        let survives = Configuration::of_voters(wanted.clone()).has_quorum(whole);
        (wanted != committed.voters && survives).then_some(MembershipChange::Voters(wanted))
    }

    /// An answer to the administrator.
    ///
    /// # Errors
    /// The change that was made is another one, or should have been refused.
    pub(super) fn members_answered(&mut self, answer: &Answer) -> Result<(), Violation> {
        let Some(wish) = self.steward.wish.take() else {
            return Ok(());
        };
        match answer {
            Answer::MembershipChanged {
                index,
                configuration,
            } => {
                if wish.stale && *index > wish.newest {
                    return Err(format!("a stale expectation was met: {wish:?}, {answer:?}"));
                }
                if !is_done(&wish.change, configuration) {
                    return Err(format!("{wish:?} is answered by {configuration:?}"));
                }
                self.count_change(&wish);
                Ok(())
            }
            Answer::Failed(RequestError::Invalid(text)) => {
                Err(format!("{wish:?} is called invalid: {text}"))
            }
            Answer::Failed(RequestError::StaleMembership { .. }) => {
                self.faults.stale_refused += 1;
                Ok(())
            }
            Answer::Failed(_) => Ok(()),
            other => Err(format!("{wish:?} is answered by {other:?}")),
        }
    }

    fn count_change(&mut self, wish: &Wish) {
        let count = match wish.change {
            MembershipChange::AddLearner(_) => &mut self.faults.observers_added,
            MembershipChange::RemoveLearner(_) => &mut self.faults.observers_removed,
            MembershipChange::Voters(_) if wish.without_controller => {
                &mut self.faults.controllers_removed
            }
            MembershipChange::Voters(_) => &mut self.faults.voters_changed,
        };
        *count += 1;
    }
}

/// Whether these members are what was asked for.
fn is_done(change: &MembershipChange, now: &Configuration) -> bool {
    match change {
        MembershipChange::Voters(voters) => now.voters == *voters && !now.is_joint(),
        MembershipChange::AddLearner(member) => now.is_member(member),
        MembershipChange::RemoveLearner(node) => {
            now.learners.iter().all(|member| member.node != *node)
        }
    }
}
