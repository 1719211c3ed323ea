//! Elections: timeouts, pre-vote (dissertation 9.6), votes, leader stickiness and check-quorum (6.2).

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::leadership::Leadership;
use crate::mutant;
use crate::{
    Effects, EntryId, EntryKind, HardState, IoSeq, MemberId, Message, MessageBody, Outgoing, Raft,
    Role, Term,
};

/// What the member is in its term, with what only that role knows.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Standing {
    /// Also learners and uninitialised members.
    Follower,
    PreCandidate(Poll),
    Candidate {
        poll: Poll,
        /// The write of the own vote: it counts once that is durable.
        own_vote: IoSeq,
    },
    Leader(Box<Leadership>),
}

/// Who answered what. A set each, so that a repeated answer counts once.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Poll {
    granted: BTreeSet<MemberId>,
    refused: BTreeSet<MemberId>,
}

impl Poll {
    fn record(&mut self, member: MemberId, granted: bool) {
        let set = if granted {
            &mut self.granted
        } else {
            &mut self.refused
        };
        set.insert(member);
    }

    fn has_granted(&self, member: &MemberId) -> bool {
        let of_the_node = || self.granted.iter().any(|other| other.node == member.node);
        self.granted.contains(member) || (mutant::is("vote-of-another-directory") && of_the_node())
    }
}

impl Raft {
    /// One tick of a member that does not lead.
    pub(crate) fn tick_election(&mut self, fx: &mut Effects) {
        self.elapsed_ticks += 1;
        if self.elapsed_ticks < self.timeout_ticks {
            return;
        }
        if self.may_campaign() {
            self.start_pre_vote(fx);
        } else {
            self.step_back(fx);
        }
    }

    /// An election on demand; ignored by who may not campaign or leads already.
    pub(crate) fn campaign_now(&mut self, fx: &mut Effects) {
        if self.may_campaign() && !matches!(self.standing, Standing::Leader(_)) {
            self.start_pre_vote(fx);
        }
    }

    /// Voters campaign unless they are about to stop; learners and uninitialised members never do. Who is no
    /// voter of the configuration in force still campaigns, though its own vote does not count, as long as
    /// one in which it votes may be the last that is committed: it may be the only one whose log is long
    /// enough (dissertation 4.2.2).
    pub(crate) fn may_campaign(&self) -> bool {
        if mutant::is("removed-voter-falls-silent") {
            return !self.stopping && self.configurations.active().1.is_voter(&self.config.id);
        }
        let mut perhaps = self.configurations.perhaps_committed(self.commit);
        let votes = perhaps.any(|configuration| configuration.is_voter(&self.config.id));
        !self.stopping && (votes || mutant::is("learner-campaigns"))
    }

    /// Gives up what the member was in this term, and waits for a leader.
    pub(crate) fn step_back(&mut self, fx: &mut Effects) {
        self.become_follower(self.hard.term, fx);
        self.reset_timeout();
    }

    fn start_pre_vote(&mut self, fx: &mut Effects) {
        self.become_follower(self.hard.term, fx);
        self.reset_timeout();
        let mut poll = Poll::default();
        poll.record(self.config.id, true);
        self.standing = Standing::PreCandidate(poll);
        let term = self.hard.term.next();
        let body = MessageBody::PreVote {
            last: self.log.last(),
        };
        self.ask_voters(term, &body, None, fx);
        self.tally(fx);
    }

    /// The real election. `transfer` tells the voters to ignore leader stickiness.
    pub(crate) fn campaign(&mut self, transfer: bool, fx: &mut Effects) {
        let term = self.hard.term.next();
        self.become_follower(term, fx);
        self.reset_timeout();
        self.set_hard_state(
            HardState {
                term,
                vote: Some(self.config.id),
            },
            fx,
        );
        let own_vote = self.durability.issued();
        self.standing = Standing::Candidate {
            poll: Poll::default(),
            own_vote,
        };
        let body = MessageBody::Vote {
            last: self.log.last(),
            transfer,
        };
        let after = (!mutant::is("vote-request-before-persist")).then_some(own_vote);
        self.ask_voters(term, &body, after, fx);
    }

    fn ask_voters(&self, term: Term, body: &MessageBody, after: Option<IoSeq>, fx: &mut Effects) {
        let me = self.config.id;
        let configuration = &self.configurations.active().1;
        for to in configuration.all_voters().filter(|voter| **voter != me) {
            let message = Message {
                from: me,
                to: *to,
                term,
                body: body.clone(),
            };
            fx.send.push(Outgoing {
                message,
                fill: None,
                after,
            });
        }
    }

    /// "Would you vote for me?" Granted by who has no leader and nothing newer in its log.
    pub(crate) fn on_pre_vote(&mut self, message: &Message, last: EntryId, fx: &mut Effects) {
        let asked = message.term;
        let granted =
            asked > self.hard.term && last >= self.log.last() && !self.hears_from_leader();
        self.send(
            message.from,
            MessageBody::PreVoteReply { asked, granted },
            None,
            fx,
        );
    }

    pub(crate) fn on_pre_vote_reply(
        &mut self,
        message: &Message,
        asked: Term,
        granted: bool,
        fx: &mut Effects,
    ) {
        if message.term > self.hard.term && !mutant::is("pre-vote-term-not-adopted") {
            // Without this a group whose longest log has the lower term never elects anybody.
            self.become_follower(message.term, fx);
        } else if asked == self.hard.term.next()
            && let Standing::PreCandidate(poll) = &mut self.standing
        {
            poll.record(message.from, granted);
            self.tally(fx);
        }
    }

