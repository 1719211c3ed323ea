//! `log verify`, `log dump` and `snapshot dump`: look at a directory and never change it.

use std::path::Path;

use dmq_log::{
    FileDisk, Record, SnapshotReader, VerifyError, VerifyReport, Visit, snapshot_files, verify,
};
use dmq_metadata::Envelope;
use dmq_raft::{Configuration, Entry, EntryKind};

use super::print;
use crate::exit::{Exit, Failure};

/// Checks every frame of a log and says what it found.
pub fn verify_log(root: &Path) -> Result<(), Failure> {
    let report = verify(&FileDisk, root, &mut |_| {}).map_err(damaged)?;
    summary(&report)
}

/// Prints every record of a log, then what `verify` says.
pub fn dump_log(root: &Path) -> Result<(), Failure> {
    let mut printed = Ok(());
    let report = verify(&FileDisk, root, &mut |visit| {
        if printed.is_ok() {
            printed = dump_visit(&visit);
        }
    });
    printed?;
    summary(&report.map_err(damaged)?)
}

fn damaged(error: VerifyError) -> Failure {
    Failure::new(Exit::DataDirectory, error)
}

fn summary(report: &VerifyReport) -> Result<(), Failure> {
    print(&report.identity)?;
    print(format_args!(
        "{} segments, {} frames, term {}, vote {}",
        report.segments,
        report.frames,
        report.hard_state.term,
        report
            .hard_state
            .vote
            .map_or_else(|| "none".to_owned(), |vote| vote.to_string()),
    ))?;
    print(format_args!(
        "entries after {} up to {}",
        report.start, report.last
    ))?;
    print(format_args!(
        "configuration of index {}: {}",
        report.configuration.0,
        members(&report.configuration.1)
    ))?;
    if let Some((file, offset)) = &report.torn {
        let file = file.display();
        print(format_args!(
            "torn, never acknowledged: {file} from offset {offset}"
        ))?;
    }
    if report.last_frame_unprotected {
        print("the last frame is not confirmed by another one: the node did not stop in order")?;
    }
    if report.locked {
        print("a process uses the directory: its end may have changed meanwhile")?;
    }
    print("no damage")
}

fn dump_visit(visit: &Visit<'_>) -> Result<(), Failure> {
    match visit {
        Visit::Segment {
            file,
            sequence,
            first_index,
        } => print(format_args!(
            "segment {sequence} from index {first_index}: {}",
            file.display()
        )),
        Visit::Frame {
            offset,
            number,
            synced_to,
            records,
            ..
        } => {
            print(format_args!(
                "frame {number} at {offset}, synced to {synced_to}"
            ))?;
            records
                .iter()
                .try_for_each(|(_, record)| print(format_args!("  {}", show(record))))
        }
    }
}

fn show(record: &Record) -> String {
    match record {
        Record::Entry(entry) => show_entry(entry),
        Record::HardState(state) => {
            let vote = state
                .vote
                .map_or_else(|| "none".to_owned(), |vote| vote.to_string());
            format!("hard state: term {}, vote {vote}", state.term)
        }
        Record::Truncate(index) => format!("truncate from {index}"),
        Record::StartAt(id) => format!("the log begins after {id}"),
        Record::Configuration(index, configuration) => {
            format!("configuration of index {index}: {}", members(configuration))
        }
    }
}

fn show_entry(entry: &Entry) -> String {
    let content = match entry.kind {
        EntryKind::Noop => "no-op".to_owned(),
        EntryKind::Configuration => Configuration::decode(&entry.payload).map_or_else(
            |_| "configuration, not readable".to_owned(),
            |found| members(&found),
        ),
        EntryKind::Command => Envelope::decode(&entry.payload).map_or_else(
            |error| format!("command of {} bytes: {error}", entry.payload.len()),
            |envelope| {
                let (by, time) = (&envelope.principal, envelope.log_time);
                format!("{:?} by {by} at log time {time} ms", envelope.command)
            },
        ),
    };
    format!("{} {content}", entry.id())
}

/// The voters and learners of a configuration, for people.
pub(super) fn members(configuration: &Configuration) -> String {
    let names = |members: &std::collections::BTreeSet<dmq_raft::MemberId>| {
        members
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (voters, learners) = (names(&configuration.voters), names(&configuration.learners));
    let outgoing = match names(&configuration.outgoing) {
        none if none.is_empty() => String::new(),
        outgoing => format!(" in place of [{outgoing}]"),
    };
    format!("voters [{voters}]{outgoing}, learners [{learners}]")
}

/// Prints a snapshot: of a file, or the newest one of a node's directory.
pub fn dump_snapshot(path: &Path) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::new(Exit::DataDirectory, error);
    let disk = FileDisk;
    let file = if path.is_dir() {
        let files = snapshot_files(&disk, path).map_err(|error| refused(&error))?;
        let none = || refused(&format_args!("{} has no snapshot", path.display()));
        files.into_iter().next().ok_or_else(none)?
    } else {
        path.to_owned()
    };
    let reader = SnapshotReader::open(&disk, &file).map_err(|error| refused(&error))?;
    let info = reader.info();
    print(file.display())?;
    print(format_args!(
        "cluster {}, incarnation {}, last {}, feature level {}, state hash {:032x}",
        info.meta.cluster_id,
        info.meta.incarnation,
        info.meta.last,
        info.meta.feature_level,
        info.meta.state_hash,
    ))?;
    let (index, configuration) = &info.meta.configuration;
    print(format_args!(
        "configuration of index {index}: {}",
        members(configuration)
    ))?;
    let mut content = dmq_metadata::snapshot::Reader::new();
    for chunk in reader.chunks().map_err(|error| refused(&error))? {
        content
            .push(&chunk.map_err(|error| refused(&error))?)
            .map_err(|error| refused(&error))?;
    }
    dump_image(&content.finish().map_err(|error| refused(&error))?)
}

fn dump_image(image: &dmq_metadata::Image) -> Result<(), Failure> {
    image
        .brokers()
        .try_for_each(|broker| print(format_args!("{broker:?}")))?;
    image
        .topics()
        .try_for_each(|topic| print(format_args!("{topic:?}")))?;
    image
        .partitions()
        .try_for_each(|partition| print(format_args!("{partition:?}")))?;
    image
        .dedup_entries()
        .try_for_each(|entry| print(format_args!("{entry:?}")))
}
