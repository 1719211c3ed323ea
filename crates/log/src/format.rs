//! `format`: makes a data directory. It leaves a whole one, or one that the next `format` starts over.

use std::io;
use std::path::Path;

use dmq_raft::{Configuration, EntryId, HardState, LogIndex};

use crate::crash_point::reach;
use crate::data_dir::{
    DataDirError, IDENTITY, LOCK, LOG, SNAPSHOTS, is_formatted, read_identity, take_lock,
};
use crate::disk::{self, Access, DirEntry, Disk, DiskFile};
use crate::frame::{BLOCK_BYTES, ChainEnd};
use crate::identity::{Identity, IdentityFile};
use crate::segment::{SegmentHead, SegmentHeader, SegmentName};
use crate::segment_writer;
use crate::succession::refuse_unfinished;

/// Size of a segment, in bytes, unless `format` is told otherwise.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
/// Range of the size of a segment, in bytes; it is also a multiple of 4 KiB.
pub const SEGMENT_BYTES_RANGE: std::ops::RangeInclusive<u64> = (16 << 10)..=(1 << 30);

/// Exists while a directory is being formatted.
pub(crate) const FORMATTING: &str = "formatting";

/// Names that do not make a directory non-empty: the lock, and what a new file system has.
const IGNORED: [&str; 2] = [LOCK, "lost+found"];

/// How to format.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// A directory of the same node is left as it is, instead of an error.
    pub if_empty: bool,
    /// Exact size of every segment in bytes, within [`SEGMENT_BYTES_RANGE`]. Default: 64 MiB.
    pub segment_bytes: u64,
}

impl Default for FormatOptions {
    fn default() -> Self {
        Self {
            if_empty: false,
            segment_bytes: segment_bytes_default(),
        }
    }
}

/// Tests of crash points pass many switches in a short time.
fn segment_bytes_default() -> u64 {
    #[cfg(feature = "crash-points")]
    if let Some(bytes) = std::env::var("DMQ_SEGMENT_BYTES")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return bytes;
    }
    SEGMENT_BYTES_DEFAULT
}

/// What `format` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formatted {
    /// The directory is new.
    Created(Identity),
    /// It was there before, under perhaps another directory id (`if_empty`).
    Already(Identity),
}

/// Formats a directory; see [`crate::DataDir::format`].
pub(crate) fn format<D: Disk>(
    disk: &D,
    root: &Path,
    identity: &Identity,
    options: &FormatOptions,
) -> Result<Formatted, DataDirError> {
    validate(identity, options)?;
    refuse_unfinished(disk, root)?;
    create_dirs(disk, root).map_err(|error| DataDirError::io("create", root, &error))?;
    // Once more: a recovery renames the directory away for a moment, which must not be filled by a new one.
    refuse_unfinished(disk, root)?;
    let _lock = take_lock(disk, root)?;
    if is_formatted(disk, root)? {
        return already_formatted(disk, root, identity, options);
    }
    check_empty(disk, root)?;
    write(disk, root, identity, options)
        .map_err(|error| DataDirError::io("write", root, &error))?;
    Ok(Formatted::Created(identity.clone()))
}

fn validate(identity: &Identity, options: &FormatOptions) -> Result<(), DataDirError> {
    let invalid = |key, value: String, rule| Err(DataDirError::Invalid { key, value, rule });
    let id = &identity.cluster_id;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=64).contains(&id.len()) || !id.bytes().all(legal) {
        return invalid("cluster id", id.clone(), "1-64 characters of [A-Za-z0-9_-]");
    }
    if identity.node.0 == 0 {
        return invalid("node id", "0".into(), "1 or more");
    }
    let bytes = options.segment_bytes;
    if !SEGMENT_BYTES_RANGE.contains(&bytes) || !bytes.is_multiple_of(BLOCK_BYTES) {
        return invalid(
            "segment size",
            bytes.to_string(),
            "16 KiB to 1 GiB, by 4 KiB",
        );
    }
    Ok(())
}

