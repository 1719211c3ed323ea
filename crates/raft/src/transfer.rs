//! Leadership transfer (dissertation 3.10): no proposals meanwhile, the target is brought up to date,
//! then told to campaign at once.

use crate::election::Standing;
use crate::mutant;
use crate::{AdminOutcome, AdminRefusal, Effects, MemberId, MessageBody, NodeId, Raft, Term};

/// A transfer, from its start until somebody leads a later term or the time is up.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Transfer {
    pub(crate) target: MemberId,
    /// The term of the leader that began it.
    term: Term,
    elapsed_ticks: u32,
}

impl Raft {
    pub(crate) fn start_transfer(&mut self, to: Option<NodeId>, fx: &mut Effects) {
        match self.choose_target(to) {
            Err(refusal) => fx.admin = Some(AdminOutcome::Refused(refusal)),
            Ok(target) => {
                let term = self.hard.term;
                self.transfer = Some(Transfer {
                    target,
                    term,
                    elapsed_ticks: 0,
                });
                fx.admin = Some(AdminOutcome::TransferStarted(target.node));
                self.continue_transfer(fx);
            }
        }
    }

    /// The wished voter, or the one with the longest log; never one that is silent or about to stop.
    pub(crate) fn choose_target(&self, to: Option<NodeId>) -> Result<MemberId, AdminRefusal> {
        let Standing::Leader(lead) = &self.standing else {
            return Err(AdminRefusal::NotLeader);
        };
        if self.transfer.is_some() {
            return Err(AdminRefusal::Busy);
        }
        let fits = |member: &&MemberId| {
            **member != self.config.id
                && to.is_none_or(|node| node == member.node)
                && !self.stopping_peers.contains(*member)
                && lead.heard_within(member, self.config.election_ticks)
        };
        let voters = self.configurations.active().1.voters.iter().filter(fits);
        let best = voters.rev().max_by_key(|member| lead.matched(member));
        best.copied().ok_or(AdminRefusal::NoTarget)
    }

    /// Tells the target to campaign once it has the whole log.
    pub(crate) fn continue_transfer(&mut self, fx: &mut Effects) {
        if let (Standing::Leader(lead), Some(transfer)) = (&self.standing, self.transfer)
            && (lead.matched(&transfer.target) == self.log.last().index
                || mutant::is("transfer-to-lagging-voter"))
        {
            self.send(transfer.target, MessageBody::TimeoutNow, None, fx);
        }
    }

    /// The leader wishes this member to take over.
    pub(crate) fn on_timeout_now(&mut self, from: MemberId, fx: &mut Effects) {
        if self.leader == Some(from) && self.may_campaign() {
            self.campaign(true, fx);
        }
    }

    pub(crate) fn tick_transfer(&mut self, fx: &mut Effects) {
        if let Some(transfer) = &mut self.transfer {
            transfer.elapsed_ticks += 1;
            if transfer.elapsed_ticks >= self.config.transfer_ticks {
                self.end_transfer(AdminOutcome::TransferAborted, fx);
            }
        }
    }

    /// Called when the known leader changed.
    pub(crate) fn settle_transfer(&mut self, fx: &mut Effects) {
        let began_in = self.transfer.map(|transfer| transfer.term);
        if let (Some(leader), Some(term)) = (self.leader, began_in)
            && self.hard.term > term
        {
            let outcome = if leader == self.config.id {
                AdminOutcome::TransferAborted
            } else {
                AdminOutcome::TransferDone
            };
            self.end_transfer(outcome, fx);
        }
    }

    fn end_transfer(&mut self, outcome: AdminOutcome, fx: &mut Effects) {
        self.transfer = None;
        fx.admin = Some(outcome);
    }

    /// A peer said whether it is about to stop.
    pub(crate) fn note_stopping(&mut self, peer: MemberId, stopping: bool) {
        if stopping && self.configurations.active().1.is_voter(&peer) {
            self.stopping_peers.insert(peer);
        } else {
            self.stopping_peers.remove(&peer);
        }
    }

    /// This process is about to stop: say so to everybody, and never campaign again.
    pub(crate) fn stop(&mut self, fx: &mut Effects) {
        self.stopping = true;
        if !matches!(self.standing, Standing::Follower | Standing::Leader(_)) {
            self.step_back(fx);
        }
        let me = self.config.id;
        let members = self.configurations.active().1.members();
        let others: Vec<MemberId> = members.filter(|m| **m != me).copied().collect();
        for peer in others {
            self.send(peer, MessageBody::Stopping, None, fx);
        }
    }
}
