//! Offline looks at a data directory, for `dmq-metadata log verify|dump` and `snapshot dump`. Nothing here
//! writes, and no lock is taken.

use std::io;
use std::path::{Path, PathBuf};

use dmq_raft::{Configuration, EntryId, HardState, LogIndex};

use crate::data_dir::{DataDirError, LOCK, LOG, SNAPSHOTS, is_formatted, read_identity};
use crate::disk::{Access, Disk};
use crate::error::{IoFailure, OpenError};
use crate::identity::Identity;
use crate::record::Record;
use crate::scan::{Passed, Scan, scan};
use crate::snapshot_file::SNAPSHOT_SUFFIX;

/// What [`verify`] passes on its way through the log.
#[derive(Clone, Debug)]
pub enum Visit<'a> {
    /// A segment begins.
    Segment {
        /// Its file.
        file: &'a Path,
        /// Its sequence.
        sequence: u64,
        /// The index behind its start point.
        first_index: LogIndex,
    },
    /// A good frame.
    Frame {
        /// The segment's file.
        file: &'a Path,
        /// Where the frame begins, in bytes.
        offset: u64,
        /// Its number.
        number: u64,
        /// The last frame that was durable when this one was written.
        synced_to: u64,
        /// Its records with their offsets in the file, in bytes; none in an empty frame.
        records: Vec<(u64, &'a Record)>,
    },
}

/// A log without damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whose log it is.
    pub identity: Identity,
    /// A process has the directory: what was read may have changed meanwhile, its end above all.
    pub locked: bool,
    /// Number of segments.
    pub segments: usize,
    /// Number of good frames.
    pub frames: u64,
    /// Term and vote.
    pub hard_state: HardState,
    /// Position before the first entry.
    pub start: EntryId,
    /// Position of the last entry.
    pub last: EntryId,
    /// The configuration in force at the end, and the index of its entry.
    pub configuration: (LogIndex, Configuration),
    /// A torn frame behind the last good one, which recovery will cut: file and offset in bytes. It was
    /// never acknowledged.
    pub torn: Option<(PathBuf, u64)>,
    /// Whether the last good frame holds records, so that its rot would look like a torn write.
    pub last_frame_unprotected: bool,
}

/// Why a log could not be verified, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The directory is not a formatted one.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The log is damaged, or could not be read.
    #[error(transparent)]
    Log(#[from] OpenError),
}

/// Reads the whole log of a data directory and checks every rule that recovery checks. `visit` sees what is
/// good up to the first damage.
pub fn verify<D: Disk>(
    disk: &D,
    root: &Path,
    visit: &mut dyn FnMut(Visit<'_>),
) -> Result<VerifyReport, VerifyError> {
    if !is_formatted(disk, root)? {
        return Err(DataDirError::NotFormatted { path: root.into() }.into());
    }
    let file = read_identity(disk, root)?;
    let lock = root.join(LOCK);
    let locked = disk
        .is_locked(&lock)
        .map_err(|e| DataDirError::io("open", &lock, &e))?;
    let scan = scan(disk, &root.join(LOG), &file, Access::Read, &mut |passed| {
        pass(&passed, visit);
    })?;
    Ok(report(file.identity, locked, &scan))
}

fn pass(passed: &Passed<'_>, visit: &mut dyn FnMut(Visit<'_>)) {
    match *passed {
        Passed::Segment(file, name) => {
            visit(Visit::Segment {
                file,
                sequence: name.sequence,
                first_index: name.first_index,
            });
        }
        Passed::Frame(file, frame, records) => visit(Visit::Frame {
            file,
            offset: frame.offset,
            number: frame.header.number,
            synced_to: frame.header.synced_to,
            records: records
                .iter()
                .map(|placed| (placed.offset, &placed.record))
                .collect(),
        }),
    }
}

fn report<F>(identity: Identity, locked: bool, scan: &Scan<F>) -> VerifyReport {
    let contents = &scan.contents;
    let newest = scan.segments.last_key_value();
    let torn = newest
        .filter(|_| scan.tail.torn)
        .map(|(_, s)| (s.path.clone(), scan.tail.offset));
    VerifyReport {
        identity,
        locked,
        segments: scan.segments.len(),
        frames: scan.frames,
        hard_state: contents.hard_state,
        start: contents.start(),
        last: contents.last(),
        configuration: contents.configuration_at(contents.last().index),
        torn,
        last_frame_unprotected: !scan.tail.last_is_empty,
    }
}

/// The snapshot files of a data directory, newest first, for [`crate::SnapshotReader::open`].
pub fn snapshot_files<D: Disk>(disk: &D, root: &Path) -> Result<Vec<PathBuf>, IoFailure> {
    let dir = root.join(SNAPSHOTS);
    let entries = match disk.list(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(IoFailure::on("list", &dir))?,
    };
    let whole = entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(SNAPSHOT_SUFFIX));
    Ok(whole.map(|entry| dir.join(entry.name)).rev().collect())
}
