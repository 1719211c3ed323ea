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

events! {
    Tick: "action: tick",
    Deliver: "action: deliver a message",
    Drop: "action: drop a message",
    Duplicate: "action: duplicate a message",
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
    Corrupt: "action: deliver a corrupted message",
    Burst: "action: some members sync and exchange messages",
    Silence: "action: silence until everybody may vote",
    CrashLostWrites: "crash lost unsynced writes",
    CrashKeptWrites: "crash kept a write that was not confirmed",
    Blocked: "message lost on a cut link",
    FillRefused: "late fill found another log",
    PreVoteRefused: "pre-vote refused",
    PreVoteTermAdopted: "term adopted from a refused pre-vote",
    Elected: "leader elected",
    Reelected: "leader elected while another still believed to lead",
    SteppedDown: "leader stepped down",
    CheckQuorum: "leader stepped down without hearing of a newer term",
    Conflict: "append refused, log backtracked",
    Truncated: "log truncated",
    TruncatedUnsynced: "log truncated while writes were under way",
    OldTermCommitted: "entry of an older term committed",
    CommitBeyondOwnDisk: "committed before durable at the member itself",
    SnapshotOffered: "snapshot offered",
    SnapshotInstalled: "snapshot installed, log replaced",
    SnapshotHeld: "snapshot received whose position the log holds",
    SnapshotRefused: "snapshot at or below the commit index refused",
    SnapshotFailed: "snapshot transfer failed",
    TransferDone: "transfer done",
    TransferAborted: "transfer aborted",
    TransferRefused: "transfer refused",
    ProposalRefused: "proposal refused",
    ReadServed: "read served by its leader",
    ReadForwarded: "read served by another member",
    ReadRefused: "read refused",
    Ignored: "message ignored as malformed",
    Healed: "liveness: everybody caught up after healing",
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            counts: [0; Event::ALL.len()],
        }
    }
}

impl Coverage {
    /// Counts one.
    pub fn hit(&mut self, event: Event) {
        self.counts[event as usize] += 1;
    }

    /// How often the event happened.
    pub fn count(&self, event: Event) -> u64 {
        self.counts[event as usize]
    }

    /// All actions together.
    pub fn actions(&self) -> u64 {
        let all = Event::ALL
            .iter()
            .filter(|event| event.text().starts_with("action"));
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
