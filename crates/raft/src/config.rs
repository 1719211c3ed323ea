//! What a member is told at its start: who it is, its timeouts in ticks, and its bounds.

use crate::MemberId;

/// Settings of one member. Times are in ticks, whose length the shell decides (10-20 ms).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// This member, with the directory that it runs on.
    pub id: MemberId,
    /// Shortest election timeout, in ticks; every timeout is drawn from `[t, 2t)`. At least three
    /// heartbeats.
    pub election_ticks: u32,
    /// Ticks between two heartbeats of a leader. At least 1.
    pub heartbeat_ticks: u32,
    /// A leader that did not hear from a majority for so many ticks steps down. At least
    /// `election_ticks`.
    pub check_quorum_ticks: u32,
    /// A leadership transfer that is not done after so many ticks is aborted. At least 1.
    pub transfer_ticks: u32,
    /// Most appends on the way to one peer. At least 1.
    pub inflight_messages_max: usize,
    /// Most bytes on the way to one peer; a single append may exceed it when nothing else is on the
    /// way. At least `append_bytes_max`.
    pub inflight_bytes_max: u64,
    /// Most bytes in one append; a single larger entry travels alone.
    pub append_bytes_max: u64,
    /// Most entries in one append. At least 1.
    pub append_entries_max: usize,
    /// Most bytes that a leader holds appended but not committed; proposals beyond are refused. At
    /// least `entry_size_max` plus [`crate::ENTRY_OVERHEAD_BYTES`].
    pub uncommitted_bytes_max: u64,
    /// Largest payload of one entry, in bytes.
    pub entry_size_max: usize,
    /// A learner that lacks at most so many committed entries may be made a voter.
    pub caught_up_entries_max: u64,
    /// Seed of the timeouts and of the numbers of forwarded reads. Must differ from start to start of
    /// a process: an answer to a read of the process before must not fit one of this process.
    pub seed: u64,
}

/// A setting that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: {rule}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// Its value.
    pub value: u64,
    /// The rule that it breaks.
    pub rule: String,
}

impl Config {
    /// Usual settings for ticks of 10 ms: DESIGN section 8 and `raft-engine.md` section 4.
    pub fn new(id: MemberId, seed: u64) -> Self {
        Self {
            id,
            election_ticks: 100,
            heartbeat_ticks: 15,
            check_quorum_ticks: 150,
            transfer_ticks: 100,
            inflight_messages_max: 64,
            inflight_bytes_max: 8 << 20,
            append_bytes_max: 1 << 20,
            append_entries_max: 1024,
            uncommitted_bytes_max: 64 << 20,
            entry_size_max: 1 << 20,
            caught_up_entries_max: 1000,
            seed,
        }
    }

    /// Checks every rule that the fields name.
    ///
    /// # Errors
    /// The first field that breaks one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        at_least("id.node", self.id.node.0.into(), 1, "1; 0 is never used")?;
        at_least("heartbeat_ticks", self.heartbeat_ticks.into(), 1, "1")?;
        let heartbeats = 3 * u64::from(self.heartbeat_ticks);
        at_least(
            "election_ticks",
            self.election_ticks.into(),
            heartbeats,
            "three heartbeats",
        )?;
        let election = self.election_ticks.into();
        at_least(
            "check_quorum_ticks",
            self.check_quorum_ticks.into(),
            election,
            "election_ticks",
        )?;
        at_least("transfer_ticks", self.transfer_ticks.into(), 1, "1")?;
        at_least(
            "inflight_messages_max",
            self.inflight_messages_max as u64,
            1,
            "1",
        )?;
        at_least("append_entries_max", self.append_entries_max as u64, 1, "1")?;
        at_least("append_bytes_max", self.append_bytes_max, 1, "1")?;
        let append = self.append_bytes_max;
        at_least(
            "inflight_bytes_max",
            self.inflight_bytes_max,
            append,
            "append_bytes_max",
        )?;
        at_least("entry_size_max", self.entry_size_max as u64, 1, "1")?;
        let entry = (self.entry_size_max + crate::ENTRY_OVERHEAD_BYTES) as u64;
        let uncommitted = self.uncommitted_bytes_max;
        at_least(
            "uncommitted_bytes_max",
            uncommitted,
            entry,
            "entry_size_max and its overhead",
        )
    }
}

fn at_least(
    field: &'static str,
    value: u64,
    least: u64,
    what: &'static str,
) -> Result<(), ConfigError> {
    if value >= least {
        return Ok(());
    }
    let rule = if what == least.to_string() {
        format!("must be at least {least}")
    } else {
        format!("must be at least {least} ({what})")
    };
    Err(ConfigError { field, value, rule })
}
