//! The rules of membership changes (dissertation 4.3, DESIGN 6.5), checked whenever a leader appends a
//! configuration, and told from the outside: the core's own bookkeeping is not asked.

use std::collections::BTreeSet;

use dmq_raft::{Configuration, EntryKind, LogIndex, MemberId, Persist, Raft, Role};

use super::coverage::Event;
use super::disk::Placed;
use super::world::World;

/// Whether the members for which `says` holds decide: a majority of each voter set. The core's own counting is
/// what is being tested, so it is not asked.
pub(crate) fn decides(configuration: &Configuration, says: impl Fn(&MemberId) -> bool) -> bool {
    let majority = |set: &BTreeSet<MemberId>| {
        set.is_empty() || 2 * set.iter().filter(|member| says(member)).count() > set.len()
    };
    let Configuration {
        voters, outgoing, ..
    } = configuration;
    !voters.is_empty() && majority(voters) && majority(outgoing)
}

impl World {
    /// Called after the write is in the log's view; `before` was in force until then.
    pub(crate) fn check_change(&mut self, at: usize, write: &Persist, before: Placed) {
        let member = &self.members[at];
        let Some(raft) = member
            .raft
            .as_ref()
            .filter(|raft| raft.role() == Role::Leader)
        else {
            return;
        };
        let is_configuration = |kind: EntryKind| kind == EntryKind::Configuration;
        let appended = write
            .entries
            .iter()
            .filter(|entry| is_configuration(entry.kind));
        let mut known = before;
        for entry in appended {
            let number = self.book.slot(entry).content;
            let (old, new) = (
                self.book.configuration(known.1),
                self.book.configuration(number),
            );
            check_step(raft, known.0, old, new);
            self.check_newcomers(raft, old, new);
            count(&mut self.coverage, raft, known.0, old, new);
            known = (entry.index, number);
        }
    }

    /// Who becomes a voter was a learner, and its disk holds almost all that is committed.
    fn check_newcomers(&self, raft: &Raft, old: &Configuration, new: &Configuration) {
        if old.is_empty() || old.is_joint() {
            return;
        }
        for voter in new.voters.difference(&old.voters) {
            let caught_up = self.find(*voter).is_none_or(|at| {
                let member = &self.members[at];
                let reach = member.disk.reach().0 + member.config.caught_up_entries_max;
                member.is_beyond(raft.term()) || reach >= raft.commit().0
            });
            assert!(
                old.is_learner(voter) && caught_up,
                "CaughtUp: {} makes {voter} a voter too early",
                raft.id()
            );
        }
    }

    /// A change is taken only from who knows the membership that it changes. Called before the step's write
    /// is in the log's view.
    pub(crate) fn check_expectation(&self, at: usize, expected: LogIndex) {
        let known = self.members[at].memory.active().0;
        assert!(
            expected == known,
            "Expectation: a change of {expected} was taken, in force was {known}"
        );
    }

    /// A leader that no longer votes has no business to lead, once that is committed.
    pub(crate) fn check_office(&self, at: usize) {
        let member = &self.members[at];
        if !member.leads() {
            return;
        }
        let (index, number) = member.memory.active();
        let configuration = self.book.configuration(number);
        let decided = index <= member.committed && !configuration.is_joint();
        assert!(
            !decided || configuration.is_voter(&member.id()),
            "RemovedLeads: {} leads although the committed configuration {index} is without it",
            member.id()
        );
    }

    /// The configuration of a snapshot is the committed one at its end.
    pub(crate) fn check_snapshot(
        &mut self,
        last: LogIndex,
        configuration: &(LogIndex, Configuration),
    ) {
        let number = self.book.note(&configuration.1);
        let expected = self.ghost.configuration_at(last);
        assert!(
            expected.is_none_or(|expected| expected == (configuration.0, number)),
            "SnapshotConfiguration: a snapshot of {last} names {}, committed was {expected:?}",
            configuration.0
        );
        self.note(configuration.1.is_joint(), Event::SnapshotOfJoint);
    }

    /// What an election says about the membership.
    pub(crate) fn note_election(&mut self, at: usize) {
        let member = &self.members[at];
        let configuration = self.book.configuration(member.memory.active().1);
        let (joint, votes) = (
            configuration.is_joint(),
            configuration.is_voter(&member.id()),
        );
        self.note(joint, Event::ElectedInJoint);
        self.note(!votes, Event::RemovedLeads);
    }
}

/// One change at a time, only after an entry of the own term is committed, and never two majorities that
/// do not meet: neighbours have a voter set in common.
fn check_step(raft: &Raft, index: LogIndex, old: &Configuration, new: &Configuration) {
    if old.is_empty() {
        return;
    }
    let (id, commit) = (raft.id(), raft.commit());
    assert!(
        index <= commit,
        "OneChange: {id} changes while {index} is not committed"
    );
    assert!(
        raft.term_at(commit) == Some(raft.term()),
        "OwnTermFirst: {id} changes before it committed anything in its term"
    );
    let met = if new.is_joint() {
        !old.is_joint() && new.outgoing == old.voters
    } else {
        new.voters == old.voters
    };
    assert!(
        met && new.validate().is_ok(),
        "MajoritiesMeet: {id} goes from {old:?} to {new:?}"
    );
}

fn count(
    to: &mut super::coverage::Coverage,
    raft: &Raft,
    index: LogIndex,
    old: &Configuration,
    new: &Configuration,
) {
    if old.is_joint() {
        let own = raft.term_at(index) == Some(raft.term());
        to.hit(if own {
            Event::JointLeft
        } else {
            Event::JointFinished
        });
    } else if new.is_joint() {
        let leaves = |member: &MemberId| !new.voters.contains(member);
        let returns = |member: &MemberId| new.voters.iter().any(|other| other.node == member.node);
        to.hit(Event::JointEntered);
        to.note(
            old.learners.iter().any(|learner| new.is_voter(learner)),
            Event::LearnerPromoted,
        );
        to.note(old.voters.iter().any(leaves), Event::VoterRemoved);
        let replaced = |member: &MemberId| leaves(member) && returns(member);
        to.note(old.voters.iter().any(replaced), Event::WipedReplaced);
        to.note(leaves(&raft.id()), Event::LeaderRemoved);
        to.note(
            old.voters.len() == 1 && new.voters.len() > 1,
            Event::GrewFromOne,
        );
    } else {
        let more = new.learners.difference(&old.learners).next().is_some();
        to.hit(if more {
            Event::LearnerAdded
        } else {
            Event::LearnerRemoved
        });
    }
}
