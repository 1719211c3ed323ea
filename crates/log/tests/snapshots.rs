//! Snapshot files: whole or not there, whatever crashes; resumable transfers; retention.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use dmq_log::sim::{Fault, FaultKind, Operation, SimDisk, Survivors};
use dmq_log::{
    DataDir, Disk, Incarnation, SnapshotError, SnapshotInfo, SnapshotMeta, SnapshotOffer,
    SnapshotReader, SnapshotStore, snapshot_files,
};
use dmq_raft::{EntryId, LogIndex, Term};
use support::*;

fn at(index: u64) -> EntryId {
    EntryId::new(Term(2), LogIndex(index))
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta {
        last: at(index),
        configuration: (LogIndex(1), voters(&[1, 2, 3])),
        cluster_id: "dmq".into(),
        incarnation: Incarnation {
            number: 0,
            nonce: 0,
        },
        feature_level: 3,
        state_hash: 1 << 100 | u128::from(index),
    }
}

/// Content that does not compress to nothing.
fn content(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn counts() -> BTreeMap<String, u64> {
    BTreeMap::from([("topics".to_owned(), 12), ("partitions".to_owned(), 240)])
}

fn store(disk: &SimDisk) -> SnapshotStore<SimDisk> {
    SnapshotStore::open(&DataDir::open(disk, root()).unwrap()).unwrap()
}

fn write<D: Disk>(
    store: &SnapshotStore<D>,
    index: u64,
    content: &[u8],
) -> Result<SnapshotInfo, SnapshotError> {
    let mut writer = store.create(meta(index))?;
    for piece in content.chunks(300_000) {
        writer.write(piece)?;
    }
    writer.finish(counts())
}

fn read<D: Disk>(reader: &SnapshotReader<D>) -> Vec<u8> {
    reader
        .chunks()
        .unwrap()
        .flat_map(|chunk| chunk.unwrap().to_vec())
        .collect()
}

/// Sends a file from one store to another, in pieces, from where the receiver stands. Returns the bytes sent.
fn transfer<D: Disk>(
    from: &SnapshotReader<D>,
    to: &SnapshotStore<D>,
    piece_bytes: usize,
) -> Result<u64, SnapshotError> {
    let mut incoming = to.receive(&from.info().offer())?;
    let begin = incoming.offset();
    while incoming.offset() < from.info().file_bytes {
        let piece = from.read_raw(incoming.offset(), piece_bytes)?;
        incoming.write(incoming.offset(), &piece, crc32c::crc32c(&piece))?;
    }
    let info = incoming.finish()?;
    assert_eq!(&info, from.info());
    Ok(info.file_bytes - begin)
}

#[test]
fn a_snapshot_is_read_back() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("node-1");
    let disk = dmq_log::FileDisk;
    DataDir::format(&disk, &root, &identity(), &format_options(SEGMENT_BYTES)).unwrap();
    let dir = DataDir::open(&disk, &root).unwrap();
    let store = SnapshotStore::open(&dir).unwrap();
    for (index, len) in [(1, 0), (2, 1), (3, 1 << 20), (4, (2 << 20) + 77)] {
        let written = write(&store, index, &content(len)).unwrap();
        assert_eq!(written.content_bytes, len as u64);
        let reader = store.reader(at(index)).unwrap();
        assert_eq!(reader.info(), &written);
        assert_eq!(
            (&reader.info().meta, &reader.info().counts),
            (&meta(index), &counts())
        );
        assert_eq!(read(&reader), content(len));
        let path = &snapshot_files(&disk, &root).unwrap()[0];
        assert_eq!(std::fs::metadata(path).unwrap().len(), written.file_bytes);
        assert_eq!(SnapshotReader::open(&disk, path).unwrap().info(), &written);
    }
    let listed: Vec<_> = store
        .list()
        .unwrap()
        .iter()
        .map(|info| info.meta.last)
        .collect();
    assert_eq!(listed, [at(4), at(3), at(2), at(1)], "newest first");
}

#[test]
fn meta_and_offers_are_encoded() {
    assert_eq!(SnapshotMeta::decode(&meta(7).encode()), Some(meta(7)));
    let offer = SnapshotOffer {
        last: at(7),
        file_bytes: 99,
        sha256: [3; 32],
    };
    assert_eq!(SnapshotOffer::decode(&offer.encode()), Some(offer));
    assert_eq!(SnapshotOffer::decode(b"nonsense"), None);
}

#[test]
fn an_unfinished_snapshot_leaves_nothing() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    let files = disk.files();
    let mut writer = store.create(meta(5)).unwrap();
    writer.write(&content(100)).unwrap();
    assert!(
        matches!(store.create(meta(6)), Err(SnapshotError::Busy(_))),
        "one at a time"
    );
    drop(writer);
    assert_eq!(disk.files(), files);
    write(&store, 6, &content(100)).unwrap();
}

