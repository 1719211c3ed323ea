//! Damage to a log at rest: every byte flipped, every length cut, every block zeroed. It is refused by name
//! and place, or it lies where nothing acknowledged is; nothing acknowledged is ever lost silently.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::path::PathBuf;

use dmq_log::sim::SimDisk;
use dmq_log::{Corruption, OpenError};
use dmq_raft::{LogIndex, Persist};
use support::small::{running, stopped};
use support::*;

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "seg");
    disk.files().into_iter().filter(is_segment).collect()
}

/// What became of a damaged log.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Refused(Corruption),
    /// All of it is there.
    Whole,
    /// Fewer entries, or older ones.
    Other(u64),
}

fn fate(disk: &SimDisk, model: &Model) -> Fate {
    match open(disk, root()) {
        Ok((log, recovered)) => match model.difference(&log, &recovered) {
            None => Fate::Whole,
            Some(_) => Fate::Other(log.last().index.0),
        },
        Err(OpenFailed::Log(OpenError::Corrupt(corruption))) => Fate::Refused(corruption),
        Err(other) => panic!("{other:?}"),
    }
}

/// Damages one file in every way of `damages`, each on a fresh copy.
fn sweep(
    disk: &SimDisk,
    model: &Model,
    damages: impl Iterator<Item = (PathBuf, usize)>,
    change: impl Fn(&mut Vec<u8>, usize),
    mut check: impl FnMut(&PathBuf, usize, Fate),
) {
    for (path, at) in damages {
        let disk = disk.fork();
        disk.damage(&path, |bytes| change(bytes, at));
        let fate = fate(&disk, model);
        if let Fate::Refused(corruption) = &fate {
            assert!(corruption.file.starts_with(log_dir()), "{corruption}");
        }
        check(&path, at, fate);
    }
}

fn every_byte(disk: &SimDisk) -> impl Iterator<Item = (PathBuf, usize)> {
    segments(disk)
        .into_iter()
        .flat_map(|path| (0..16 << 10).map(move |at| (path.clone(), at)))
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1 << (at % 8);
}

#[test]
fn a_log_that_ends_in_an_empty_frame_loses_nothing_to_a_flipped_bit() {
    let (disk, model) = stopped();
    let (mut refused, mut whole) = (0, 0);
    sweep(
        &disk,
        &model,
        every_byte(&disk),
        |bytes, at| flip(bytes, at),
        |path, at, fate| match fate {
            Fate::Refused(_) => refused += 1,
            Fate::Whole => whole += 1,
            Fate::Other(_) => panic!("{path:?} at {at}: silently lost"),
        },
    );
    assert!(
        refused > 3 * 4096 && whole > 0,
        "{refused} refused, {whole} harmless"
    );
}

#[test]
fn every_byte_of_an_acknowledged_record_is_protected() {
    let (disk, model) = stopped();
    let frames = acknowledged_bytes(&disk);
    assert!(frames.len() > 3000, "{}", frames.len());
    sweep(
        &disk,
        &model,
        frames.into_iter(),
        |bytes, at| flip(bytes, at),
        |path, at, fate| {
            assert!(
                matches!(fate, Fate::Refused(_)),
                "{path:?} at {at}: {fate:?}"
            );
        },
    );
}

/// The bytes of frames with records: headers and records, without padding.
fn acknowledged_bytes(disk: &SimDisk) -> Vec<(PathBuf, usize)> {
    let mut bytes = Vec::new();
    let mut visit = |visit: dmq_log::Visit<'_>| {
        if let dmq_log::Visit::Frame {
            file,
            offset,
            records,
            ..
        } = visit
        {
            let Some((last, record)) = records.last() else {
                return;
            };
            let payload = match record {
                dmq_log::Record::Entry(entry) => entry.payload.len(),
                dmq_log::Record::Configuration(_, configuration) => configuration.encode().len(),
                dmq_log::Record::HardState(_) => 20,
                _ => 0,
            };
            let end = usize::try_from(*last).unwrap() + 24 + payload;
            let start = usize::try_from(offset).unwrap();
            // Zeros between the header's fields and its checksum count: they are checked too.
            bytes.extend((start..end).map(|at| (file.to_path_buf(), at)));
        }
    };
    dmq_log::verify(disk, root(), &mut visit).unwrap();
    bytes
}

