//! Limits and times of a member. Times are in ticks: the shell decides how long one is.

use std::time::Duration;

use dmq_raft::Config;

/// Limits and times of the driver.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Length of a tick; used only to stamp log time and to convert times.
    pub tick: Duration,
    /// The core's own settings.
    pub raft: Config,
    /// How long `ack: projected` waits for the database, in ticks. Default 1 s.
    pub projected_wait_ticks: u64,
    /// How long a write whose controller was lost waits for a decision, in ticks. Default three
    /// election time-outs.
    pub undecided_ticks: u64,
    /// How long a read waits for a majority, in ticks. Default two election time-outs.
    pub read_ticks: u64,
    /// How long `minIndex` waits, in ticks. Default 5 s.
    pub min_index_ticks: u64,
    /// How long proposals are held during a hand-over, in ticks. Default 500 ms.
    pub hold_ticks: u64,
    /// How long a stopping ex-controller answers as a non-controller, in ticks. Default 3 s.
    pub linger_ticks: u64,
    /// How long the projector may flush at the stop, in ticks. Default 5 s.
    pub flush_ticks: u64,
    /// How long `initialize` waits for the voters to pin, in ticks. Default 5 s.
    pub pin_ticks: u64,
    /// How long a change of members that is in the log is waited for, in ticks. Default 10 s.
    pub membership_ticks: u64,
    /// A broker that was silent for so long is fenced, in ticks. Default 9 s.
    pub session_ticks: u64,
    /// Interval of reports between members, in ticks. Default 1 s.
    pub report_ticks: u64,
    /// A snapshot is taken when entries have grown by this or by the size of the last snapshot,
    /// whichever is more, in bytes. Default 20 MiB.
    pub snapshot_bytes_min: u64,
    /// A snapshot is taken after this time if there is anything new, in ticks. Default 1 h.
    pub snapshot_ticks: u64,
    /// Pause after a snapshot that failed, in ticks. Default 10 s.
    pub snapshot_pause_ticks: u64,
    /// Entries kept behind the newest snapshot for slow peers. Default 10,000.
    pub kept_entries: u64,
    /// Bytes of recent entries kept in memory. Default 32 MiB.
    pub cache_bytes: usize,
    /// Requests that may wait at one time. Default 65,536.
    pub waiters_max: usize,
}

impl Settings {
    /// The defaults for a tick length and the core's settings.
    pub fn new(tick: Duration, raft: Config) -> Self {
        let ticks = |ms: u64| ticks(tick, ms);
        let election = u64::from(raft.election_ticks);
        Self {
            tick,
            projected_wait_ticks: ticks(1_000),
            undecided_ticks: 3 * election,
            read_ticks: 2 * election,
            min_index_ticks: ticks(5_000),
            hold_ticks: ticks(500),
            linger_ticks: ticks(3_000),
            flush_ticks: ticks(5_000),
            pin_ticks: ticks(5_000),
            membership_ticks: ticks(10_000),
            session_ticks: ticks(9_000),
            report_ticks: ticks(1_000),
            snapshot_bytes_min: 20 << 20,
            snapshot_ticks: ticks(3_600_000),
            snapshot_pause_ticks: ticks(10_000),
            kept_entries: 10_000,
            cache_bytes: 32 << 20,
            waiters_max: 65_536,
            raft,
        }
    }
}

/// `ms` in ticks, rounded up, at least one.
pub fn ticks(tick: Duration, ms: u64) -> u64 {
    let micros = u64::try_from(tick.as_micros()).unwrap_or(u64::MAX).max(1);
    (ms * 1_000).div_ceil(micros).max(1)
}