#[test]
fn a_full_disk_fails_the_snapshot_only() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    write(&store, 1, &content(1000)).unwrap();
    disk.set_capacity(SEGMENT_BYTES + 500_000);
    let failed = write(&store, 2, &content(3 << 20));
    assert!(
        matches!(failed, Err(SnapshotError::NoSpace { .. })),
        "{failed:?}"
    );
    disk.set_capacity(u64::MAX);
    assert_eq!(store.list().unwrap().len(), 1);
    assert!(
        disk.files()
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "tmp"))
    );
    write(&store, 2, &content(3 << 20)).unwrap();
}

#[test]
fn a_failed_sync_fails_the_snapshot_and_a_new_attempt_begins_afresh() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    for after in 0..3 {
        let (name_contains, kind) = (".tmp".into(), FaultKind::Io);
        disk.inject(Fault {
            operation: Operation::Sync,
            name_contains,
            after,
            kind,
        });
        assert!(matches!(
            write(&store, 2, &content(2 << 20)),
            Err(SnapshotError::Io(_))
        ));
    }
    write(&store, 2, &content(2 << 20)).unwrap();
    disk.crash(Survivors::None);
    let store = SnapshotStore::open(&DataDir::open(&disk, root()).unwrap()).unwrap();
    assert_eq!(read(&store.reader(at(2)).unwrap()), content(2 << 20));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    write(&store, 1, &content(500)).unwrap();
    write(&store, 2, &content(900)).unwrap();
    let path = snapshot_files(&disk, root()).unwrap()[0].clone();
    let bytes = disk.contents(&path).unwrap();
    for at_byte in 0..bytes.len() {
        disk.flip_bit(&path, at_byte, 5);
        let opened = store.reader(at(2)).map(|_| ());
        assert!(
            matches!(opened, Err(SnapshotError::Corrupt(_))),
            "byte {at_byte}: {opened:?}"
        );
        disk.damage(&path, |content| content.clone_from(&bytes));
    }
    for len in 0..bytes.len() {
        disk.damage(&path, |content| content.truncate(len));
        let newest = store.newest().unwrap();
        assert_eq!(
            newest.reader.unwrap().info().meta.last,
            at(1),
            "cut to {len} bytes"
        );
        assert_eq!(newest.damaged.len(), 1);
        assert_eq!(newest.damaged[0].file, path);
        disk.damage(&path, |content| content.clone_from(&bytes));
    }
    assert_eq!(
        store.newest().unwrap().reader.unwrap().info().meta.last,
        at(2)
    );
}

#[test]
fn snapshots_of_other_histories_are_refused() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    let other = SnapshotMeta {
        incarnation: Incarnation {
            number: 1,
            nonce: 9,
        },
        ..meta(1)
    };
    assert!(matches!(
        store.create(other),
        Err(SnapshotError::Foreign { .. })
    ));
    let other = SnapshotMeta {
        cluster_id: "other".into(),
        ..meta(1)
    };
    assert!(matches!(
        store.create(other),
        Err(SnapshotError::Foreign { .. })
    ));
    assert!(matches!(
        store.reader(at(3)),
        Err(SnapshotError::NotFound { .. })
    ));
}

#[test]
fn a_snapshot_of_another_cluster_is_not_received() {
    let foreign = SimDisk::new(8);
    let identity = dmq_log::Identity {
        cluster_id: "other".into(),
        ..identity()
    };
    DataDir::format(&foreign, root(), &identity, &format_options(SEGMENT_BYTES)).unwrap();
    let from = store(&foreign);
    let writer = from
        .create(SnapshotMeta {
            cluster_id: "other".into(),
            ..meta(1)
        })
        .unwrap();
    writer.finish(counts()).unwrap();
    let disk = formatted(SEGMENT_BYTES);
    let refused = transfer(&from.reader(at(1)).unwrap(), &store(&disk), 1000);
    assert!(
        matches!(refused, Err(SnapshotError::Foreign { .. })),
        "{refused:?}"
    );
    assert!(
        disk.files()
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "part"))
    );
}

#[test]
fn a_snapshot_is_received_in_pieces_of_any_size() {
    let sender = formatted(SEGMENT_BYTES);
    let from = store(&sender);
    write(&from, 9, &content(1_500_000)).unwrap();
    let reader = from.reader(at(9)).unwrap();
    for piece_bytes in [1000, 65_536, 1 << 20, 10 << 20] {
        let receiver = formatted(SEGMENT_BYTES);
        let sent = transfer(&reader, &store(&receiver), piece_bytes).unwrap();
        assert_eq!(sent, reader.info().file_bytes);
        receiver.crash(Survivors::None);
        let to = store(&receiver);
        assert!(
            read(&to.reader(at(9)).unwrap()) == content(1_500_000),
            "{piece_bytes}"
        );
    }
}

