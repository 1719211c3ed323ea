//! Readers on other threads while the writer appends, truncates and purges, on real files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use dmq_log::{DataDir, FileDisk, Log, LogOptions, LogReader, ReadError};
use dmq_raft::{EntryKind, LogIndex, Persist, Term};
use support::*;

/// What every entry that is read must be, whatever happens around it.
fn check_entries(entries: &[dmq_raft::Entry], first: LogIndex) {
    for (entry, index) in entries.iter().zip(first.0..) {
        assert_eq!(entry.index.0, index);
        assert_eq!(entry.kind, EntryKind::Command);
        let wanted = payload(index, entry.term.0, entry.payload.len());
        assert!(
            entry.payload == wanted,
            "entry {index} is not what was written"
        );
    }
}

/// Reads all over the log until told to stop; returns how many reads were served and how many were too late.
fn read_all_the_time(reader: &LogReader<FileDisk>, stop: &AtomicBool, seed: u64) -> (u64, u64) {
    let (mut served, mut late, mut state) = (0, 0, seed);
    while !stop.load(Ordering::Relaxed) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (start, last) = (reader.start().index.0, reader.last().index.0);
        // The oldest entries are where purging and recycling happen.
        let first = LogIndex(start + 1 + (state >> 33) % (last - start).clamp(1, 20));
        match reader.read(first..=LogIndex(first.0 + 30), 20_000) {
            Ok(entries) => {
                assert!(!entries.is_empty());
                check_entries(&entries, first);
                served += 1;
            }
            Err(ReadError::Compacted { .. } | ReadError::Beyond { .. }) => late += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (served, late)
}

/// Stops the other threads when the writer ends, even by a panic.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_whole_entries_while_segments_are_recycled() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("node-1");
    DataDir::format(
        &FileDisk,
        &root,
        &identity(),
        &format_options(SEGMENT_BYTES),
    )
    .unwrap();
    let dir = DataDir::open(&FileDisk, &root).unwrap();
    let (mut log, _) = Log::open(&dir, LogOptions::default()).unwrap();
    let stop = AtomicBool::new(false);
    let (reader, spares) = (log.reader(), log.spares());
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let readers = [1, 2].map(|seed| {
            let (reader, stop) = (reader.clone(), &stop);
            scope.spawn(move || read_all_the_time(&reader, stop, seed))
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                spares.prepare().unwrap();
                std::thread::yield_now();
            }
        });
        for index in 1..=600 {
            let term = index / 50 + 1;
            log.append(&[commands(index, index, term, 1500)]).unwrap();
            if index % 7 == 0 {
                log.purge(LogIndex(index.saturating_sub(15))).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        let served: u64 = readers.map(|reader| reader.join().unwrap().0).iter().sum();
        assert!(served > 0);
    });
    assert!(log.start().index > LogIndex(500));
}

#[test]
fn readers_follow_truncations() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let reader = log.reader();
    log.append(&[commands(1, 5, 1, 100)]).unwrap();
    assert_eq!(reader.term_at(LogIndex(4)), Some(Term(1)));
    let replaced = Persist {
        truncate_from: Some(LogIndex(3)),
        ..commands(3, 3, 2, 100)
    };
    log.append(&[replaced]).unwrap();
    assert_eq!(
        (reader.last(), reader.term_at(LogIndex(4))),
        (log.last(), None)
    );
    let read = reader.read(LogIndex(1)..=LogIndex(9), usize::MAX).unwrap();
    assert_eq!(
        read.iter().map(|entry| entry.term.0).collect::<Vec<_>>(),
        [1, 1, 2]
    );
    check_entries(&read, LogIndex(1));
}

#[test]
fn a_reader_outlives_the_log() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    log.append(&[commands(1, 5, 1, 100)]).unwrap();
    let reader = log.reader();
    drop(log);
    assert_eq!(
        reader
            .read(LogIndex(1)..=LogIndex(5), usize::MAX)
            .unwrap()
            .len(),
        5
    );
}
