//! The configuration in the words of the parts: ticks and bytes.

use std::time::Duration;

use dmq_replica::{Settings, ticks};

use crate::config::{Config, TICK};

/// Kafka's factor: a leader that did not hear a majority for 1.5 election time-outs steps down.
const CHECK_QUORUM_NUMERATOR: u32 = 3;
const CHECK_QUORUM_DENOMINATOR: u32 = 2;

/// The settings of a member; `seed` differs at every start.
pub(super) fn settings(config: &Config, member: dmq_raft::MemberId, seed: u64) -> Settings {
    let mut raft = dmq_raft::Config::new(member, seed);
    raft.heartbeat_ticks = tick_count(config.raft.heartbeat_interval);
    // Both are rounded up, so that the rule of three heartbeats holds in ticks as it does in milliseconds.
    raft.election_ticks = tick_count(config.raft.election_timeout).max(3 * raft.heartbeat_ticks);
    raft.check_quorum_ticks =
        raft.election_ticks * CHECK_QUORUM_NUMERATOR / CHECK_QUORUM_DENOMINATOR;
    raft.transfer_ticks = raft.election_ticks;
    let mut settings = Settings::new(TICK, raft);
    settings.session_ticks = ticks(TICK, millis(config.broker_session_timeout));
    settings.snapshot_bytes_min = config.raft.snapshot_bytes;
    settings.snapshot_ticks = ticks(TICK, millis(config.raft.snapshot_interval));
    settings.kept_entries = config.raft.kept_entries;
    settings
}

fn tick_count(time: Duration) -> u32 {
    u32::try_from(ticks(TICK, millis(time))).unwrap_or(u32::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
