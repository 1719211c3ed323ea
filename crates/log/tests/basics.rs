//! The log on a disk that behaves: append, read, truncate, purge, reopen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use dmq_log::{LogError, ReadError};
use dmq_raft::{LogIndex, Persist};
use support::*;

/// Runs writes one by one, then reopens: the log must be the model, before and after.
fn check(segment_bytes: u64, writes: &[Persist]) -> Model {
    let disk = formatted(segment_bytes);
    let mut model = Model::default();
    let (mut log, recovered) = open_sim(&disk);
    assert_eq!(model.difference(&log, &recovered), None);
    for persist in writes {
        log.append(std::slice::from_ref(persist)).unwrap();
        model.append(persist);
        assert_eq!(log.last(), model.last());
        assert_eq!(entries(&log), model.entries);
    }
    drop(log);
    let (log, recovered) = open_sim(&disk);
    assert_eq!(model.difference(&log, &recovered), None);
    model
}

#[test]
fn appended_entries_are_read_back() {
    check(
        SEGMENT_BYTES,
        &[commands(1, 3, 1, 50), commands(4, 4, 2, 0)],
    );
}

#[test]
fn a_log_goes_over_many_segments() {
    let writes: Vec<_> = (1..60)
        .map(|index| commands(index, index, 1, 100))
        .collect();
    check(SEGMENT_BYTES, &writes);
}

#[test]
fn a_batch_larger_than_a_segment_is_split() {
    check(SEGMENT_BYTES, &[commands(1, 100, 1, 1000)]);
}

#[test]
fn truncations_cut_in_the_segment_and_below_it() {
    let mut writes: Vec<_> = (1..20)
        .map(|index| commands(index, index, 1, 100))
        .collect();
    writes.push(Persist {
        truncate_from: Some(LogIndex(19)),
        ..commands(19, 20, 2, 10)
    });
    writes.push(Persist {
        truncate_from: Some(LogIndex(3)),
        ..commands(3, 5, 3, 10)
    });
    writes.push(truncate(1));
    writes.push(commands(1, 2, 4, 10));
    check(SEGMENT_BYTES, &writes);
}

#[test]
fn a_start_point_drops_a_log_that_does_not_hold_it() {
    let writes = [
        commands(1, 3, 1, 50),
        start_at(1000, 2, &[1, 2]),
        commands(1001, 1002, 2, 9),
    ];
    let model = check(SEGMENT_BYTES, &writes);
    assert_eq!(model.start_configuration, (LogIndex(1000), voters(&[1, 2])));
}

#[test]
fn a_start_point_that_the_log_holds_cuts_behind_it() {
    check(
        SEGMENT_BYTES,
        &[
            commands(1, 5, 1, 50),
            start_at(3, 1, &[]),
            commands(4, 4, 2, 9),
        ],
    );
}

#[test]
fn configurations_follow_truncations() {
    let first = Persist {
        entries: vec![configuration(1, 1, &[1])],
        ..commands(1, 0, 1, 0)
    };
    let second = Persist {
        entries: vec![configuration(2, 1, &[1, 2])],
        ..nothing()
    };
    let model = check(
        SEGMENT_BYTES,
        &[first, second, truncate(2), commands(2, 3, 2, 5)],
    );
    assert_eq!(
        model.configuration_at(LogIndex(3)),
        (LogIndex(1), voters(&[1]))
    );
}

#[test]
fn several_writes_are_one_frame_and_one_sync() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let before = disk.stats();
    log.append(&[commands(1, 3, 1, 50), commands(4, 9, 2, 50)])
        .unwrap();
    let after = disk.stats();
    assert_eq!(
        (after.writes - before.writes, after.syncs - before.syncs),
        (1, 1)
    );
    assert_eq!(after.written_bytes - before.written_bytes, 4096);
}

#[test]
fn nothing_to_write_costs_nothing() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let before = disk.stats();
    log.append(&[nothing()]).unwrap();
    log.append(&[]).unwrap();
    log.idle().unwrap();
    assert_eq!(
        disk.stats(),
        before,
        "the last frame is an empty one since the log was opened"
    );
}

#[test]
fn purge_gives_up_whole_segments_only() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let mut model = Model::default();
    for index in 1..=30 {
        let persist = commands(index, index, 1, 100);
        log.append(std::slice::from_ref(&persist)).unwrap();
        model.append(&persist);
    }
    let segments = log.segments();
    let start = log.purge(LogIndex(17)).unwrap();
    model.purged = LogIndex(17);
    assert!(
        start.index <= LogIndex(17) && start.index > LogIndex(10),
        "{start}"
    );
    assert!(log.segments() < segments);
    assert_eq!(log.start(), start);
    let read = log.reader().read(start.index..=LogIndex(30), 100);
    assert_eq!(read, Err(ReadError::Compacted { start }));
    assert_eq!(
        log.purge(LogIndex(17)).unwrap(),
        start,
        "a second time there is nothing to do"
    );
    drop(log);
    let (mut log, recovered) = open_sim(&disk);
    assert_eq!(recovered.start, start);
    assert_eq!(model.difference(&log, &recovered), None);
    log.purge(LogIndex(99)).unwrap();
    assert_eq!(log.segments(), 1, "never the last one");
}

