//! Readers on other threads while the writer appends, truncates and purges, on real files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dmq_log::sim::{SimDisk, SimFile, SimLock};
use dmq_log::{
    Access, DataDir, DirEntry, Disk, DiskFile, FileDisk, Log, LogOptions, LogReader, ReadError,
};
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

/// A disk on which something happens in the middle of the next read.
#[derive(Clone)]
struct HookedDisk {
    disk: SimDisk,
    hook: Hook,
}

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

struct HookedFile {
    file: SimFile,
    hook: Hook,
}

impl Disk for HookedDisk {
    type File = HookedFile;
    type Lock = SimLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<HookedFile> {
        Ok(HookedFile {
            file: self.disk.open(path, access)?,
            hook: Arc::clone(&self.hook),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<SimLock>> {
        self.disk.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.disk.is_locked(path)
    }

    fn available_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.available_bytes(dir)
    }

    fn random(&self) -> io::Result<u64> {
        self.disk.random()
    }
}

impl DiskFile for HookedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let hook = self.hook.lock().unwrap().take();
        if let Some(happens) = hook {
            happens();
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// The writer purges a segment and writes another one over it between a reader's look at the index and its
/// read: the reader must not take the new bytes for damage, nor for the old entries.
#[test]
fn a_segment_that_is_recycled_under_a_reader_is_compacted_and_not_corrupt() {
    let disk = HookedDisk {
        disk: formatted(SEGMENT_BYTES),
        hook: Hook::default(),
    };
    let (log, _) = open(&disk, root()).unwrap_or_else(|error| panic!("{error:?}"));
    let log = Arc::new(Mutex::new(log));
    log.lock()
        .unwrap()
        .append(&[commands(1, 3, 1, 100)])
        .unwrap();
    let reader = log.lock().unwrap().reader();
    let recycle = {
        let log = Arc::clone(&log);
        move || {
            let mut log = log.lock().unwrap();
            for index in 4..40 {
                log.append(&[commands(index, index, 1, 3000)]).unwrap();
                log.purge(LogIndex(index)).unwrap();
            }
        }
    };
    *disk.hook.lock().unwrap() = Some(Box::new(recycle));
    let read = reader.read(LogIndex(1)..=LogIndex(3), usize::MAX);
    let start = reader.start();
    assert!(start.index > LogIndex(30));
    assert_eq!(read, Err(ReadError::Compacted { start }));
}