#[test]
fn wrong_pieces_are_refused_and_harmless() {
    let (sender, receiver) = (formatted(SEGMENT_BYTES), formatted(SEGMENT_BYTES));
    let (from, to) = (store(&sender), store(&receiver));
    write(&from, 9, &content(5000)).unwrap();
    let reader = from.reader(at(9)).unwrap();
    let mut incoming = to.receive(&reader.info().offer()).unwrap();
    let piece = reader.read_raw(0, 1000).unwrap();
    let crc = crc32c::crc32c(&piece);
    let damaged = incoming.write(0, &piece, crc ^ 1);
    assert_eq!(damaged, Err(SnapshotError::DamagedPiece { offset: 0 }));
    let early = incoming.write(5, &piece, crc);
    assert_eq!(
        early,
        Err(SnapshotError::WrongOffset {
            expected: 0,
            found: 5
        })
    );
    incoming.write(0, &piece, crc).unwrap();
    let twice = incoming.write(0, &piece, crc);
    assert_eq!(
        twice,
        Err(SnapshotError::WrongOffset {
            expected: 1000,
            found: 0
        })
    );
    let long = content(10_000);
    assert!(
        incoming.write(1000, &long, crc32c::crc32c(&long)).is_err(),
        "beyond the end"
    );
    let early = incoming.finish().unwrap_err();
    assert!(
        matches!(early, SnapshotError::Incomplete { offset: 1000, .. }),
        "{early}"
    );
    transfer(&reader, &to, 999).unwrap();
}

#[test]
fn a_file_that_is_not_the_offered_one_is_dropped_at_the_end() {
    let (sender, receiver) = (formatted(SEGMENT_BYTES), formatted(SEGMENT_BYTES));
    let (from, to) = (store(&sender), store(&receiver));
    write(&from, 9, &content(5000)).unwrap();
    let reader = from.reader(at(9)).unwrap();
    let offer = SnapshotOffer {
        sha256: [1; 32],
        ..reader.info().offer()
    };
    let mut incoming = to.receive(&offer).unwrap();
    let all = reader.read_raw(0, 1 << 20).unwrap();
    incoming.write(0, &all, crc32c::crc32c(&all)).unwrap();
    assert!(matches!(incoming.finish(), Err(SnapshotError::Corrupt(_))));
    assert!(to.list().unwrap().is_empty());
    assert_eq!(to.receive(&offer).unwrap().offset(), 0);
}

#[test]
fn a_transfer_resumes_behind_its_last_whole_chunk() {
    let (sender, receiver) = (formatted(SEGMENT_BYTES), formatted(SEGMENT_BYTES));
    let (from, to) = (store(&sender), store(&receiver));
    write(&from, 9, &content(4 << 20)).unwrap();
    let reader = from.reader(at(9)).unwrap();
    let mut incoming = to.receive(&reader.info().offer()).unwrap();
    while incoming.offset() < 3 << 20 {
        let piece = reader.read_raw(incoming.offset(), 100_000).unwrap();
        incoming
            .write(incoming.offset(), &piece, crc32c::crc32c(&piece))
            .unwrap();
    }
    assert!(matches!(
        to.receive(&reader.info().offer()),
        Err(SnapshotError::Busy(_))
    ));
    drop(incoming);
    drop(to);
    receiver.crash(Survivors::Seeded(4));
    let to = store(&receiver);
    let resumed = to.receive(&reader.info().offer()).unwrap().offset();
    assert!((1 << 20..=3 << 20).contains(&resumed), "{resumed}");
    assert_eq!(
        transfer(&reader, &to, 1 << 20).unwrap(),
        reader.info().file_bytes - resumed
    );

    write(&from, 10, &content(2 << 20)).unwrap();
    let other = from.reader(at(10)).unwrap();
    let mut incoming = to.receive(&other.info().offer()).unwrap();
    let piece = other.read_raw(0, 1_200_000).unwrap();
    incoming.write(0, &piece, crc32c::crc32c(&piece)).unwrap();
    drop(incoming);
    write(&from, 11, &content(1 << 20)).unwrap();
    transfer(&from.reader(at(11)).unwrap(), &to, 1 << 20).unwrap();
    let part = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "part");
    assert!(
        !receiver.files().iter().any(part),
        "the part of another snapshot is dropped"
    );
}