fn already_formatted<D: Disk>(
    disk: &D,
    root: &Path,
    wanted: &Identity,
    options: &FormatOptions,
) -> Result<Formatted, DataDirError> {
    let found = read_identity(disk, root)?.identity;
    if options.if_empty && found.is_same_node(wanted) {
        return Ok(Formatted::Already(found));
    }
    Err(DataDirError::AlreadyFormatted {
        path: root.into(),
        identity: Box::new(found),
    })
}

/// An unfinished format may be started over, because nobody was told that it ended.
fn check_empty<D: Disk>(disk: &D, root: &Path) -> Result<(), DataDirError> {
    let entries = disk
        .list(root)
        .map_err(|error| DataDirError::io("list", root, &error))?;
    if entries.iter().any(|entry| entry.name == FORMATTING) {
        return Ok(());
    }
    let foreign = entries
        .into_iter()
        .find(|entry| !IGNORED.contains(&entry.name.as_str()));
    match foreign {
        Some(DirEntry { name, .. }) => Err(DataDirError::NotEmpty {
            path: root.into(),
            found: name,
        }),
        None => Ok(()),
    }
}

/// The order is the point: the mark is durable before anything else, and goes when all else is durable.
fn write<D: Disk>(
    disk: &D,
    root: &Path,
    identity: &Identity,
    options: &FormatOptions,
) -> io::Result<()> {
    let mark = root.join(FORMATTING);
    if !disk::exists(disk, &mark)? {
        disk.open(&mark, Access::Create)?.sync()?;
    }
    disk.sync_dir(root)?;
    reach("format-marked")?;
    let (log, snapshots) = (root.join(LOG), root.join(SNAPSHOTS));
    disk::remove_if_exists(disk, &root.join(IDENTITY))?;
    for dir in [&log, &snapshots] {
        disk.create_dir(dir)?;
        clear(disk, dir)?;
    }
    disk.sync_dir(root)?;
    let file = IdentityFile {
        identity: identity.clone(),
        segment_bytes: options.segment_bytes,
        header_seed: disk.random()?,
    };
    write_first_segment(disk, &log, &file)?;
    let points = ["format-identity-synced", "format-identity-renamed"];
    disk::write_atomically(disk, &root.join(IDENTITY), &file.encode(), points)?;
    reach("format-whole")?;
    disk.remove(&mark)?;
    reach("format-unmarked")?;
    disk.sync_dir(root)
}

fn clear<D: Disk>(disk: &D, dir: &Path) -> io::Result<()> {
    for entry in disk.list(dir)? {
        disk.remove(&dir.join(entry.name))?;
    }
    Ok(())
}

/// Segment 1 exists from the beginning, so that a log without segments is known to be a damaged one.
fn write_first_segment<D: Disk>(disk: &D, dir: &Path, file: &IdentityFile) -> io::Result<()> {
    let name = SegmentName {
        sequence: 1,
        first_index: LogIndex(1),
    };
    let header = SegmentHeader {
        name,
        previous: ChainEnd::default(),
        identity: file.identity.clone(),
    };
    let head = SegmentHead {
        hard_state: HardState::default(),
        start: EntryId::ZERO,
        configuration: (LogIndex(0), Configuration::default()),
    };
    let path = disk::with_suffix(&name.path(dir), disk::TEMPORARY_SUFFIX);
    segment_writer::write_zeros(disk, &path, file.segment_bytes)?;
    let front = segment_writer::front(&header, &head, file.header_seed);
    let segment = disk.open(&path, Access::Write)?;
    segment.write_at(&front.bytes, 0)?;
    segment.sync()?;
    reach("format-segment-synced")?;
    disk.rename(&path, &name.path(dir))?;
    reach("format-segment-renamed")?;
    disk.sync_dir(dir)
}

/// Creates a directory and those above it; the names are durable. The name of a directory that is there
/// already is synced too: an interrupted `format` may have left it so.
fn create_dirs<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    if path.parent().is_none() {
        return Ok(());
    }
    let parent = disk::parent(path);
    let exists = disk.list(path).is_ok();
    if !exists {
        if parent != Path::new(".") {
            create_dirs(disk, parent)?;
        }
        disk.create_dir(path)?;
    }
    match disk.sync_dir(parent) {
        Err(error) if exists && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}
