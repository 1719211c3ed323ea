//! Changes of the membership by joint consensus (dissertation 4.3): any voter set to any other.
//!
//! ```text
//!   simple, committed ── ChangeMembership ──> joint: both sets decide, from the append on
//!   joint, committed  ── by itself, also under a new leader ──> simple: the new set decides
//!   simple, committed, leader not in it ──> the leader hands over and steps back
//! ```
//!
//! Learners come and go by one simple configuration each, since they are not counted.

use crate::election::Standing;
use crate::leadership::Leadership;
use crate::mutant;
use crate::progress::{Progress, ProgressState};
use crate::{
    AdminOutcome, AdminRefusal, Configuration, Effects, EntryKind, LogIndex, MemberId,
    MembershipChange, MessageBody, NodeId, Raft,
};

impl Raft {
    /// Begins a change, if it may begin now (DESIGN 6.5). Leadership was confirmed by the caller.
    pub(crate) fn change_membership(
        &mut self,
        change: &MembershipChange,
        expected: LogIndex,
        fx: &mut Effects,
    ) {
        let decided = self.judge_change(change, expected);
        fx.admin = Some(match decided {
            Err(refusal) => AdminOutcome::Refused(refusal),
            Ok(None) => {
                let index = self.configurations.active().0;
                AdminOutcome::MembershipUnchanged { index }
            }
            Ok(Some(next)) => {
                let index = self.append_configuration(next, fx);
                AdminOutcome::MembershipChanging { index }
            }
        });
    }

    /// The configuration to append, `None` if the wish is fulfilled, or why nothing can be done. The order
    /// of the checks is part of the contract.
    fn judge_change(
        &self,
        change: &MembershipChange,
        expected: LogIndex,
    ) -> Result<Option<Configuration>, AdminRefusal> {
        let Standing::Leader(lead) = &self.standing else {
            return Err(AdminRefusal::NotLeader);
        };
        if self.transfer.is_some() {
            return Err(AdminRefusal::Busy);
        }
        // Before that, an unfinished change of an earlier term may be in other logs than this one: two
        // majorities that do not meet (Ongaro's bug of single-server changes).
        let ready = self.log.term_at(self.commit) == Some(self.hard.term);
        if !ready && !mutant::is("change-before-own-term") {
            return Err(AdminRefusal::NotReady);
        }
        let (index, active) = self.configurations.active();
        let in_progress = active.is_joint() || *index > self.commit;
        if in_progress && !mutant::is("second-change-at-once") {
            return Err(AdminRefusal::ChangeInProgress);
        }
        let next = wish(active, change)?;
        if next == *active {
            return Ok(None);
        }
        if *index != expected && !mutant::is("expectation-ignored") {
            return Err(AdminRefusal::StaleExpectation { actual: *index });
        }
        next.validate().map_err(|_| AdminRefusal::Invalid)?;
        for voter in next.voters.difference(&active.voters) {
            let behind = self.behind(lead, voter);
            let lags = behind > self.config.caught_up_entries_max;
            if lags && !mutant::is("lagging-learner-promoted") {
                let member = *voter;
                return Err(AdminRefusal::NotCaughtUp { member, behind });
            }
        }
        Ok(Some(next))
    }

    /// How many committed entries a learner lacks; the maximum if that is not known at the moment, or if it
    /// is no learner: a member votes only once it could take over.
    fn behind(&self, lead: &Leadership, member: &MemberId) -> u64 {
        let learner = self.configurations.active().1.is_learner(member);
        let answers = lead.heard_within(member, self.config.election_ticks);
        match lead.peers.get(member) {
            Some(progress) if learner && answers => progress.behind(self.commit),
            _ => u64::MAX,
        }
    }

    /// Whether a learner could be made a voter now.
    pub(crate) fn is_caught_up(&self, lead: &Leadership, member: &MemberId) -> bool {
        self.behind(lead, member) <= self.config.caught_up_entries_max
    }

