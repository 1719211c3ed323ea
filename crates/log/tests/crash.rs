//! Power failures at every operation of short histories: what was acknowledged is there, and what is there
//! was written. Of the write in flight any number of parts may have survived, from the front.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use dmq_log::sim::{SimDisk, Survivors};
use dmq_raft::{LogIndex, Persist};
use support::history::Call::*;
use support::history::*;
use support::*;

/// Cuts the power before every change that the history makes to the disk, and lets every kind of selection of
/// the unsynced changes survive.
fn cut_everywhere(history: &[Call]) {
    let start = formatted(SEGMENT_BYTES);
    let disk = start.fork();
    run(&disk, history);
    let changes = disk.stats().changes - start.stats().changes;
    assert!(changes > 0);
    for cut in 0..=changes {
        let disk = start.fork();
        disk.cut_power_after(cut);
        let (states, _) = run(&disk, history);
        for survivors in selections(&disk, cut) {
            let disk = disk.fork();
            disk.crash(survivors);
            check_survival(
                &disk,
                &states,
                &format!("cut {cut} of {changes}, {survivors:?}"),
            );
        }
        disk.kill();
        check_survival(&disk, &states, &format!("cut {cut} of {changes}, killed"));
    }
}

fn selections(disk: &SimDisk, seed: u64) -> Vec<Survivors> {
    let mut all = vec![Survivors::None, Survivors::All];
    for changes in 0..disk.unsynced_changes() {
        for torn_bytes in [0, 1, 63, 64, 511, 513, 4095, 4097] {
            all.push(Survivors::Prefix {
                changes,
                torn_bytes,
            });
        }
    }
    all.extend((0..6).map(|toss| Survivors::Seeded(seed * 100 + toss)));
    all
}

#[test]
fn appends() {
    cut_everywhere(&[
        Append(vec![commands(1, 2, 1, 100)]),
        Append(vec![commands(3, 3, 2, 5000), commands(4, 4, 2, 10)]),
        Idle,
        Append(vec![commands(5, 5, 2, 10)]),
    ]);
}

#[test]
fn truncations_within_a_segment() {
    let replaced = Persist {
        truncate_from: Some(LogIndex(2)),
        ..commands(2, 3, 3, 50)
    };
    cut_everywhere(&[
        Append(vec![commands(1, 4, 1, 50)]),
        Append(vec![replaced]),
        Idle,
    ]);
}

#[test]
fn a_segment_switch() {
    let history: Vec<_> = (1..=8)
        .map(|i| Append(vec![commands(i, i, 1, 3000)]))
        .collect();
    cut_everywhere(&history);
}

#[test]
fn a_segment_switch_into_a_prepared_spare() {
    let mut history = vec![PrepareSpare];
    history.extend((1..=7).map(|i| Append(vec![commands(i, i, 1, 4000)])));
    cut_everywhere(&history);
}

#[test]
fn a_batch_over_several_segments() {
    cut_everywhere(&[Append(vec![
        commands(1, 9, 1, 3000),
        commands(10, 18, 2, 4000),
    ])]);
}

#[test]
fn a_truncation_below_the_segment() {
    let mut history: Vec<_> = (1..=7)
        .map(|i| Append(vec![commands(i, i, 1, 3000)]))
        .collect();
    let replaced = Persist {
        truncate_from: Some(LogIndex(2)),
        ..commands(2, 3, 2, 50)
    };
    history.extend([Append(vec![replaced]), Append(vec![commands(4, 4, 2, 10)])]);
    cut_everywhere(&history);
}

#[test]
fn an_installed_snapshot() {
    cut_everywhere(&[
        Append(vec![commands(1, 4, 1, 50)]),
        Append(vec![start_at(100, 2, &[1, 2, 3])]),
        Append(vec![commands(101, 102, 2, 50)]),
    ]);
}