    /// Whether a vote request of a later term is to be left unanswered: the leader is alive, and the
    /// candidate would only disturb (dissertation 4.2.3).
    pub(crate) fn sticks_to_leader(&self, body: &MessageBody) -> bool {
        matches!(
            body,
            MessageBody::Vote {
                transfer: false,
                ..
            }
        ) && self.hears_from_leader()
            && !mutant::is("stickiness-off")
    }

    fn hears_from_leader(&self) -> bool {
        let leads = matches!(self.standing, Standing::Leader(_));
        leads || (self.leader.is_some() && self.elapsed_ticks < self.config.election_ticks)
    }

    /// A vote request of the current term.
    pub(crate) fn on_vote(&mut self, candidate: MemberId, last: EntryId, fx: &mut Effects) {
        let free = match self.hard.vote {
            Some(voted) => voted == candidate,
            None => self.leader.is_none(),
        };
        let granted = free && (last >= self.log.last() || mutant::is("vote-for-older-log"));
        if granted {
            // A pre-vote of the own would only compete with the candidate.
            self.standing = Standing::Follower;
            self.reset_timeout();
            let vote = Some(candidate);
            self.set_hard_state(
                HardState {
                    term: self.hard.term,
                    vote,
                },
                fx,
            );
        }
        let after = if granted && !mutant::is("vote-before-persist") {
            self.durability.promise()
        } else {
            None
        };
        self.send(candidate, MessageBody::VoteReply { granted }, after, fx);
    }

    pub(crate) fn on_vote_reply(&mut self, from: MemberId, granted: bool, fx: &mut Effects) {
        if let Standing::Candidate { poll, .. } = &mut self.standing {
            poll.record(from, granted);
            self.tally(fx);
        }
    }

    /// Counts the poll that runs, if any; called when a vote arrives or the own one is durable.
    pub(crate) fn tally(&mut self, fx: &mut Effects) {
        let (poll, own_vote) = match &self.standing {
            Standing::PreCandidate(poll) => (poll, None),
            Standing::Candidate { poll, own_vote } => (poll, Some(*own_vote)),
            Standing::Follower | Standing::Leader(_) => return,
        };
        let own_counts = own_vote.is_some_and(|io| self.durability.is_done(io));
        let me = self.config.id;
        let mut configuration = &self.configurations.active().1;
        if mutant::is("election-by-committed-configuration") {
            configuration = &self.configurations.at(self.commit).1;
        }
        let won = configuration.has_quorum(|m| poll.has_granted(m) || (*m == me && own_counts));
        let lost = !configuration.has_quorum(|m| !poll.refused.contains(m));
        match (won, own_vote) {
            (true, None) => self.campaign(false, fx),
            (true, Some(own_vote)) => self.lead(own_vote, fx),
            (false, _) if lost => self.become_follower(self.hard.term, fx),
            (false, _) => {}
        }
    }

    fn lead(&mut self, own_vote: IoSeq, fx: &mut Effects) {
        assert!(
            self.hard.vote == Some(self.config.id),
            "only the winner of a vote leads"
        );
        assert!(self.may_campaign(), "only a voter leads");
        if !self.durability.is_done(own_vote) {
            // A quorum of others suffices for the election, but the own vote must be durable before
            // any entry of the term; it is in an earlier write than the first of them.
            return;
        }
        let next = self.log.last().index.next();
        let lead = Leadership::new(self.config.id, &self.configurations.active().1, next);
        self.standing = Standing::Leader(Box::new(lead));
        self.set_leader(Some(self.config.id), fx);
        self.append_own(EntryKind::Noop, vec![Bytes::new()], fx);
        self.replicate_to_all(fx);
    }

    /// Enters `term`, or falls back within it; nobody leads as far as this member knows.
    pub(crate) fn become_follower(&mut self, term: Term, fx: &mut Effects) {
        assert!(
            term >= self.hard.term,
            "terms never fall: {term} after {}",
            self.hard.term
        );
        if term > self.hard.term {
            self.set_hard_state(HardState { term, vote: None }, fx);
        }
        let before = std::mem::replace(&mut self.standing, Standing::Follower);
        if let Standing::Leader(lead) = before {
            self.reset_timeout();
            self.refuse_reads_of(*lead, fx);
        }
        self.set_leader(None, fx);
    }

    /// Notes who leads the current term, and settles what depended on who led before.
    pub(crate) fn set_leader(&mut self, leader: Option<MemberId>, fx: &mut Effects) {
        if leader == self.leader {
            return;
        }
        self.leader = leader;
        self.redirect_reads(fx);
        self.settle_transfer(fx);
    }

    pub(crate) fn set_hard_state(&mut self, hard: HardState, fx: &mut Effects) {
        if hard == self.hard {
            return;
        }
        let revoked = hard.term == self.hard.term && self.hard.vote.is_some();
        assert!(
            hard.term >= self.hard.term && !revoked,
            "a vote is given once and for all"
        );
        self.hard = hard;
        let others = hard.vote.is_some() && hard.vote != Some(self.config.id);
        if mutant::is("vote-not-persisted") && others {
            return;
        }
        self.durability.write(fx).hard_state = Some(hard);
    }

    fn reset_timeout(&mut self) {
        self.elapsed_ticks = 0;
        let least = self.config.election_ticks;
        self.timeout_ticks = least + self.rng.below(least);
    }

    /// The role as others see it.
    pub fn role(&self) -> Role {
        match &self.standing {
            Standing::PreCandidate(_) => Role::PreCandidate,
            Standing::Candidate { .. } => Role::Candidate,
            Standing::Leader(_) => Role::Leader,
            Standing::Follower => {
                let configuration = &self.configurations.active().1;
                match (
                    configuration.is_empty(),
                    configuration.is_voter(&self.config.id),
                ) {
                    (true, _) => Role::Uninitialized,
                    (false, true) => Role::Follower,
                    (false, false) => Role::Learner,
                }
            }
        }
    }
}