#[test]
fn retention_keeps_the_newest_and_never_loses_the_newest_whole_one() {
    let disk = formatted(SEGMENT_BYTES);
    let store = store(&disk);
    for index in 1..=5 {
        write(&store, index, &content(100)).unwrap();
    }
    let kept = || {
        store
            .list()
            .unwrap()
            .iter()
            .map(|info| info.meta.last.index.0)
            .collect()
    };
    store.retain(3).unwrap();
    let all: Vec<u64> = kept();
    assert_eq!(all, [5, 4, 3]);
    // The two newest rot.
    for path in &snapshot_files(&disk, root()).unwrap()[..2] {
        disk.flip_bit(path, 150, 1);
    }
    let reader = store.reader(at(3)).unwrap();
    store.retain(1).unwrap();
    assert_eq!(
        store.newest().unwrap().reader.unwrap().info().meta.last,
        at(3)
    );
    assert_eq!(
        snapshot_files(&disk, root()).unwrap().len(),
        2,
        "the newest, and the newest whole"
    );
    write(&store, 6, &content(100)).unwrap();
    store.retain(0).unwrap();
    let all: Vec<u64> = kept();
    assert_eq!(all, [6], "at least one stays");
    assert_eq!(read(&reader), content(100), "a reader outlives the name");
    drop(store);
    disk.crash(Survivors::None);
    let dir = DataDir::open(&disk, root()).unwrap();
    assert_eq!(SnapshotStore::open(&dir).unwrap().list().unwrap().len(), 1);
}

/// After a crash at any change: the old snapshot is there, the new one is whole or absent, an acknowledged one
/// is there, and it can be written again.
#[test]
fn a_writer_that_crashes_anywhere_leaves_a_whole_file_or_none() {
    let start = formatted(SEGMENT_BYTES);
    write(&store(&start), 1, &content(700)).unwrap();
    start.kill();
    let new = content((1 << 20) + 400);
    for cut in 0.. {
        let disk = start.fork();
        let snapshots = store(&disk);
        disk.cut_power_after(cut);
        let written = write(&snapshots, 2, &new);
        let ended = !disk.is_without_power();
        drop(snapshots);
        check_crashes(&disk, written.is_ok(), &new, cut);
        if ended {
            assert!(cut > 8);
            return;
        }
    }
}

#[test]
fn a_receiver_that_crashes_anywhere_leaves_a_whole_file_or_resumes() {
    let sender = formatted(SEGMENT_BYTES);
    let new = content((2 << 20) + 400);
    write(&store(&sender), 2, &new).unwrap();
    sender.kill();
    let from = store(&sender);
    let reader = from.reader(at(2)).unwrap();
    let start = formatted(SEGMENT_BYTES);
    write(&store(&start), 1, &content(700)).unwrap();
    start.kill();
    for cut in 0.. {
        let disk = start.fork();
        let snapshots = store(&disk);
        disk.cut_power_after(cut);
        let received = transfer(&reader, &snapshots, 600_000);
        let ended = !disk.is_without_power();
        drop(snapshots);
        check_crashes(&disk, received.is_ok(), &new, cut);
        for seed in 0..3 {
            let disk = disk.fork();
            disk.crash(Survivors::Seeded(seed));
            transfer(&reader, &store(&disk), 1 << 20).unwrap();
            disk.crash(Survivors::None);
            assert_eq!(
                read(&store(&disk).reader(at(2)).unwrap()),
                new,
                "cut {cut}, resumed"
            );
        }
        if ended {
            assert!(cut > 8);
            return;
        }
    }
}

fn check_crashes(disk: &SimDisk, acknowledged: bool, new: &[u8], cut: u64) {
    let selections = [Survivors::None, Survivors::All];
    let seeded = (0..4).map(Survivors::Seeded);
    for survivors in selections.into_iter().chain(seeded) {
        let disk = disk.fork();
        disk.crash(survivors);
        let snapshots = store(&disk);
        let newest = snapshots.newest().unwrap();
        assert_eq!(newest.damaged, [], "cut {cut}, {survivors:?}");
        let reader = newest.reader.unwrap();
        let last = reader.info().meta.last;
        assert!(last == at(2) || !acknowledged, "cut {cut}, {survivors:?}");
        let wanted = if last == at(2) {
            new.to_vec()
        } else {
            content(700)
        };
        assert!(read(&reader) == wanted, "cut {cut}, {survivors:?}");
        write(&snapshots, 2, new).unwrap();
    }
    // A killed writer may leave a name that is not durable; whoever sees it must make it so.
    disk.kill();
    let seen = store(disk).list().unwrap();
    disk.crash(Survivors::None);
    assert_eq!(store(disk).list().unwrap(), seen, "cut {cut}, killed");
}
