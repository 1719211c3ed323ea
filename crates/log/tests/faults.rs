//! Disks that say no: failed writes and syncs end the log, a full disk does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use dmq_log::sim::{Fault, FaultKind, Operation, SimDisk, Survivors};
use dmq_log::{Log, LogError, OpenError, ReadError};
use dmq_raft::LogIndex;
use support::*;

fn fault(operation: Operation, name_contains: &str, kind: FaultKind) -> Fault {
    Fault {
        operation,
        name_contains: name_contains.into(),
        after: 0,
        kind,
    }
}

/// A log with one acknowledged entry.
fn begun() -> (SimDisk, Log<SimDisk>, Model) {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let mut model = Model::default();
    let write = commands(1, 1, 1, 100);
    log.append(std::slice::from_ref(&write)).unwrap();
    model.append(&write);
    (disk, log, model)
}

/// After a failure every call fails alike, and nothing more reaches the disk.
fn assert_poisoned(disk: &SimDisk, log: &mut Log<SimDisk>) {
    let before = disk.stats();
    let failure = log.append(&[commands(2, 2, 1, 1)]).unwrap_err();
    assert!(matches!(failure, LogError::Fatal(_)), "{failure}");
    assert_eq!(log.append(&[]), Err(failure.clone()));
    assert_eq!(log.idle(), Err(failure.clone()));
    assert_eq!(log.purge(LogIndex(1)), Err(failure.clone()));
    assert_eq!(log.close(), Err(failure));
    assert_eq!(disk.stats(), before);
    assert_eq!(entries(log).len(), 1, "what was durable can be read");
}

#[test]
fn a_failed_write_ends_the_log() {
    let (disk, mut log, _) = begun();
    disk.inject(fault(Operation::Write, ".seg", FaultKind::Io));
    assert!(matches!(
        log.append(&[commands(2, 2, 1, 1)]),
        Err(LogError::Fatal(_))
    ));
    assert_poisoned(&disk, &mut log);
}

#[test]
fn a_failed_sync_ends_the_log() {
    let (disk, mut log, _) = begun();
    disk.inject(fault(Operation::Sync, ".seg", FaultKind::Io));
    assert!(matches!(
        log.append(&[commands(2, 2, 1, 1)]),
        Err(LogError::Fatal(_))
    ));
    assert_poisoned(&disk, &mut log);
}

#[test]
fn a_failed_empty_frame_ends_the_log() {
    let (disk, mut log, _) = begun();
    disk.inject(fault(Operation::Sync, ".seg", FaultKind::Io));
    assert!(matches!(log.idle(), Err(LogError::Fatal(_))));
    assert_poisoned(&disk, &mut log);
}

#[test]
fn a_full_disk_under_a_preallocated_segment_ends_the_log_too() {
    let (disk, mut log, _) = begun();
    disk.inject(fault(Operation::Write, ".seg", FaultKind::NoSpace));
    assert!(matches!(
        log.append(&[commands(2, 2, 1, 1)]),
        Err(LogError::Fatal(_))
    ));
    assert_poisoned(&disk, &mut log);
}

#[test]
fn every_operation_of_a_switch_can_end_the_log() {
    let operations = [
        Operation::Write,
        Operation::Sync,
        Operation::Name,
        Operation::SyncDir,
    ];
    for operation in operations {
        let (disk, mut log, mut model) = begun();
        log.spares().prepare().unwrap();
        disk.inject(fault(operation, "", FaultKind::Io));
        // A start point is nothing but a switch.
        let failed = log.append(&[start_at(50, 2, &[1])]);
        assert!(
            matches!(failed, Err(LogError::Fatal(_))),
            "{operation:?}: {failed:?}"
        );
        assert_eq!(log.idle(), Err(failed.unwrap_err()));
        drop(log);
        disk.crash(Survivors::All);
        let (log, recovered) = open_sim(&disk);
        let mut states = vec![model.clone()];
        for part in parts(&start_at(50, 2, &[1])) {
            model.append(&part);
            states.push(model.clone());
        }
        assert!(
            states
                .iter()
                .any(|state| state.difference(&log, &recovered).is_none())
        );
    }
}

/// Linux reports a failed writeback once, marks the pages clean and keeps showing them. Recovery reads a good
/// frame that is not on disk: it must be written again, not just synced.
#[test]
fn what_only_the_page_cache_holds_is_written_again() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        dmq_log::DataDir::format(&disk, root(), &identity(), &format_options(SEGMENT_BYTES))
            .unwrap();
        let (mut log, _) = open_sim(&disk);
        disk.inject(fault(Operation::Sync, ".seg", FaultKind::Io));
        let write = commands(1, 2, 1, 3000);
        log.append(std::slice::from_ref(&write)).unwrap_err();
        drop(log);
        disk.kill();
        let (log, recovered) = open_sim(&disk);
        let mut model = Model::default();
        model.append(&write);
        assert_eq!(
            model.difference(&log, &recovered),
            None,
            "seen through the page cache"
        );
        drop(log);
        disk.crash(Survivors::None);
        let (log, recovered) = open_sim(&disk);
        assert_eq!(
            model.difference(&log, &recovered),
            None,
            "seed {seed}: it had to be durable"
        );
    }
}