#[test]
fn a_segment_of_another_length_is_refused() {
    let (disk, model) = stopped();
    sweep(
        &disk,
        &model,
        every_byte(&disk),
        Vec::truncate,
        |path, at, fate| {
            let Fate::Refused(corruption) = fate else {
                panic!("{path:?} cut at {at}: {fate:?}")
            };
            assert_eq!(&corruption.file, path);
        },
    );
    let path = segments(&disk).pop().unwrap();
    disk.damage(&path, |bytes| bytes.push(0));
    assert!(matches!(fate(&disk, &model), Fate::Refused(_)));
}

#[test]
fn a_zeroed_sector_is_refused_or_harmless() {
    let (disk, model) = stopped();
    let sectors = every_byte(&disk).filter(|(_, at)| at % 512 == 0);
    let zero = |bytes: &mut Vec<u8>, at: usize| bytes[at..at + 512].fill(0);
    sweep(&disk, &model, sectors, zero, |path, at, fate| {
        assert!(
            !matches!(fate, Fate::Other(_)),
            "{path:?} at {at}: silently lost"
        );
    });
}

#[test]
fn a_zeroed_tail_is_refused_or_harmless() {
    let (disk, model) = stopped();
    let sectors = every_byte(&disk).filter(|(_, at)| at % 512 == 0);
    let last = segments(&disk).pop().unwrap();
    let tail = last_frame(&disk);
    let zero = |bytes: &mut Vec<u8>, at: usize| bytes[at..].fill(0);
    sweep(&disk, &model, sectors, zero, |path, at, fate| {
        // Both the last frame and the empty one behind it are gone: that is two faults, and looks like
        // neither had been written.
        let both = *path == last && at < tail + 4096;
        assert!(
            both || !matches!(fate, Fate::Other(_)),
            "{path:?} at {at}: silently lost"
        );
    });
}

/// Offset of the last frame with records, in the newest segment.
fn last_frame(disk: &SimDisk) -> usize {
    let mut last = 0;
    let mut visit = |visit: dmq_log::Visit<'_>| {
        if let dmq_log::Visit::Frame {
            offset, records, ..
        } = visit
            && !records.is_empty()
        {
            last = offset;
        }
    };
    dmq_log::verify(disk, root(), &mut visit).unwrap();
    usize::try_from(last).unwrap()
}

/// The window of DESIGN 6.2: behind the last acknowledged frame there is no witness yet, and its rot looks
/// like a write that was torn. The empty frame closes it.
#[test]
fn the_last_frame_alone_can_rot_unnoticed_until_an_empty_one_follows() {
    let (disk, model) = running();
    let newest = segments(&disk).pop().unwrap();
    let at = last_frame(&disk) + 64 + 30;
    let mut before = model.clone();
    before.entries.truncate(5);
    let rotten = disk.fork();
    rotten.damage(&newest, |bytes| flip(bytes, at));
    assert_eq!(
        fate(&rotten, &before),
        Fate::Whole,
        "the window: entries 6 and 7 are cut"
    );

    let (mut log, _) = open_sim(&disk);
    log.append(&[commands(8, 9, 2, 50)]).unwrap();
    let at = last_frame(&disk) + 64 + 30;
    let newest = segments(&disk).pop().unwrap();
    log.idle().unwrap();
    drop(log);
    disk.damage(&newest, |bytes| flip(bytes, at));
    let Fate::Refused(corruption) = fate(&disk, &model) else {
        panic!("not noticed")
    };
    assert_eq!(corruption.file, newest);
    assert_eq!(
        corruption.offset,
        last_frame_block(at),
        "file and offset are named"
    );
}

fn last_frame_block(at: usize) -> u64 {
    (at as u64) / 4096 * 4096
}