#[test]
fn purged_segments_are_used_again() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    for index in 1..=200 {
        log.append(&[commands(index, index, 1, 100)]).unwrap();
        log.purge(LogIndex(index)).unwrap();
    }
    let files = disk.files();
    let sized = files
        .iter()
        .filter(|path| path.starts_with(log_dir()))
        .count();
    assert!(sized <= 4, "{files:?}");
    drop(log);
    let (log, recovered) = open_sim(&disk);
    assert_eq!(log.last().index, LogIndex(200));
    assert!(
        recovered.start.index >= LogIndex(196),
        "{}",
        recovered.start
    );
}

#[test]
fn a_spare_is_prepared_once_and_then_taken() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let spares = log.spares();
    assert_eq!(spares.prepare(), Ok(true));
    assert_eq!(spares.prepare(), Ok(false));
    let written = disk.stats().written_bytes;
    let mut index = 0;
    while log.segments() == 1 {
        index += 1;
        log.append(&[commands(index, index, 1, 3000)]).unwrap();
    }
    let grown = disk.stats().written_bytes - written;
    assert!(
        grown < SEGMENT_BYTES * 2,
        "{grown}: the switch wrote no zeros"
    );
    assert_eq!(spares.ready(), 0);
    drop(log);
    open_sim(&disk);
}

#[test]
fn reads_are_limited_by_range_and_bytes() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    for index in 1..=20 {
        log.append(&[commands(index, index, 1, 100)]).unwrap();
    }
    let reader = log.reader();
    let count = |first, last, bytes| {
        reader
            .read(LogIndex(first)..=LogIndex(last), bytes)
            .map(|entries| entries.len())
    };
    assert_eq!(count(1, 20, usize::MAX), Ok(20));
    assert_eq!(count(3, 9, usize::MAX), Ok(7));
    assert_eq!(count(3, 9, 0), Ok(1), "at least one");
    assert_eq!(count(3, 9, 132 * 3), Ok(3));
    assert_eq!(count(3, 9, 132 * 3 - 1), Ok(2));
    assert_eq!(count(15, 99, usize::MAX), Ok(6), "what is durable");
    assert_eq!(count(9, 3, usize::MAX), Ok(0), "an empty range");
    assert_eq!(
        count(21, 22, 1),
        Err(ReadError::Beyond { last: log.last() })
    );
    assert_eq!(
        count(0, 22, 1),
        Err(ReadError::Compacted { start: log.start() })
    );
}

#[test]
fn breaches_of_contract_are_refused_before_anything_is_written() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    log.append(&[start_at(10, 2, &[1]), commands(11, 13, 3, 10)])
        .unwrap();
    let written = disk.stats();
    let bad = [
        commands(15, 15, 3, 1),
        commands(13, 13, 3, 1),
        Persist {
            hard_state: None,
            ..commands(14, 14, 4, 1)
        },
        Persist {
            hard_state: None,
            ..commands(14, 14, 2, 1)
        },
        commands(14, 14, 2, 1),
        truncate(10),
        truncate(15),
        start_at(9, 3, &[1]),
    ];
    for persist in bad {
        let refused = log.append(&[commands(14, 14, 3, 1), truncate(14), persist.clone()]);
        assert!(
            matches!(refused, Err(LogError::Contract(_))),
            "{persist:?}: {refused:?}"
        );
    }
    assert_eq!(disk.stats(), written);
    log.append(&[commands(14, 14, 3, 1)]).unwrap();
}

#[test]
fn an_entry_larger_than_a_segment_is_refused() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let refused = log.append(&[commands(1, 1, 1, 5000), commands(2, 2, 1, 50_000)]);
    let Err(LogError::TooLarge {
        index: LogIndex(2),
        max_bytes,
        ..
    }) = refused
    else {
        panic!("{refused:?}")
    };
    let fits = max_bytes - 24;
    let refused = log.append(&[commands(1, 1, 1, fits + 1)]);
    assert!(
        matches!(refused, Err(LogError::TooLarge { .. })),
        "{refused:?}"
    );
    log.append(&[commands(1, 1, 1, fits)]).unwrap();
    log.idle().unwrap();
    drop(log);
    let (log, _) = open_sim(&disk);
    assert_eq!(log.last().index, LogIndex(1));
}

#[test]
fn a_closed_log_takes_nothing_more() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    log.append(&[commands(1, 1, 1, 1)]).unwrap();
    log.close().unwrap();
    assert_eq!(log.append(&[commands(2, 2, 1, 1)]), Err(LogError::Closed));
    assert_eq!(log.idle(), Err(LogError::Closed));
    assert_eq!(log.purge(LogIndex(1)), Err(LogError::Closed));
}
