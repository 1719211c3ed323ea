//! What walks did, and how often: a property that was never in danger was not tested.

use std::fmt;

/// Counters of everything that a walk may do or meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    counts: [u64; Event::ALL.len()],
}

macro_rules! events {
    ($($name:ident: $text:literal,)*) => {
        /// Something that happened in a walk.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = $text] $name,)*
        }

        impl Event {
            /// Every event, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its line in the report.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

// Actions first: `Event::is_action` counts on it.
events! {
    Tick: "action: tick",
    Deliver: "action: deliver a message",
    Drop: "action: drop a message",
    Duplicate: "action: duplicate a message",
    Late: "action: deliver a message of long ago again",
    Corrupt: "action: deliver a corrupted message",
    Propose: "action: propose",
    Sync: "action: complete one write",
    SyncAll: "action: complete all writes",
    Apply: "action: apply",
    Crash: "action: crash",
    Restart: "action: restart",
    Snapshot: "action: take a snapshot",
    Purge: "action: purge the log",
    Transfer: "action: transfer leadership",
    Read: "action: linearizable read",
    Unreachable: "action: connection lost",
    Campaign: "action: campaign",
    Stop: "action: announce a stop",
    Cut: "action: cut or heal links",
    Birth: "action: initialise",
    Voters: "action: change the voters",
    Learners: "action: add or remove a learner",
    Wipe: "action: lose a disk, come back in a new directory",
    Burst: "action: some members sync and exchange messages",
    Silence: "action: silence until everybody may vote",

    Stepped: "figure: inputs to cores, every tick included",
    Idle: "figure: choices that found nothing to do",
    ArrivedWithin: "figure: messages that arrived within bursts, silences and repairs",
    WrittenWithin: "figure: writes completed within them",

    CrashLostWrites: "crash lost unsynced writes",
    CrashKeptWrites: "crash kept a write that was not confirmed",
    Blocked: "message lost on a cut link",
    FillRefused: "late fill found another log",
    Ignored: "message ignored: another directory, or malformed",

    PreVoteBegun: "pre-vote begun",
    PreVoteGranted: "pre-vote granted",
    PreVoteOldTerm: "pre-vote refused: no later term",
    PreVoteOlderLog: "pre-vote refused: older log",
    PreVoteSticky: "pre-vote refused: hears from a leader",
    PreVoteTermAdopted: "term adopted from a refused pre-vote",
    PreVoteWon: "pre-vote won",
    PreVoteLost: "pre-vote lost to a majority of refusals",
    VoteGranted: "vote granted",
    VoteOlderLog: "vote refused: older log",
    VoteTaken: "vote refused: given to another, or a leader known",
    VoteSticky: "vote request left unanswered: hears from a leader",
    VoteInTransfer: "vote request of a transfer overrode a living leader",
    VoteStale: "vote request of an older term answered",
    ElectionLost: "election lost to a majority of refusals",
    CandidateFollows: "candidate found the leader of its term",
    Elected: "leader elected",
    ElectedByOwnVote: "leader elected when its own vote became durable",
    ElectedByAnswer: "leader elected by another's vote",
    Reelected: "leader elected while another still believed to lead",
    SteppedDown: "leader stepped down",
    Deposed: "leader deposed by a later term",
    CheckQuorum: "leader stepped down without a majority",

    AppendHeld: "append whose entries were all held",
    AppendDelayed: "append behind the log's end cut nothing off",
    AppendStale: "append of an older term answered",
    AppendBelowCommit: "append that begins below the commit index",
    AppendMalformed: "append ignored: not what its core meant",
    ConflictBeyond: "append refused: beyond the end of the log",
    ConflictTerm: "append refused: another term there",
    Backtracked: "refusal taken, sent again from further back",
    BacktrackedByHint: "refusal's hint skipped entries",
    ConflictIgnored: "refusal ignored as stale",
    AckStale: "acknowledgement ignored as stale",
    EmptyAppend: "empty append sent: was something lost?",
    ProbePaused: "proposal waited: probe paused",
    WindowFull: "proposal waited: window full",
    InTransfer: "proposal waited: snapshot on its way",
    ProbeBegun: "lost connection turned a flow into a probe",
    Truncated: "log truncated",
    TruncatedUnsynced: "log truncated while writes were under way",

    CommitByAck: "committed by an acknowledgement",
    CommitByOwnDisk: "committed by the leader's own disk",
    CommitByHeartbeat: "commit index learned from a heartbeat",
    CommitBounded: "commit index bounded by the append's end",
    OldTermCommitted: "entry of an older term committed",
    CommitBeyondOwnDisk: "committed before durable at the member itself",

    SnapshotOffered: "snapshot offered",
    SnapshotInstalled: "snapshot installed, log replaced",
    SnapshotHeld: "snapshot received whose position the log holds",
    SnapshotRefused: "snapshot at or below the commit index refused",
    SnapshotFailed: "snapshot transfer failed",
    SnapshotDone: "snapshot acknowledged, entries follow",
    SnapshotReplyStale: "answer to an earlier snapshot ignored",
    PurgeHeldBack: "purge held back by a snapshot on its way",

    TransferStarted: "transfer started",
    TransferBehind: "transfer waits for its target to catch up",
    TransferCampaign: "target of a transfer campaigns",
    TimeoutNowIgnored: "transfer's signal ignored",
    TransferDone: "transfer done",
    TransferTimedOut: "transfer aborted by time",
    TransferAborted: "transfer aborted otherwise",
    TransferNoTarget: "transfer refused: no target",
    TransferBusy: "transfer refused: another runs",
    TransferNotLeader: "transfer refused: does not lead",

    ProposalNotLeader: "proposal refused: does not lead",
    ProposalTransferring: "proposal refused: transfer",
    ProposalOverloaded: "proposal refused: too many uncommitted bytes",
    ProposalTooLarge: "proposal refused: too large",
    ProposalUninitialized: "proposal refused: uninitialised",

    ReadServed: "read served by its leader",
    ReadForwarded: "read served by another member",
    ReadRefused: "read refused",
    ReadRoundAgain: "round of heartbeats for reads that came during the last one",
    ReadRepeated: "forwarded read asked again",
    ReadReplyStale: "answer to an earlier question ignored",

    JointEntered: "joint configuration entered",
    JointLeft: "joint configuration left by who entered it",
    JointFinished: "joint configuration left by a new leader",
    ConfigurationReverted: "configuration reverted by a truncation",
    JointReverted: "joint configuration reverted by a truncation",
    LearnerAdded: "learner added",
    LearnerRemoved: "learner removed",
    LearnerPromoted: "learner made a voter",
    VoterRemoved: "voter removed",
    LeaderRemoved: "leader removed itself",
    WipedReplaced: "wiped voter replaced by its new directory",
    GrewFromOne: "group of one grew",
    RemovedLeaderLeft: "removed leader stepped back",
    RemovedLearned: "removed member learned that it is",
    RemovedLeads: "removed member led to commit its own removal",
    ElectedInJoint: "leader elected by both voter sets",
    SnapshotOfJoint: "snapshot offered with a joint configuration",
    InstalledJoint: "snapshot installed with a joint configuration",
    ChangeUnchanged: "change: as wished already",
    ChangeNotLeader: "change refused: does not lead",
    ChangeBusy: "change refused: transfer",
    ChangeNotReady: "change refused: nothing of the own term committed",
    ChangeInProgress: "change refused: another is in progress",
    ChangeStale: "change refused: stale expectation",
    ChangeLags: "change refused: not caught up",
    ChangeInvalid: "change refused: invalid",
    ChangeAlreadyMember: "change refused: votes already",
    ChangeNotLearner: "change refused: no such learner",

    Healed: "liveness: everybody caught up after healing",
    HealedOneAway: "liveness: with one voter away",
    Unhealable: "liveness: not asked, a majority of disks is lost",
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            counts: [0; Event::ALL.len()],
        }
    }
}

