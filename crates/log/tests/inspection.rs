//! Offline looks at a log, as `dmq-metadata log verify|dump` shows them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::fmt::Write;

use dmq_log::sim::{SimDisk, Survivors};
use dmq_log::{DataDirError, OpenError, Record, VerifyError, VerifyReport, Visit, verify};
use dmq_raft::{LogIndex, Persist};
use support::*;

/// One line per segment and frame.
fn dump(disk: &SimDisk) -> (Result<VerifyReport, VerifyError>, String) {
    let mut text = String::new();
    let report = verify(disk, root(), &mut |visit| match visit {
        Visit::Segment {
            sequence,
            first_index,
            ..
        } => {
            writeln!(text, "segment {sequence} from {first_index}").unwrap();
        }
        Visit::Frame {
            number,
            offset,
            synced_to,
            records,
            ..
        } => {
            let records: Vec<_> = records.iter().map(|(_, record)| name(record)).collect();
            let records = records.join(" ");
            writeln!(
                text,
                "  frame {number} at {offset}, synced {synced_to}: {records}"
            )
            .unwrap();
        }
    });
    (report, text)
}

fn name(record: &Record) -> String {
    match record {
        Record::Entry(entry) => format!("entry({})", entry.id()),
        Record::HardState(state) => format!("term({})", state.term),
        Record::Truncate(from) => format!("truncate({from})"),
        Record::StartAt(at) => format!("start({at})"),
        Record::Configuration(index, configuration) => {
            format!(
                "configuration({index}: {} voters)",
                configuration.voters.len()
            )
        }
    }
}

fn example() -> SimDisk {
    let disk = formatted(SEGMENT_BYTES);
    let (mut log, _) = open_sim(&disk);
    let first = Persist {
        entries: vec![configuration(1, 1, &[1, 2])],
        ..commands(1, 0, 1, 0)
    };
    log.append(&[first, commands(2, 3, 1, 10)]).unwrap();
    let replaced = Persist {
        truncate_from: Some(LogIndex(3)),
        ..commands(3, 3, 2, 10)
    };
    log.append(&[replaced]).unwrap();
    log.append(&[start_at(50, 2, &[1, 2, 3])]).unwrap();
    log.append(&[commands(51, 51, 2, 5000)]).unwrap();
    disk
}

#[test]
fn a_dump_tells_the_history() {
    let disk = example();
    let before = (disk.stats(), disk.files());
    let (report, text) = dump(&disk);
    let expected = "\
segment 1 from 1
  frame 1 at 4096, synced 0: term(0) start(0@0) configuration(0: 0 voters)
  frame 2 at 8192, synced 1: 
  frame 3 at 12288, synced 2: term(1) entry(1@1) term(1) entry(2@1) entry(3@1)
  frame 4 at 16384, synced 3: term(2) truncate(3) entry(3@2)
  frame 5 at 20480, synced 4: term(2)
segment 2 from 51
  frame 6 at 4096, synced 5: term(2) start(50@2) configuration(50: 3 voters)
  frame 7 at 8192, synced 6: term(2) entry(51@2)
";
    assert_eq!(text, expected);
    let report = report.unwrap();
    assert_eq!((report.segments, report.frames), (2, 7));
    assert_eq!(
        (report.start.index, report.last.index),
        (LogIndex(50), LogIndex(51))
    );
    assert_eq!(report.hard_state, hard_state(2));
    assert_eq!(report.configuration, (LogIndex(50), voters(&[1, 2, 3])));
    assert_eq!(report.identity, identity());
    assert_eq!(
        (report.torn, report.last_frame_unprotected, report.locked),
        (None, true, false)
    );
    assert_eq!((disk.stats(), disk.files()), before, "nothing was written");
}

#[test]
fn a_torn_tail_is_reported_and_left_alone() {
    let disk = example();
    disk.kill();
    let (mut log, _) = open_sim(&disk);
    disk.cut_power_after(1);
    log.append(&[commands(52, 52, 2, 5000)]).unwrap_err();
    drop(log);
    disk.crash(Survivors::Prefix {
        changes: 0,
        torn_bytes: 4096,
    });
    let before = disk.stats();
    let (report, _) = dump(&disk);
    let report = report.unwrap();
    let (file, offset) = report.torn.unwrap();
    assert!(
        file.starts_with(log_dir()) && offset == 20_480,
        "{} at {offset}",
        file.display()
    );
    assert_eq!(report.last.index, LogIndex(51));
    assert_eq!(disk.stats(), before);
}

#[test]
fn damage_is_named_and_what_is_before_it_is_shown() {
    let disk = example();
    let path = log_dir().join("00000000000000000001-00000000000000000001.seg");
    disk.flip_bit(&path, 12_288 + 70, 0);
    let (report, text) = dump(&disk);
    let Err(VerifyError::Log(OpenError::Corrupt(corruption))) = report else {
        panic!("{report:?}")
    };
    assert_eq!((&corruption.file, corruption.offset), (&path, 12_288));
    assert_eq!(
        corruption.to_string(),
        format!(
            "corrupt: {} at offset 12288: the segment's good frames end with 2, the next segment \
             follows 5",
            path.display()
        )
    );
    assert!(
        text.contains("frame 2") && !text.contains("frame 3"),
        "{text}"
    );
}

#[test]
fn a_directory_that_is_none_is_named() {
    let (report, _) = dump(&SimDisk::new(1));
    assert_eq!(
        report,
        Err(DataDirError::NotFormatted {
            path: root().into()
        }
        .into())
    );
}
