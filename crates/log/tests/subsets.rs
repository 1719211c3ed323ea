//! Every prefix and every subset of what was not synced, wherever the power fails, for short histories of everything
//! that a log does; and recovery from each of them, with the power failing again at each of its own changes.
//!
//! A write is cut into units of 512 bytes, or of 4 KiB where that would give too many subsets; names and lengths are
//! units of their own. All of these worlds are looked at, equal ones once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::collections::BTreeSet;

use dmq_log::sim::{SimDisk, Survivors};
use dmq_log::{DataDir, Log, LogOptions};
use dmq_raft::{HardState, LogIndex, Persist, Term};
use support::history::Call::*;
use support::history::*;
use support::*;

/// Most units of which every subset is tried: 2 to this power.
const UNITS_MAX: usize = 10;
/// Of recovery's own unsynced units.
const UNITS_IN_RECOVERY_MAX: usize = 4;

/// What a sweep looked at.
#[derive(Debug, Default)]
struct Sweep {
    cuts: u64,
    subsets: u64,
    worlds: u64,
    recoveries_cut: u64,
}

/// Sweeps a history: every cut, every subset, every recovery, and every cut of that recovery.
fn sweep(name: &str, history: &[Call]) {
    let start = formatted(SEGMENT_BYTES);
    let disk = start.fork();
    run(&disk, history);
    let changes = disk.stats().changes - start.stats().changes;
    let (mut sweep, mut seen) = (Sweep::default(), BTreeSet::new());
    for cut in 0..=changes {
        let disk = start.fork();
        disk.cut_power_after(cut);
        let (states, step) = run(&disk, history);
        sweep.cuts += 1;
        for survivors in subsets(&disk, UNITS_MAX) {
            sweep.subsets += 1;
            let world = disk.fork();
            world.crash(survivors);
            if seen.insert((step, fingerprint(&world))) {
                sweep.worlds += 1;
                let what = format!("{name}: cut {cut} of {changes}, {survivors:?}");
                sweep.recoveries_cut += cut_recovery(&world, &states, &what);
                check_survival(&world, &states, &what);
            }
        }
    }
    println!("{name}: {sweep:?}");
    assert!(sweep.worlds >= sweep.cuts / 2, "{sweep:?}");
}

/// Every subset, in the finest units of which there are not too many; else every prefix in the coarsest.
fn subsets(disk: &SimDisk, units_max: usize) -> Vec<Survivors> {
    let chosen = |unit_bytes, mask| Survivors::Chosen { unit_bytes, mask };
    for unit_bytes in [512, 1024, 2048, 4096] {
        let units = disk.unsynced_units(unit_bytes);
        if units <= units_max {
            return (0..1_u64 << units)
                .map(|mask| chosen(unit_bytes, mask))
                .collect();
        }
    }
    let prefixes = 0..=disk.unsynced_units(4096).min(63);
    let mut all: Vec<_> = prefixes
        .map(|len| chosen(4096, (1_u64 << len) - 1))
        .collect();
    all.extend((0..200).map(Survivors::Seeded));
    all
}

/// The power fails again at every change that recovery makes, and every subset of recovery's own writes survives:
/// what is left is still one of the states, and what recovery found before is not taken back by the next one.
fn cut_recovery(world: &SimDisk, states: &[Model], what: &str) -> u64 {
    let mut cuts = 0;
    for cut in 0.. {
        let disk = world.fork();
        disk.cut_power_after(cut);
        let ended = DataDir::open(&disk, root()).map(|dir| Log::open(&dir, LogOptions::default()));
        let ended = matches!(ended, Ok(Ok(_)));
        for survivors in subsets(&disk, UNITS_IN_RECOVERY_MAX) {
            cuts += 1;
            let disk = disk.fork();
            disk.crash(survivors);
            let what = format!("{what}; then cut {cut} of the recovery, {survivors:?}");
            let (log, found) = recovered(&disk, states, &what);
            drop(log);
            disk.crash(Survivors::None);
            recovered(&disk, &[found], &format!("{what}; found, then gone"));
        }
        if ended {
            break;
        }
    }
    cuts
}

/// A vote, and nothing else.
fn vote(term: u64, node: Option<u32>) -> Call {
    let hard_state = HardState {
        term: Term(term),
        vote: node.map(member),
    };
    Append(vec![Persist {
        hard_state: Some(hard_state),
        ..nothing()
    }])
}

#[test]
fn votes_and_entries() {
    sweep(
        "votes and entries",
        &[
            vote(1, None),
            vote(1, Some(2)),
            Append(vec![commands(1, 1, 2, 100), commands(2, 2, 3, 60)]),
            vote(4, Some(3)),
        ],
    );
}

#[test]
fn entries_of_several_blocks() {
    sweep(
        "entries of several blocks",
        &[
            Append(vec![commands(1, 1, 1, 5000)]),
            Append(vec![commands(2, 3, 1, 4000)]),
            Idle,
        ],
    );
}

#[test]
fn truncations_with_and_without_entries_behind() {
    let replaced = Persist {
        truncate_from: Some(LogIndex(2)),
        ..commands(2, 2, 2, 50)
    };
    sweep(
        "truncations",
        &[
            Append(vec![commands(1, 3, 1, 50)]),
            Append(vec![replaced]),
            Append(vec![truncate(2)]),
            Idle,
        ],
    );
}

#[test]
fn membership_that_is_truncated_away() {
    let change = Persist {
        entries: vec![configuration(2, 1, &[1, 2, 3])],
        ..nothing()
    };
    sweep(
        "membership",
        &[
            Append(vec![commands(1, 1, 1, 10)]),
            Append(vec![change]),
            Append(vec![truncate(2)]),
        ],
    );
}

#[test]
fn switches_of_segments() {
    let mut history = vec![PrepareSpare];
    history.extend((1..=3).map(|i| Append(vec![commands(i, i, 1, 9000)])));
    history.push(vote(2, Some(1)));
    sweep("switches", &history);
}

#[test]
fn truncations_below_the_segment() {
    let mut history: Vec<_> = (1..=3)
        .map(|i| Append(vec![commands(i, i, 1, 9000)]))
        .collect();
    let replaced = Persist {
        truncate_from: Some(LogIndex(2)),
        ..commands(2, 2, 2, 50)
    };
    history.push(Append(vec![replaced]));
    sweep("truncations below", &history);
}

#[test]
fn start_points_that_drop_or_cut_the_log() {
    sweep(
        "start points",
        &[
            Append(vec![commands(1, 3, 1, 50)]),
            Append(vec![start_at(2, 1, &[1, 2])]),
            Append(vec![start_at(70, 2, &[1, 2, 3])]),
            Append(vec![commands(71, 71, 2, 50)]),
        ],
    );
}

#[test]
fn purges_and_recycled_segments() {
    let mut history = Vec::new();
    for index in 1..=7 {
        history.push(Append(vec![commands(index, index, 1, 9000)]));
        if index % 3 == 0 {
            history.push(Purge(index - 1));
        }
    }
    sweep("purges", &history);
}

#[test]
fn snapshots_and_purges() {
    sweep(
        "snapshots",
        &[
            Append(vec![commands(1, 2, 1, 9000)]),
            Snapshot(1),
            Append(vec![commands(3, 4, 1, 9000)]),
            Snapshot(3),
            Purge(3),
        ],
    );
}

#[test]
fn stops_and_starts() {
    sweep(
        "stops and starts",
        &[
            Append(vec![commands(1, 2, 1, 100)]),
            Restart,
            Append(vec![commands(3, 3, 1, 5000)]),
            Restart,
        ],
    );
}
