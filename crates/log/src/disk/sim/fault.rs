//! Faults that a simulated disk can be told to have.

use std::io;
use std::path::Path;

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading from a file.
    Read,
    /// Writing to a file, or changing its length.
    Write,
    /// Syncing a file.
    Sync,
    /// Creating, renaming or removing a name.
    Name,
    /// Syncing a directory.
    SyncDir,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `EIO`. A failed sync loses a part of what it should have made durable, although the process goes on
    /// to see it, and later syncs succeed: Linux marks such pages clean.
    Io,
    /// `ENOSPC`. Nothing happened.
    NoSpace,
    /// `EACCES`. Nothing happened.
    Denied,
}

/// One failure to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which operation fails.
    pub operation: Operation,
    /// Only on paths whose last component contains this text; empty for all.
    pub name_contains: String,
    /// How many matching operations succeed before.
    pub after: u32,
    /// How it fails.
    pub kind: FaultKind,
}

/// A fault that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// What failed.
    pub operation: Operation,
    /// How.
    pub kind: FaultKind,
    /// Last component of the path.
    pub name: String,
}

impl Struck {
    /// Whether the log itself was not written or not made durable: the process must end, and touch no
    /// segment any more.
    pub(super) fn breaks_the_log(&self) -> bool {
        is_segment(&self.name) && matches!(self.operation, Operation::Write | Operation::Sync)
    }
}

/// Whether a file of this name is a segment of the log.
pub(super) fn is_segment(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "seg")
}

/// The last component of a path.
pub(super) fn name_of(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default()
}

impl FaultKind {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::other("input/output error (simulated)"),
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
            Self::Denied => io::ErrorKind::PermissionDenied.into(),
        }
    }
}

/// Finds out whether an operation fails now, and counts it.
pub(super) fn strike(faults: &mut Vec<Fault>, operation: Operation, path: &Path) -> Option<Struck> {
    if faults.is_empty() {
        return None;
    }
    let name = name_of(path);
    let matches =
        |fault: &Fault| fault.operation == operation && name.contains(fault.name_contains.as_str());
    let position = faults.iter().position(matches)?;
    match faults[position].after.checked_sub(1) {
        Some(left) => {
            faults[position].after = left;
            None
        }
        None => Some(Struck {
            operation,
            kind: faults.remove(position).kind,
            name: name.into_owned(),
        }),
    }
}
