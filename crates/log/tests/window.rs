//! The one-frame window of DESIGN 6.2: the newest acknowledged frame has no witness until another frame follows it.
//! Its rot looks like a write that was torn, and is cut; the empty frame after an idle time, at a stop and at a start closes
//! the window, and from then on the same rot is refused by file and offset.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::path::PathBuf;

use dmq_log::sim::SimDisk;
use dmq_log::{Log, OpenError};
use dmq_raft::{HardState, Persist, Term};
use support::*;

/// A log whose newest frame is the acknowledged entry 3, and the states before and after it.
struct Window {
    disk: SimDisk,
    log: Log<SimDisk>,
    before: Model,
    after: Model,
}

fn window() -> Window {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let mut before = Model::default();
    let write = commands(1, 2, 1, 100);
    log.append(std::slice::from_ref(&write)).unwrap();
    before.append(&write);
    let newest = commands(3, 3, 1, 100);
    log.append(std::slice::from_ref(&newest)).unwrap();
    let mut after = before.clone();
    after.append(&newest);
    Window {
        disk,
        log,
        before,
        after,
    }
}

/// The newest frame with records, its end without padding, and its file.
fn newest_frame(disk: &SimDisk) -> (PathBuf, usize, usize) {
    let mut newest = None;
    let mut visit = |visit: dmq_log::Visit<'_>| {
        if let dmq_log::Visit::Frame {
            file,
            offset,
            records,
            ..
        } = visit
            && let Some((at, record)) = records.last()
        {
            let payload = match record {
                dmq_log::Record::Entry(entry) => entry.payload.len(),
                dmq_log::Record::HardState(HardState { vote, .. }) => {
                    20 * usize::from(vote.is_some())
                }
                dmq_log::Record::Configuration(_, configuration) => configuration.encode().len(),
                _ => 0,
            };
            let end = usize::try_from(*at).unwrap() + 24 + payload;
            newest = Some((file.to_path_buf(), usize::try_from(offset).unwrap(), end));
        }
    };
    dmq_log::verify(disk, root(), &mut visit).unwrap();
    newest.unwrap()
}

/// Flips every byte of the newest frame with records, one at a time.
fn rot(disk: &SimDisk, mut check: impl FnMut(usize, Result<Option<u64>, (PathBuf, u64)>)) {
    let (path, start, end) = newest_frame(disk);
    for at in start..end {
        let disk = disk.fork();
        disk.flip_bit(&path, at, u8::try_from(at % 8).unwrap());
        let fate = match open(&disk, root()) {
            Ok((log, _)) => Ok(Some(log.last().index.0)),
            Err(OpenFailed::Log(OpenError::Corrupt(damage))) => Err((damage.file, damage.offset)),
            Err(other) => panic!("{other:?}"),
        };
        check(at, fate);
    }
}

/// Rot anywhere in the newest frame is refused, at that frame.
fn is_closed(disk: &SimDisk) {
    let (path, start, _) = newest_frame(disk);
    rot(disk, |at, fate| {
        assert_eq!(fate, Err((path.clone(), start as u64)), "byte {at}");
    });
}

#[test]
fn the_newest_frame_alone_is_cut_when_it_rots() {
    let Window {
        disk,
        log,
        before,
        after,
    } = window();
    drop(log);
    disk.kill();
    rot(&disk, |at, fate| {
        assert_eq!(fate, Ok(Some(2)), "byte {at}: exactly the window");
    });
    let (log, recovered) = open_sim(&disk);
    assert_eq!(
        after.difference(&log, &recovered),
        None,
        "without rot it is there"
    );
    assert!(before.difference(&log, &recovered).is_some());
}

#[test]
fn an_idle_moment_closes_the_window() {
    let Window { disk, mut log, .. } = window();
    log.idle().unwrap();
    drop(log);
    disk.kill();
    is_closed(&disk);
}

#[test]
fn an_orderly_stop_closes_the_window() {
    let Window { disk, mut log, .. } = window();
    log.close().unwrap();
    drop(log);
    disk.kill();
    is_closed(&disk);
}

#[test]
fn a_start_closes_the_window() {
    let Window { disk, log, .. } = window();
    drop(log);
    disk.kill();
    let (log, _) = open_sim(&disk);
    drop(log);
    disk.kill();
    is_closed(&disk);
}

#[test]
fn the_next_frame_closes_the_window_and_opens_its_own() {
    let Window { disk, mut log, .. } = window();
    let (path, third, _) = newest_frame(&disk);
    log.append(&[commands(4, 4, 1, 100)]).unwrap();
    drop(log);
    disk.kill();
    let rotten = disk.fork();
    rotten.flip_bit(&path, third + 70, 1);
    assert!(matches!(
        open(&rotten, root()),
        Err(OpenFailed::Log(OpenError::Corrupt(damage))) if damage.offset == third as u64
    ));
    rot(&disk, |at, fate| assert_eq!(fate, Ok(Some(3)), "byte {at}"));
}

/// A term or a vote is in the window like an entry: until the witness is there, its rot gives an older one.
#[test]
fn a_vote_is_protected_by_the_empty_frame_too() {
    let Window { disk, mut log, .. } = window();
    let state = HardState {
        term: Term(9),
        vote: Some(member(3)),
    };
    let vote = Persist {
        hard_state: Some(state),
        ..nothing()
    };
    log.append(&[vote]).unwrap();
    log.idle().unwrap();
    assert_eq!(log.hard_state(), state);
    drop(log);
    disk.kill();
    is_closed(&disk);
}

/// The last block of a segment is kept for the empty frame, so that a full segment can be protected too.
#[test]
fn a_full_segment_has_room_for_the_witness() {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let segments = log.segments();
    for index in 1.. {
        log.append(&[commands(index, index, 1, 2000)]).unwrap();
        let full = newest_frame(&disk).1 + 2 * 4096 >= usize::try_from(SEGMENT_BYTES).unwrap();
        if full {
            break;
        }
    }
    assert_eq!(log.segments(), segments, "no new segment for it");
    log.idle().unwrap();
    assert_eq!(log.segments(), segments, "no new segment for it");
    drop(log);
    disk.kill();
    is_closed(&disk);
}

/// A segment without its first frame is refused, so what a switch alone wrote is never in the window.
#[test]
fn the_first_frame_of_a_segment_is_never_in_the_window() {
    let Window { disk, mut log, .. } = window();
    log.append(&[start_at(80, 2, &[1, 2, 3])]).unwrap();
    drop(log);
    disk.kill();
    is_closed(&disk);
}