    fn append_configuration(&mut self, next: Configuration, fx: &mut Effects) -> LogIndex {
        let index = self.append_own(EntryKind::Configuration, vec![next.encode()], fx);
        self.configurations.append(index, next);
        fx.configuration = Some(self.configurations.active().clone());
        self.follow_members();
        self.replicate_to_all(fx);
        index
    }

    /// Peers come with the configuration in force. Those that leave are still sent the entry that says so, and that
    /// it is committed, without being counted, lest they go on campaigning.
    fn follow_members(&mut self) {
        let (me, next) = (self.config.id, self.log.last().index);
        let configuration = &self.configurations.active().1;
        let Standing::Leader(lead) = &mut self.standing else {
            return;
        };
        for member in configuration.members().filter(|member| **member != me) {
            let progress = lead.peers.entry(*member);
            progress.or_insert_with(|| Progress::new(next)).stays();
        }
        lead.peers.retain(|member, progress| {
            if !configuration.is_member(member) {
                progress.leaving.get_or_insert(next);
            }
            progress.leaving.is_none() || progress.state == ProgressState::Replicate
        });
    }

    /// Forgets peers that know that they left, or do not answer.
    pub(crate) fn dismiss_peers(&mut self) {
        let patience = self.config.check_quorum_ticks;
        if let Standing::Leader(lead) = &mut self.standing {
            lead.peers.retain(|_, progress| {
                let silent = progress.silent_ticks > patience;
                progress.leaving.is_none() || !(progress.knows_that_it_left() || silent)
            });
        }
    }

    /// What a leader does by itself once a configuration is committed, whoever began the change.
    pub(crate) fn settle_membership(&mut self, fx: &mut Effects) {
        let (index, active) = self.configurations.active();
        let leads = matches!(self.standing, Standing::Leader(_));
        if !leads || *index > self.commit {
            return;
        }
        if active.is_joint() && !mutant::is("joint-not-left") {
            // One's own term's entry must be committed; a joint configuration of an earlier term is
            // committed through it, but one that a snapshot brought was committed before.
            if self.log.term_at(self.commit) == Some(self.hard.term) {
                let last = active.final_one();
                self.append_configuration(last, fx);
            }
        } else if !active.voters.contains(&self.config.id) && !mutant::is("removed-leader-goes-on")
        {
            self.leave_office(fx);
        }
    }

    /// This leader is no voter any more: the best one takes over at once, instead of after a time-out.
    fn leave_office(&mut self, fx: &mut Effects) {
        if let Ok(successor) = self.choose_target(None) {
            self.send(successor, MessageBody::TimeoutNow, None, fx);
        }
        self.step_back(fx);
    }
}

/// The configuration that a change asks for; the present one if there is nothing to do.
fn wish(active: &Configuration, change: &MembershipChange) -> Result<Configuration, AdminRefusal> {
    match change {
        MembershipChange::Voters(voters) if *voters == active.voters => Ok(active.clone()),
        MembershipChange::Voters(voters) => Ok(active.joint_with(voters.clone())),
        MembershipChange::AddLearner(learner) => with_learner(active, learner),
        MembershipChange::RemoveLearner(node) => without_learner(active, *node),
    }
}

/// A learner of the same node under an older directory gives way: its disk is gone.
fn with_learner(active: &Configuration, learner: &MemberId) -> Result<Configuration, AdminRefusal> {
    if active.is_voter(learner) {
        return Err(AdminRefusal::AlreadyMember);
    }
    let mut next = active.clone();
    next.learners.retain(|other| other.node != learner.node);
    next.learners.insert(*learner);
    Ok(next)
}

fn without_learner(active: &Configuration, node: NodeId) -> Result<Configuration, AdminRefusal> {
    let mut next = active.clone();
    next.learners.retain(|learner| learner.node != node);
    if next.learners == active.learners {
        return Err(AdminRefusal::NotLearner);
    }
    Ok(next)
}
