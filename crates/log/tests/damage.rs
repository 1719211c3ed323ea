//! Damage to a data directory at rest, beyond single bits: bytes, sectors and pages in every place, files that are cut,
//! missing, doubled, exchanged. Either it is refused by file and offset, or nothing that was acknowledged is missing;
//! what a log by itself cannot see is written down here too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dmq_log::sim::{SimDisk, Survivors};
use dmq_log::{Corruption, DataDir, DataDirError, OpenError, SnapshotMeta, SnapshotStore};
use dmq_raft::{EntryId, LogIndex, Term};
use support::small::{SMALL, stopped};
use support::*;

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    files(disk, "seg")
}

fn files(disk: &SimDisk, suffix: &str) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.extension().is_some_and(|end| end == suffix);
    disk.files().into_iter().filter(is).collect()
}

/// What became of a damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Refused(Corruption),
    /// All of it is there.
    Whole,
    /// Something acknowledged is not there.
    Lost(String),
}

fn fate(disk: &SimDisk, model: &Model) -> Fate {
    match open(disk, root()) {
        Ok((log, recovered)) => model
            .difference(&log, &recovered)
            .map_or(Fate::Whole, Fate::Lost),
        Err(OpenFailed::Log(OpenError::Corrupt(corruption))) => {
            assert!(corruption.file.starts_with(log_dir()), "{corruption}");
            assert!(corruption.offset <= SMALL, "{corruption}");
            Fate::Refused(corruption)
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Damages every file at every place of `step` bytes; nothing acknowledged is missing without a word.
fn nothing_is_lost(what: &str, step: usize, damage: impl Fn(&mut [u8])) {
    let (disk, model) = stopped();
    let (mut refused, mut whole) = (0, 0);
    for path in segments(&disk) {
        for at in (0..usize::try_from(SMALL).unwrap()).step_by(step) {
            let disk = disk.fork();
            disk.damage(&path, |bytes| damage(&mut bytes[at..]));
            match fate(&disk, &model) {
                Fate::Refused(_) => refused += 1,
                Fate::Whole => whole += 1,
                Fate::Lost(difference) => {
                    panic!("{what}: {} at {at}: {difference}", path.display())
                }
            }
        }
    }
    println!("{what}: {refused} refused, {whole} harmless");
    assert!(refused > 0 && whole > 0, "{what}");
}

#[test]
fn every_byte_with_all_its_bits_flipped() {
    nothing_is_lost("flipped", 1, |rest| rest[0] ^= 0xff);
}

#[test]
fn every_byte_with_its_highest_bit_flipped() {
    nothing_is_lost("highest bit", 1, |rest| rest[0] ^= 0x80);
}

#[test]
fn every_byte_that_becomes_zero() {
    nothing_is_lost("zeroed byte", 1, |rest| rest[0] = 0);
}

#[test]
fn every_byte_that_becomes_one_of_a_header() {
    nothing_is_lost("set byte", 1, |rest| rest[0] = b'D');
}

#[test]
fn every_sector_and_page_that_is_zeroed_or_filled() {
    for (len, value) in [(512, 0), (512, 0xff), (4096, 0), (4096, 0xff), (4096, 0x5a)] {
        let what = format!("{len} bytes of {value}");
        nothing_is_lost(&what, len, |rest| rest[..len].fill(value));
    }
}

#[test]
fn a_sector_that_holds_what_another_one_held() {
    let (disk, model) = stopped();
    let paths = segments(&disk);
    for path in &paths {
        for from in (0..16 << 10).step_by(4096) {
            for to in (0..16 << 10).step_by(4096).filter(|to| *to != from) {
                let disk = disk.fork();
                disk.damage(path, |bytes| bytes.copy_within(from..from + 4096, to));
                let fate = fate(&disk, &model);
                assert!(
                    !matches!(fate, Fate::Lost(_)),
                    "{path:?}: block {from} in the place of {to}: {fate:?}"
                );
            }
        }
    }
}

#[test]
fn blocks_of_one_segment_in_another_one() {
    let (disk, model) = stopped();
    let paths = segments(&disk);
    for from in &paths {
        let source = disk.contents(from).unwrap();
        for to in paths.iter().filter(|to| *to != from) {
            for at in (0..16 << 10).step_by(4096) {
                let disk = disk.fork();
                disk.damage(to, |bytes| {
                    bytes[at..at + 4096].copy_from_slice(&source[at..at + 4096]);
                });
                let fate = fate(&disk, &model);
                assert!(
                    !matches!(fate, Fate::Lost(_)),
                    "{from:?} in {to:?} at {at}: {fate:?}"
                );
            }
        }
    }
}

#[test]
fn segments_that_are_exchanged_doubled_or_of_another_name_are_refused() {
    let (disk, model) = stopped();
    let paths = segments(&disk);
    for (one, other) in [(0, 1), (1, 2), (0, paths.len() - 1)] {
        let disk = disk.fork();
        let (first, second) = (&paths[one], &paths[other]);
        let (a, b) = (
            disk.contents(first).unwrap(),
            disk.contents(second).unwrap(),
        );
        disk.damage(first, |bytes| bytes.clone_from(&b));
        disk.damage(second, |bytes| bytes.clone_from(&a));
        assert!(
            matches!(fate(&disk, &model), Fate::Refused(_)),
            "{one} and {other}"
        );
    }
    // The newest once more, under the name that would come next.
    let newest = paths.last().unwrap();
    for (sequence, first) in [
        (paths.len() + 1, 8),
        (paths.len() + 1, 1),
        (paths.len() + 2, 8),
    ] {
        let disk = disk.fork();
        let copy = disk.contents(newest).unwrap();
        put(
            &disk,
            &log_dir().join(format!("{sequence:020}-{first:020}.seg")),
            &copy,
        );
        let Fate::Refused(corruption) = fate(&disk, &model) else {
            panic!("segment {sequence} from {first} on")
        };
        assert!(
            corruption
                .file
                .ends_with(format!("{sequence:020}-{first:020}.seg"))
        );
    }
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    use dmq_log::{Access, Disk, DiskFile};
    let file = disk.open(path, Access::Create).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(&log_dir()).unwrap();
}

/// A file that vanishes with its name is no damage of a disk, but of a person or a file system. In the middle it is
/// refused. The oldest looks like a purge and the newest like a switch that never was: the log alone cannot tell, and
/// says at least where it begins and ends; snapshot, database and peers are what knows better.
#[test]
fn a_segment_that_vanishes() {
    let (disk, model) = stopped();
    let paths = segments(&disk);
    assert!(paths.len() > 3);
    for (number, path) in paths.iter().enumerate() {
        let disk = disk.fork();
        assert!(disk.lose_file(path));
        let is_inner = 0 < number && number + 1 < paths.len();
        match fate(&disk, &model) {
            Fate::Refused(corruption) => {
                assert!(is_inner, "{corruption}");
                assert_eq!(
                    &corruption.file,
                    &paths[number + 1],
                    "the one that does not follow"
                );
            }
            // It held nothing but its first frame, which the next one repeats.
            Fate::Whole => assert!(!is_inner),
            Fate::Lost(difference) => {
                assert!(!is_inner, "silently lost: {difference}");
                let said = if number == 0 { "begins at" } else { "ends at" };
                assert!(
                    difference.starts_with(said) || difference.contains("HardState"),
                    "{difference}"
                );
            }
        }
    }
}

/// What lies in a spare is never looked at, whatever it is; one of another size is not used.
#[test]
fn spares_are_trusted_with_nothing() {
    let (disk, model) = stopped();
    let older = disk.contents(&segments(&disk)[0]).unwrap();
    let newest = disk.contents(segments(&disk).last().unwrap()).unwrap();
    let noise: Vec<u8> = (0..SMALL)
        .map(|at| (at * at % 251).to_le_bytes()[0])
        .collect();
    for content in [older.clone(), newest, noise, older[..5000].to_vec(), vec![]] {
        let disk = disk.fork();
        put(
            &disk,
            &log_dir().join(format!("{:020}.spare", 77)),
            &content,
        );
        assert_eq!(fate(&disk, &model), Fate::Whole);
        let mut model = model.clone();
        let (mut log, _) = open_sim(&disk);
        for index in 8..=12 {
            let write = commands(index, index, 2, 3000);
            log.append(std::slice::from_ref(&write)).unwrap();
            model.append(&write);
        }
        drop(log);
        disk.crash(Survivors::None);
        assert_eq!(fate(&disk, &model), Fate::Whole);
    }
}

/// Every byte, length and sector of the two small files.
#[test]
fn identity_and_pin_are_whole_or_refused() {
    let disk = formatted(SMALL);
    DataDir::open(&disk, root()).unwrap().pin([7; 32]).unwrap();
    disk.kill();
    for name in ["identity", "pin"] {
        let path = root().join(name);
        let good = disk.contents(&path).unwrap();
        let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
        for at in 0..good.len() {
            for mask in [0x01, 0x80, 0xff, good[at]] {
                let mut bytes = good.clone();
                bytes[at] ^= mask;
                bad.push(bytes);
            }
        }
        bad.push([good.as_slice(), &[0]].concat());
        bad.push(vec![0; good.len()]);
        for bytes in bad.into_iter().filter(|bytes| *bytes != good) {
            let disk = disk.fork();
            disk.damage(&path, |content| content.clone_from(&bytes));
            let opened = DataDir::open(&disk, root()).and_then(|dir| dir.pinned());
            assert_eq!(
                opened,
                Err(DataDirError::Damaged { path: path.clone() }),
                "{bytes:?}"
            );
        }
    }
}

/// Every byte flipped and zeroed, every length and every sector of a snapshot: it is left out by name, and the older
/// one is what is loaded.
#[test]
fn a_damaged_snapshot_is_never_loaded() {
    let disk = formatted(SMALL);
    let dir = DataDir::open(&disk, root()).unwrap();
    let store = SnapshotStore::open(&dir).unwrap();
    for index in [3, 9] {
        let mut writer = store.create(meta(index)).unwrap();
        writer.write(&payload(index, 2, 3000)).unwrap();
        writer
            .finish(BTreeMap::from([("rows".to_owned(), index)]))
            .unwrap();
    }
    drop((store, dir));
    disk.kill();
    let path = files(&disk, "snap").pop().unwrap();
    let good = disk.contents(&path).unwrap();
    let mut damages: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    for at in 0..good.len() {
        for mask in [0x01, 0x80, 0xff, good[at]] {
            let mut bytes = good.clone();
            bytes[at] ^= mask;
            damages.push(bytes);
        }
    }
    damages.push([good.as_slice(), &[0]].concat());
    damages.push([good.as_slice(), good.as_slice()].concat());
    for bytes in damages.into_iter().filter(|bytes| *bytes != good) {
        let disk = disk.fork();
        disk.damage(&path, |content| content.clone_from(&bytes));
        let dir = DataDir::open(&disk, root()).unwrap();
        let newest = SnapshotStore::open(&dir).unwrap().newest().unwrap();
        let files: Vec<_> = newest.damaged.iter().map(|damage| &damage.file).collect();
        assert_eq!(files, [&path], "{} bytes", bytes.len());
        assert_eq!(newest.reader.unwrap().info().meta.last, meta(3).last);
    }
}

fn meta(index: u64) -> SnapshotMeta {
    let identity = identity();
    SnapshotMeta {
        last: EntryId::new(Term(2), LogIndex(index)),
        configuration: (LogIndex(1), voters(&[1, 2, 3])),
        cluster_id: identity.cluster_id,
        incarnation: identity.incarnation,
        feature_level: 1,
        state_hash: u128::from(index),
    }
}
