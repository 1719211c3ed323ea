//! What can go wrong, as instructions to the caller.

use std::io;
use std::path::{Path, PathBuf};

use dmq_raft::{EntryId, LogIndex};

/// Why the log did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The disk is full: no new segment could be prepared. Nothing was written, the log is readable and the
    /// same call may be repeated later.
    #[error("no space to prepare a log segment of {wanted_bytes} bytes in {}", dir.display())]
    NoSpace {
        /// Directory of the segments.
        dir: PathBuf,
        /// Size of a segment in bytes.
        wanted_bytes: u64,
    },
    /// A write or sync failed: what is on disk is unknown. The process must end; every later call returns
    /// this again, and nothing is retried.
    #[error("the log is unusable: {0}")]
    Fatal(IoFailure),
    /// The caller broke the contract of [`crate::Log::append`]; nothing was written.
    #[error("refused by the log: {0}")]
    Contract(String),
    /// An entry is larger than a segment can hold; nothing was written.
    #[error(
        "entry {index} of {size_bytes} bytes is larger than a segment holds ({max_bytes} bytes)"
    )]
    TooLarge {
        /// Index of the entry.
        index: LogIndex,
        /// Size of its record in bytes.
        size_bytes: usize,
        /// Largest record in bytes.
        max_bytes: usize,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a log could not be opened. None of these is repaired by trying again, except [`OpenError::Io`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Acknowledged data is damaged or missing (DESIGN 6.2). Wipe the member and let it rejoin.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// Reading or repairing the unacknowledged tail failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// Damage that is refused, never repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt: {} at offset {offset}: {reason}", file.display())]
pub struct Corruption {
    /// The damaged file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// Which rule is broken.
    pub reason: String,
}

/// A failed operation on a file. Cloneable, unlike [`io::Error`], because a dead log repeats it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {}: {message}", path.display())]
pub struct IoFailure {
    /// What was tried: `write`, `sync` ...
    pub operation: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// The kind of error.
    pub kind: io::ErrorKind,
    /// The operating system's words.
    pub message: String,
}

impl IoFailure {
    /// The record of a failed operation.
    pub(crate) fn new(operation: &'static str, path: &Path, error: &io::Error) -> Self {
        Self {
            operation,
            path: path.into(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// The failure of a crash point, which stands for that of the operation behind it.
    pub fn of_point(point: &'static str, error: &io::Error) -> Self {
        Self::new("pass", Path::new(point), error)
    }

    /// For `map_err`: the record of a failed operation on this path.
    pub(crate) fn on(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::new(operation, path, &error)
    }
}

/// Why entries could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log begins behind the range: send a snapshot.
    #[error("compacted: the log begins after {start}")]
    Compacted {
        /// Position before the first entry.
        start: EntryId,
    },
    /// The range ends behind what is durable here.
    #[error("beyond the end of the log at {last}")]
    Beyond {
        /// Last durable entry.
        last: EntryId,
    },
    /// The bytes on disk are no longer those that were written.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}