#[test]
fn a_sync_that_fails_in_recovery_is_an_error_and_not_a_log() {
    let (disk, log, model) = begun();
    drop(log);
    disk.kill();
    disk.inject(fault(Operation::Sync, ".seg", FaultKind::Io));
    let failed = open(&disk, root()).map(|_| ());
    assert!(
        matches!(failed, Err(OpenFailed::Log(OpenError::Io(_)))),
        "{failed:?}"
    );
    disk.kill();
    let (log, recovered) = open_sim(&disk);
    assert_eq!(model.difference(&log, &recovered), None);
}

#[test]
fn no_space_for_a_segment_leaves_the_log_as_it_is() {
    let (disk, mut log, mut model) = begun();
    disk.set_capacity(SEGMENT_BYTES + 5000);
    let large = commands(2, 12, 1, 3000);
    let refused = log.append(std::slice::from_ref(&large));
    assert!(matches!(
        refused,
        Err(LogError::NoSpace {
            wanted_bytes: SEGMENT_BYTES,
            ..
        })
    ));
    assert_eq!(
        log.spares().prepare().map_err(LogError::from),
        refused.map(|()| true),
        "in the background too"
    );
    assert_eq!(entries(&log), model.entries, "it can be read");
    assert!(
        disk.files()
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "tmp"))
    );

    let small = commands(2, 2, 1, 100);
    log.append(std::slice::from_ref(&small)).unwrap();
    model.append(&small);
    log.idle().unwrap();
    let large = commands(3, 12, 1, 3000);
    assert!(matches!(
        log.append(std::slice::from_ref(&large)),
        Err(LogError::NoSpace { .. })
    ));

    disk.set_capacity(u64::MAX);
    log.append(std::slice::from_ref(&large)).unwrap();
    model.append(&large);
    drop(log);
    disk.crash(Survivors::None);
    let (log, recovered) = open_sim(&disk);
    assert_eq!(model.difference(&log, &recovered), None);
}

/// A batch over several segments is refused before its first byte if one of them cannot be prepared.
#[test]
fn no_space_in_the_middle_of_a_batch_writes_nothing_of_it() {
    let (disk, mut log, mut model) = begun();
    log.spares().prepare().unwrap();
    disk.set_capacity(SEGMENT_BYTES * 3 - 5000);
    let large = commands(2, 20, 1, 3000);
    assert!(matches!(
        log.append(std::slice::from_ref(&large)),
        Err(LogError::NoSpace { .. })
    ));
    assert_eq!(log.last(), model.last());
    disk.set_capacity(u64::MAX);
    log.append(std::slice::from_ref(&large)).unwrap();
    model.append(&large);
    drop(log);
    let (log, recovered) = open_sim(&disk);
    assert_eq!(model.difference(&log, &recovered), None);
}

/// A node whose disk is full starts, and protects its last frame, without a new segment.
#[test]
fn a_log_opens_on_a_full_disk() {
    let (disk, mut log, mut model) = begun();
    disk.set_capacity(SEGMENT_BYTES + 5000);
    for index in 2.. {
        let write = commands(index, index, 1, 100);
        match log.append(std::slice::from_ref(&write)) {
            Ok(()) => model.append(&write),
            Err(LogError::NoSpace { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    for _ in 0..3 {
        disk.crash(Survivors::None);
        let (log, recovered) = open_sim(&disk);
        assert_eq!(model.difference(&log, &recovered), None);
        let report = dmq_log::verify(&disk, root(), &mut |_| {}).unwrap();
        assert!(!report.last_frame_unprotected);
    }
}

#[test]
fn a_rotten_entry_is_not_served() {
    let (disk, log, _) = begun();
    let is_segment = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "seg");
    let path = disk.files().iter().find(is_segment).unwrap().clone();
    let bytes = disk.contents(&path).unwrap();
    let needle = b"entry 1 of term 1";
    let at = bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap();
    disk.flip_bit(&path, at, 3);
    let read = log.reader().read(LogIndex(1)..=LogIndex(1), 100);
    let Err(ReadError::Corrupt(corruption)) = read else {
        panic!("{read:?}")
    };
    assert_eq!(corruption.file, path);
    disk.flip_bit(&path, at, 3);
    disk.inject(fault(Operation::Read, ".seg", FaultKind::Io));
    let read = log.reader().read(LogIndex(1)..=LogIndex(1), 100);
    assert!(matches!(read, Err(ReadError::Io(_))), "{read:?}");
    assert_eq!(
        log.reader()
            .read(LogIndex(1)..=LogIndex(1), 100)
            .unwrap()
            .len(),
        1
    );
}
