//! Linearizable reads (dissertation 6.4): the leader notes its commit index and confirms by a round of
//! heartbeats begun after the read that it still leads; everybody else asks the leader.
//!
//! Rounds and forwarded reads carry numbers of this crate, never the caller's (etcd-io/raft#397).

use std::collections::VecDeque;

use crate::election::Standing;
use crate::leadership::Leadership;
use crate::mutant;
use crate::{Effects, LogIndex, MemberId, MessageBody, Raft, ReadOutcome, Refusal};

/// The reads that a leader has not confirmed yet, and its rounds of heartbeats.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct LeaderReads {
    /// The newest round.
    round: u64,
    /// The newest round that a quorum answered.
    confirmed: u64,
    /// In the order of their arrival, hence of their rounds.
    pending: VecDeque<PendingRead>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct PendingRead {
    asker: Asker,
    /// The round that must be confirmed; begun after the read arrived.
    round: u64,
    /// The commit index at arrival; unknown until an entry of the term is committed, because only
    /// then the leader knows what its predecessors committed.
    index: Option<LogIndex>,
}

#[derive(Clone, Copy, Debug, Hash)]
enum Asker {
    Local { seq: u64 },
    Peer { member: MemberId, seq: u64 },
}

impl LeaderReads {
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Queues a read. Returns whether a round must begin for it: while one is on the way, reads
    /// gather for the next.
    fn queue(&mut self, asker: Asker, index: Option<LogIndex>) -> bool {
        let on_the_way = self.confirmed < self.round;
        self.pending.push_back(PendingRead {
            asker,
            round: self.round + u64::from(!mutant::is("read-of-earlier-round")),
            index,
        });
        !on_the_way
    }

    fn next_decided(&mut self) -> Option<(Asker, LogIndex)> {
        let read = self.pending.front()?;
        let led = read.round <= self.confirmed || mutant::is("read-without-round");
        let index = read.index.filter(|_| led)?;
        self.pending.pop_front().map(|read| (read.asker, index))
    }

    fn wait_for_next_round(&self) -> bool {
        self.confirmed == self.round && self.pending.back().is_some_and(|r| r.round > self.round)
    }
}

/// The reads of this member that its leader is to decide.
#[derive(Clone, Debug, Hash)]
pub(crate) struct ForwardedReads {
    /// Number of the newest question.
    question: u64,
    /// The reads that the question on the way stands for.
    asked: Vec<u64>,
    /// Those that came later and wait for the next question.
    waiting: Vec<u64>,
    /// Ticks since the question was sent.
    silent_ticks: u32,
}

impl ForwardedReads {
    /// `origin` must differ between the processes of one member: a late answer to the one before must
    /// not fit a question of this one.
    pub(crate) fn new(origin: u64) -> Self {
        Self {
            question: origin,
            asked: Vec::new(),
            waiting: Vec::new(),
            silent_ticks: 0,
        }
    }
}

impl Raft {
    /// A read of this member's own clients.
    pub(crate) fn on_read(&mut self, seq: u64, fx: &mut Effects) {
        match (self.refusing(), self.leader) {
            (None, _) => self.lead_read(Asker::Local { seq }, fx),
            (Some(Refusal::NotLeader { .. }), Some(leader)) => {
                self.forwarded.waiting.push(seq);
                if self.forwarded.asked.is_empty() {
                    self.ask(leader, fx);
                }
            }
            (Some(refusal), _) => fx.reads.push(ReadOutcome {
                seq,
                result: Err(refusal),
            }),
        }
    }

    /// A peer forwards a read.
    pub(crate) fn on_read_index(&mut self, member: MemberId, seq: u64, fx: &mut Effects) {
        if self.refusing().is_some() {
            self.send(
                member,
                MessageBody::ReadIndexReply { seq, index: None },
                None,
                fx,
            );
        } else {
            self.lead_read(Asker::Peer { member, seq }, fx);
        }
    }

    fn lead_read(&mut self, asker: Asker, fx: &mut Effects) {
        let known = self.log.term_at(self.commit) == Some(self.hard.term)
            || mutant::is("read-before-own-term");
        let index = known.then_some(self.commit);
        if let Standing::Leader(lead) = &mut self.standing
            && lead.reads.queue(asker, index)
        {
            self.begin_round(fx);
        }
    }

    /// Sends heartbeats that answer for every read that came before.
    pub(crate) fn begin_round(&mut self, fx: &mut Effects) {
        if let Some((lead, source)) = self.leading() {
            let Leadership { reads, peers, .. } = lead;
            reads.round += 1;
            for (peer, progress) in peers {
                source.heartbeat(*peer, progress, reads.round, fx);
            }
        }
        self.answer_reads(fx);
    }

    pub(crate) fn on_heartbeat_reply(&mut self, from: MemberId, round: u64, fx: &mut Effects) {
        let Standing::Leader(lead) = &mut self.standing else {
            return;
        };
        let newest = lead.reads.round;
        if let Some(progress) = lead.peers.get_mut(&from).filter(|_| round <= newest) {
            progress.round = progress.round.max(round);
            self.answer_reads(fx);
        }
    }

