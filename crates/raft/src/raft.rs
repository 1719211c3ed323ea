//! The member as a state machine: one input in, its effects out.

use std::collections::BTreeSet;

use crate::configurations::Configurations;
use crate::durability::Durability;
use crate::election::Standing;
use crate::leadership::Leadership;
use crate::log_view::LogView;
use crate::mutant;
use crate::progress::{Progress, ProgressState};
use crate::read_index::ForwardedReads;
use crate::rng::Rng;
use crate::transfer::Transfer;
use crate::{
    Config, Configuration, Effects, EntryId, HardState, Input, IoSeq, LogIndex, MemberId, Message,
    MessageBody, Outgoing, PeerStatus, Restored, Role, RoleChange, Status, Term,
};

/// One member of the quorum. Deterministic: equal states and inputs give equal states and effects.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    /// Term and vote; durable once [`Durability`] says so.
    pub(crate) hard: HardState,
    pub(crate) standing: Standing,
    /// The next write must carry `hard`, although this process did not change it.
    pub(crate) hard_unwritten: bool,
    /// The known leader of the current term; oneself when leading.
    pub(crate) leader: Option<MemberId>,
    /// Ticks since the leader was heard, a vote was given, or the last campaign began.
    pub(crate) elapsed_ticks: u32,
    pub(crate) timeout_ticks: u32,
    pub(crate) log: LogView,
    pub(crate) configurations: Configurations,
    pub(crate) durability: Durability,
    pub(crate) commit: LogIndex,
    pub(crate) applied: LogIndex,
    /// Up to here entries were handed out as committed, or replaced by a snapshot.
    pub(crate) handed: LogIndex,
    pub(crate) snapshot: Option<EntryId>,
    pub(crate) forwarded: ForwardedReads,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) stopping: bool,
    pub(crate) stopping_peers: BTreeSet<MemberId>,
    pub(crate) ignored_messages: u64,
    announced: RoleChange,
}

impl Raft {
    /// A member at the start of its process, as a follower of nobody.
    ///
    /// # Panics
    /// If `restored` contradicts itself: the log's recovery is broken, and going on would break the
    /// quorum.
    pub fn new(config: Config, restored: Restored) -> Self {
        restored.check();
        let mut rng = Rng::new(config.seed);
        let forwarded = ForwardedReads::new(rng.next());
        let timeout_ticks = config.election_ticks + rng.below(config.election_ticks);
        let (hard, written) = (restored.entered(), restored.hard_state);
        let Restored {
            commit,
            applied,
            snapshot,
            ..
        } = restored;
        let (log, configurations) = restored.into_log();
        let mut raft = Self {
            config,
            rng,
            hard,
            hard_unwritten: hard != written,
            standing: Standing::Follower,
            leader: None,
            elapsed_ticks: 0,
            timeout_ticks,
            durability: Durability::new(log.last().index),
            log,
            configurations,
            commit,
            applied,
            handed: commit,
            snapshot,
            forwarded,
            transfer: None,
            stopping: false,
            stopping_peers: BTreeSet::new(),
            ignored_messages: 0,
            announced: RoleChange {
                role: Role::Follower,
                term: hard.term,
                leader: None,
            },
        };
        raft.announced.role = raft.role();
        raft
    }

