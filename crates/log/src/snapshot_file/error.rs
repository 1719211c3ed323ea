//! What can go wrong with a snapshot file.

use std::io;
use std::path::{Path, PathBuf};

use dmq_raft::EntryId;

use crate::disk::is_no_space;
use crate::error::{Corruption, IoFailure};

/// Why a snapshot was not written, received or read. None of these concerns the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The disk is full. The unfinished file is removed; try again later.
    #[error("no space for a snapshot in {}", dir.display())]
    NoSpace {
        /// Directory of the snapshots.
        dir: PathBuf,
    },
    /// An operation failed. The unfinished file is removed; a new attempt begins with a new file.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The file is not a whole snapshot.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// There is no such snapshot.
    #[error("there is no snapshot at {last}")]
    NotFound {
        /// The position that was asked for.
        last: EntryId,
    },
    /// Another one is being written, or received; one at a time.
    #[error("another snapshot is being {0}")]
    Busy(&'static str),
    /// The snapshot is of another cluster or history than the data directory.
    #[error("the snapshot is of cluster {found}, this directory of {expected}")]
    Foreign {
        /// What the snapshot says.
        found: String,
        /// What the directory says.
        expected: String,
    },
    /// A received piece was damaged on its way; nothing was written, send it again.
    #[error("the piece at offset {offset} does not have its checksum")]
    DamagedPiece {
        /// Where it belongs, in bytes.
        offset: u64,
    },
    /// A received piece does not belong here; go on at `expected`.
    #[error("a piece for offset {found}, but {expected} is next")]
    WrongOffset {
        /// Where the next piece begins, in bytes.
        expected: u64,
        /// Where this one begins, in bytes.
        found: u64,
    },
    /// The transfer was finished before its end.
    #[error("{offset} of {file_bytes} bytes were received")]
    Incomplete {
        /// Bytes received.
        offset: u64,
        /// Bytes promised.
        file_bytes: u64,
    },
}

impl SnapshotError {
    /// For `map_err`: sorts an I/O error into its variant.
    pub(super) fn on(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            if is_no_space(&error) {
                return Self::NoSpace {
                    dir: crate::disk::parent(path).into(),
                };
            }
            Self::Io(IoFailure::new(operation, path, &error))
        }
    }
}