#[test]
fn purges_and_recycling() {
    let mut history = Vec::new();
    for index in 1..=22 {
        history.push(Append(vec![commands(index, index, 1, 2500)]));
        if index % 6 == 0 {
            history.push(Purge(index - 1));
        }
    }
    cut_everywhere(&history);
}

#[test]
fn restarts() {
    cut_everywhere(&[
        Append(vec![commands(1, 2, 1, 100)]),
        Restart,
        Append(vec![commands(3, 3, 1, 5000)]),
        Restart,
        Restart,
    ]);
}

/// A crash during the recovery from a crash, at every change that recovery makes.
#[test]
fn crashes_during_recovery() {
    let start = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&start);
    let mut model = Model::default();
    for write in [commands(1, 1, 1, 100), commands(2, 2, 2, 6000)] {
        log.append(std::slice::from_ref(&write)).unwrap();
        model.append(&write);
    }
    let torn = commands(3, 4, 2, 5000);
    start.cut_power_after(1);
    log.append(std::slice::from_ref(&torn)).unwrap_err();
    drop(log);
    let mut states = vec![model.clone()];
    for part in parts(&torn) {
        model.append(&part);
        states.push(model.clone());
    }
    for first in 0..12 {
        let crashed = start.fork();
        crashed.crash(Survivors::Seeded(first));
        for cut in 0..6 {
            let disk = crashed.fork();
            disk.cut_power_after(cut);
            let interrupted = open(&disk, root());
            drop(interrupted);
            for second in 0..4 {
                let disk = disk.fork();
                disk.crash(Survivors::Seeded(second));
                check_survival(&disk, &states, &format!("{first}, cut {cut}, {second}"));
            }
        }
    }
}

/// A write that was cut at every byte, on a fresh segment and on one whose older life shows through.
#[test]
fn a_write_torn_at_every_byte() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let mut model = Model::default();
    for index in 1..=40 {
        let write = commands(index, index, 1, 2500);
        log.append(std::slice::from_ref(&write)).unwrap();
        model.append(&write);
        log.purge(LogIndex(index - 1)).unwrap();
        model.purged = LogIndex(index - 1);
    }
    let torn = commands(41, 42, 1, 2500);
    disk.cut_power_after(1);
    log.append(std::slice::from_ref(&torn)).unwrap_err();
    drop(log);
    let mut whole = model.clone();
    whole.append(&torn);
    let states = [model, whole];
    for torn_bytes in 0..=8192 {
        let disk = disk.fork();
        disk.crash(Survivors::Prefix {
            changes: 0,
            torn_bytes,
        });
        let (log, recovered) = open_sim(&disk);
        let found = states
            .iter()
            .position(|state| state.difference(&log, &recovered).is_none());
        let found = found.unwrap_or_else(|| panic!("torn after {torn_bytes} bytes"));
        assert!(
            found == 0 || torn_bytes >= 64 + 2 * 2524,
            "whole after {torn_bytes} bytes"
        );
    }
}

/// What is cut becomes zeros before anything is appended, on the disk and not in the page cache only.
#[test]
fn a_torn_tail_becomes_durable_zeros() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    log.append(&[commands(1, 1, 1, 100)]).unwrap();
    disk.cut_power_after(1);
    log.append(&[commands(2, 3, 1, 5000)]).unwrap_err();
    drop(log);
    disk.crash(Survivors::Prefix {
        changes: 0,
        torn_bytes: 9000,
    });
    let (log, recovered) = open_sim(&disk);
    let torn = recovered.report.torn.unwrap();
    assert_eq!(
        (torn.offset, recovered.report.cleared_bytes),
        (16_384, 12_288)
    );
    drop(log);
    disk.crash(Survivors::None);
    let bytes = disk.contents(&torn.file).unwrap();
    // The empty frame that protects entry 1 is all that is left behind it.
    assert!(bytes[16_384..].starts_with(b"DMQFRAME"));
    assert!(bytes[16_384 + 64..].iter().all(|byte| *byte == 0));
}