    /// Takes one input and says what is to be done, in the order of the fields of [`Effects`].
    pub fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        self.step_into(input, &mut effects);
        effects
    }

    /// As [`Self::step`], into effects that are empty: whoever steps millions of times keeps their memory.
    pub fn step_into(&mut self, input: Input, fx: &mut Effects) {
        match input {
            Input::Tick => self.tick(fx),
            Input::Message(message) => self.receive(message, fx),
            Input::Propose(payloads) => self.propose(payloads, fx),
            Input::ReadIndex { seq } => self.on_read(seq, fx),
            Input::Transfer { to } => self.start_transfer(to, fx),
            Input::Initialize(configuration) => self.initialize(configuration, fx),
            Input::ChangeMembership { change, expected } => {
                self.change_membership(&change, expected, fx);
            }
            Input::Campaign => self.campaign_now(fx),
            Input::Persisted(io) => self.on_persisted(io, fx),
            Input::Applied(index) => self.on_applied(index),
            Input::SnapshotTaken { last } => self.on_snapshot_taken(last),
            Input::Purged { start } => self.on_purged(start),
            Input::SnapshotFailed { to } => self.on_snapshot_failed(to),
            Input::Unreachable { peer } => self.on_unreachable(peer),
            Input::Stop => self.stop(fx),
        }
        self.conclude(fx);
    }

    /// What the member knows at the moment.
    pub fn status(&self) -> Status {
        let lead = match &self.standing {
            Standing::Leader(lead) => Some(lead),
            _ => None,
        };
        Status {
            id: self.config.id,
            role: self.role(),
            term: self.hard.term,
            leader: self.leader,
            commit: self.commit,
            applied: self.applied,
            last: self.log.last(),
            durable: self.durability.index(),
            start: self.log.start(),
            snapshot: self.snapshot,
            purgeable: self.purgeable(),
            configuration: self.configurations.active().clone(),
            committed_configuration_index: self.configurations.at(self.commit).0,
            committed_configuration: self.configurations.at(self.commit).1.clone(),
            transferring: self
                .transfer
                .filter(|_| lead.is_some())
                .map(|t| t.target.node),
            stopping: self.stopping,
            ignored_messages: self.ignored_messages,
            peers: lead.map_or_else(Vec::new, |lead| self.peer_statuses(lead)),
        }
    }

    /// This member.
    #[inline]
    pub fn id(&self) -> MemberId {
        self.config.id
    }

    /// The current term; perhaps not durable yet.
    #[inline]
    pub fn term(&self) -> Term {
        self.hard.term
    }

    /// The leader of the current term, if known; this member itself when it leads.
    #[inline]
    pub fn leader(&self) -> Option<MemberId> {
        self.leader
    }

    /// Highest index known to be committed.
    #[inline]
    pub fn commit(&self) -> LogIndex {
        self.commit
    }

    /// Highest index of this very log that is on this member's disk.
    #[inline]
    pub fn durable(&self) -> LogIndex {
        self.durability.index()
    }

    /// Last entry of the log, durable or not.
    #[inline]
    pub fn last(&self) -> EntryId {
        self.log.last()
    }

    /// Position before the first entry of the log.
    #[inline]
    pub fn start(&self) -> EntryId {
        self.log.start()
    }

    /// The configuration in force, and the index of its entry.
    #[inline]
    pub fn configuration(&self) -> &(LogIndex, Configuration) {
        self.configurations.active()
    }

    /// Messages dropped because they were malformed or addressed to somebody else.
    #[inline]
    pub fn ignored_messages(&self) -> u64 {
        self.ignored_messages
    }

    /// Term of the entry at `index`, from the log's start point to its last entry.
    #[inline]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.log.term_at(index)
    }

    fn peer_statuses(&self, lead: &Leadership) -> Vec<PeerStatus> {
        let status = |(member, progress): (&MemberId, &Progress)| PeerStatus {
            member: *member,
            matched: progress.matched,
            silent_ticks: progress.silent_ticks,
            stopping: self.stopping_peers.contains(member),
            in_snapshot: matches!(progress.state, ProgressState::Snapshot { .. }),
            caught_up: self.is_caught_up(lead, member),
        };
        lead.peers.iter().map(status).collect()
    }

    fn tick(&mut self, fx: &mut Effects) {
        self.tick_transfer(fx);
        self.tick_forwarded_reads(fx);
        match self.standing {
            Standing::Leader(_) => self.tick_leader(fx),
            _ => self.tick_election(fx),
        }
    }

    /// Check-quorum, then heartbeats and whatever must be repeated.
    fn tick_leader(&mut self, fx: &mut Effects) {
        let Standing::Leader(lead) = &mut self.standing else {
            return;
        };
        for progress in lead.peers.values_mut() {
            progress.silent_ticks += 1;
        }
        let (me, limit) = (self.config.id, self.config.check_quorum_ticks);
        let configuration = &self.configurations.active().1;
        let heard = configuration.has_quorum(|m| *m == me || lead.heard_within(m, limit));
        if !heard && !mutant::is("check-quorum-off") {
            self.step_back(fx);
            return;
        }
        lead.heartbeat_elapsed_ticks += 1;
        if lead.heartbeat_elapsed_ticks >= self.config.heartbeat_ticks {
            lead.heartbeat_elapsed_ticks = 0;
            self.dismiss_peers();
            self.begin_round(fx);
            self.repeat_to_all(fx);
            self.continue_transfer(fx);
        }
    }

    /// A write is durable: the own vote or the own entries may count now.
    fn on_persisted(&mut self, io: IoSeq, fx: &mut Effects) {
        if self.durability.confirm(io) {
            self.tally(fx);
            self.advance_commit(fx);
            self.tell_commit(fx);
            self.settle_membership(fx);
        }
    }

    fn on_applied(&mut self, index: LogIndex) {
        assert!(
            index <= self.commit,
            "applied {index} beyond the commit index {}",
            self.commit
        );
        self.applied = self.applied.max(index);
    }

    pub(crate) fn commit_to(&mut self, index: LogIndex) {
        assert!(index >= self.commit, "the commit index never falls");
        self.commit = index;
    }

    /// Queues a message of the current term. One that promises durability passes
    /// [`Durability::promise`], taken after everything it promises was written.
    pub(crate) fn send(
        &self,
        to: MemberId,
        body: MessageBody,
        after: Option<IoSeq>,
        fx: &mut Effects,
    ) {
        let message = Message {
            from: self.config.id,
            to,
            term: self.hard.term,
            body,
        };
        fx.send.push(Outgoing {
            message,
            fill: None,
            after,
        });
    }

    /// What every step ends with: bookkeeping of its write, and news for the shell.
    fn conclude(&mut self, fx: &mut Effects) {
        if let Some(write) = &mut fx.persist {
            if std::mem::take(&mut self.hard_unwritten) {
                write.hard_state = Some(self.hard);
            }
            self.durability.record(self.log.last().index);
        }
        if self.commit > self.handed {
            fx.committed = Some(self.handed.next()..=self.commit);
            self.handed = self.commit;
        }
        let role = RoleChange {
            role: self.role(),
            term: self.hard.term,
            leader: self.leader,
        };
        if role != self.announced {
            self.announced = role;
            fx.role = Some(role);
        }
        self.check();
    }

    /// What holds between any two steps, in release builds too: a member that breaks one of these
    /// must not go on.
    fn check(&self) {
        let (start, last) = (self.log.start().index, self.log.last());
        assert!(
            start <= self.commit && self.commit <= last.index,
            "commit within the log"
        );
        assert!(
            self.durability.index() <= last.index,
            "durable within the log"
        );
        assert!(self.applied <= self.commit, "applied within the committed");
        assert!(
            last.term <= self.hard.term,
            "no entry is of a later term than its member"
        );
        if let Standing::Leader(lead) = &self.standing {
            assert!(
                self.hard.vote == Some(self.config.id),
                "a leader voted for itself"
            );
            assert!(
                last.term == self.hard.term,
                "a leader's log ends in its term"
            );
            let (index, active) = self.configurations.active();
            let decided = *index <= self.commit && !active.is_joint();
            assert!(
                !decided || active.is_voter(&self.config.id),
                "who leads is a voter of the committed membership"
            );
            for progress in lead.peers.values() {
                assert!(progress.matched < progress.next, "next is above matched");
                assert!(progress.next <= last.index.next(), "next is within the log");
            }
        }
    }
}