    /// Answers every read whose round is confirmed and whose index is known.
    pub(crate) fn answer_reads(&mut self, fx: &mut Effects) {
        let own_term = self.log.term_at(self.commit) == Some(self.hard.term);
        let (me, commit) = (self.config.id, self.commit);
        let Standing::Leader(lead) = &mut self.standing else {
            return;
        };
        let round_of = |m: &MemberId| {
            if *m == me {
                lead.reads.round
            } else {
                lead.round(m)
            }
        };
        lead.reads.confirmed = self.configurations.active().1.quorum_value(round_of);
        if own_term {
            for read in lead
                .reads
                .pending
                .iter_mut()
                .filter(|read| read.index.is_none())
            {
                read.index = Some(commit);
            }
        }
        let mut decided = Vec::new();
        while let Some(read) = lead.reads.next_decided() {
            decided.push(read);
        }
        let again = lead.reads.wait_for_next_round();
        for (asker, index) in decided {
            self.answer_read(asker, Ok(index), fx);
        }
        if again {
            self.begin_round(fx);
        }
    }

    fn answer_read(&self, asker: Asker, result: Result<LogIndex, Refusal>, fx: &mut Effects) {
        match asker {
            Asker::Local { seq } => fx.reads.push(ReadOutcome { seq, result }),
            Asker::Peer { member, seq } => {
                let body = MessageBody::ReadIndexReply {
                    seq,
                    index: result.ok(),
                };
                self.send(member, body, None, fx);
            }
        }
    }

    /// The term of leadership is over: nobody here can confirm these reads any more.
    pub(crate) fn refuse_reads_of(&mut self, lead: Leadership, fx: &mut Effects) {
        for read in lead.reads.pending {
            self.answer_read(read.asker, Err(Refusal::LeaderChanged), fx);
        }
    }

    /// The leader decided a forwarded read, or could not.
    pub(crate) fn on_read_index_reply(
        &mut self,
        from: MemberId,
        seq: u64,
        index: Option<LogIndex>,
        fx: &mut Effects,
    ) {
        if seq != self.forwarded.question || self.forwarded.asked.is_empty() {
            return;
        }
        let result = index.ok_or(Refusal::LeaderChanged);
        let asked = std::mem::take(&mut self.forwarded.asked);
        fx.reads
            .extend(asked.into_iter().map(|seq| ReadOutcome { seq, result }));
        if !self.forwarded.waiting.is_empty() {
            self.ask(from, fx);
        }
    }

    /// One question stands for all reads that wait.
    fn ask(&mut self, leader: MemberId, fx: &mut Effects) {
        self.forwarded.asked = std::mem::take(&mut self.forwarded.waiting);
        self.forwarded.question = self.forwarded.question.wrapping_add(1);
        self.repeat_question(leader, fx);
    }

    fn repeat_question(&mut self, leader: MemberId, fx: &mut Effects) {
        self.forwarded.silent_ticks = 0;
        let seq = self.forwarded.question;
        self.send(leader, MessageBody::ReadIndex { seq }, None, fx);
    }

    /// A question or its answer may be lost.
    pub(crate) fn tick_forwarded_reads(&mut self, fx: &mut Effects) {
        let Some(leader) = self.leader.filter(|_| !self.forwarded.asked.is_empty()) else {
            return;
        };
        self.forwarded.silent_ticks += 1;
        if self.forwarded.silent_ticks >= self.config.heartbeat_ticks {
            self.repeat_question(leader, fx);
        }
    }

    /// Somebody else leads now: ask again there; nobody does: the caller decides whether to try again.
    pub(crate) fn redirect_reads(&mut self, fx: &mut Effects) {
        let others = self.leader.filter(|leader| *leader != self.config.id);
        match others {
            Some(leader) if !self.forwarded.asked.is_empty() => self.repeat_question(leader, fx),
            Some(_) => {}
            None => {
                let asked = std::mem::take(&mut self.forwarded.asked);
                let waiting = std::mem::take(&mut self.forwarded.waiting);
                let result = Err(Refusal::LeaderChanged);
                let reads = asked.into_iter().chain(waiting);
                fx.reads
                    .extend(reads.map(|seq| ReadOutcome { seq, result }));
            }
        }
    }

    /// Why this member decides nothing at the moment: it does not lead, or is about to stop leading.
    pub(crate) fn refusing(&self) -> Option<Refusal> {
        if self.configurations.active().1.is_empty() {
            return Some(Refusal::Uninitialized);
        }
        if !matches!(self.standing, Standing::Leader(_)) {
            return Some(Refusal::NotLeader {
                leader: self.leader.map(|leader| leader.node),
            });
        }
        let hands_over = self.transfer.is_some() && !mutant::is("transfer-takes-proposals");
        hands_over.then_some(Refusal::Transferring)
    }
}