#[test]
fn without_an_empty_frame_only_the_last_one_is_at_stake() {
    let (disk, model) = running();
    let newest = segments(&disk).pop().unwrap();
    let last = last_frame(&disk);
    sweep(
        &disk,
        &model,
        every_byte(&disk),
        |bytes, at| flip(bytes, at),
        |path, at, fate| {
            let in_window = *path == newest && at >= last;
            match fate {
                Fate::Other(index) => assert!(in_window && index == 5, "{path:?} at {at}: {index}"),
                Fate::Refused(_) | Fate::Whole => {}
            }
        },
    );
}

#[test]
fn a_missing_segment_is_refused() {
    let (disk, model) = stopped();
    let all = segments(&disk);
    let middle = disk.fork();
    middle.lose_file(&all[1]);
    let Fate::Refused(corruption) = fate(&middle, &model) else {
        panic!("not noticed")
    };
    assert_eq!(corruption.file, all[2], "the one that does not follow");
    for path in &all {
        disk.lose_file(path);
    }
    assert!(
        matches!(fate(&disk, &model), Fate::Refused(_)),
        "no segment at all"
    );
}

#[test]
fn a_segment_of_another_directory_is_refused() {
    let (disk, model) = stopped();
    let other = SimDisk::new(99);
    let options = format_options(16 << 10);
    dmq_log::DataDir::format(&other, root(), &identity(), &options).unwrap();
    let foreign = other.contents(&segments(&other)[0]).unwrap();
    disk.damage(&segments(&disk)[0], |bytes| bytes.clone_from(&foreign));
    assert!(
        matches!(fate(&disk, &model), Fate::Refused(_)),
        "its checksums have another seed"
    );
}

#[test]
fn a_frame_in_a_payload_is_not_taken_for_one() {
    let disk = formatted(64 << 10);
    let (mut log, _) = open_sim(&disk);
    let bytes = disk.contents(&segments(&disk)[0]).unwrap();
    log.append(&[commands(1, 1, 1, 10)]).unwrap();
    // A client that knows the format but not the seed: frames at every boundary that call everything
    // durable, with the checksum that they would have without the seed.
    let mut forged = bytes[4096..8192].to_vec();
    forged[16..32].fill(0x7f);
    let checksum = crc32c::crc32c(&forged[..60]).to_le_bytes();
    forged[60..64].copy_from_slice(&checksum);
    let mut entry = command(2, 1, 0);
    entry.payload = [vec![0; 4096 - 64 - 24], forged.clone(), forged]
        .concat()
        .into();
    let torn = Persist {
        entries: vec![entry],
        ..nothing()
    };
    disk.cut_power_after(1);
    log.append(&[torn]).unwrap_err();
    drop(log);
    disk.crash(dmq_log::sim::Survivors::Prefix {
        changes: 0,
        torn_bytes: 8192 + 70,
    });
    let (log, _) = open_sim(&disk);
    assert_eq!(
        log.last().index,
        LogIndex(1),
        "torn, hence cut, and not refused"
    );
}

/// A disk that gives back a frame of another history, whole and in the right place: its number and checksums are
/// good, but it does not follow the frame before it.
#[test]
fn a_frame_that_does_not_follow_the_one_before_is_refused() {
    let disk = formatted(64 << 10);
    open_sim(&disk);
    disk.kill();
    let write = |disk: &SimDisk, len: usize| {
        let (mut log, _) = open_sim(disk);
        log.append(&[commands(1, 1, 1, len)]).unwrap();
        log.append(&[commands(2, 2, 1, 10)]).unwrap();
        log.close().unwrap();
    };
    let other = disk.fork();
    write(&disk, 10);
    write(&other, 11);
    let path = segments(&disk)[0].clone();
    let second = last_frame(&disk);
    assert_eq!(second, last_frame(&other));
    let stranger = other.contents(&path).unwrap()[second..second + 4096].to_vec();
    disk.kill();
    disk.damage(&path, |bytes| {
        bytes[second..second + 4096].copy_from_slice(&stranger);
    });
    let Fate::Refused(corruption) = fate(&disk, &Model::default()) else {
        panic!("not noticed")
    };
    assert_eq!((corruption.file, corruption.offset), (path, second as u64));
}