impl Event {
    fn is_action(self) -> bool {
        (self as usize) < Self::Stepped as usize
    }
}

impl Coverage {
    /// Counts one.
    #[inline]
    pub fn hit(&mut self, event: Event) {
        self.counts[event as usize] += 1;
    }

    /// Counts one if it happened.
    #[inline]
    pub(crate) fn note(&mut self, happened: bool, event: Event) {
        self.counts[event as usize] += u64::from(happened);
    }

    /// How often the event happened.
    pub fn count(&self, event: Event) -> u64 {
        self.counts[event as usize]
    }

    /// What happened to the quorums, all together. Every choice of a walk that found something to do is one
    /// action, however many ticks it stands for; within bursts, silences and the repair at the end every
    /// message and every batch of writes is one more, as if it had been chosen by itself.
    pub fn actions(&self) -> u64 {
        let within = self.count(Event::ArrivedWithin) + self.count(Event::WrittenWithin);
        self.choices() - self.count(Event::Idle) + within
    }

    /// All choices, also those that found nothing to do.
    pub fn choices(&self) -> u64 {
        let all = Event::ALL.iter().filter(|event| event.is_action());
        all.map(|event| self.count(*event)).sum()
    }

    /// Adds another walk's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// What never happened.
    pub fn never(&self) -> Vec<&'static str> {
        let silent = Event::ALL.iter().filter(|event| self.count(**event) == 0);
        silent.map(|event| event.text()).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in Event::ALL {
            writeln!(f, "{:>14}  {}", self.count(*event), event.text())?;
        }
        Ok(())
    }
}
