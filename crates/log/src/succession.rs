//! How a new data directory takes the place of an old one (forced recovery, DESIGN 6.1).
//!
//! ```text
//! node-<id>                       the old one; then the new one
//! node-<id>.recovering            the new one, until it takes the place
//! node-<id>.before-recovery-<n>   the old one, kept
//! ```
//!
//! The new one is made beside the old one, which stays as it is. When all of it is durable, two renames swap
//! the two, each synced before the next step. As long as there is a `.recovering`, nobody formats or uses
//! `node-<id>`: a run that was killed is begun anew, or, between the two renames, ended.
//!
//! ```text
//! recovered:  magic "DMQRECOV" | old incarnation: number u64, nonce u64 | old directory u128
//!           | last entry: index u64, term u64 | begins behind: index u64, term u64 | CRC32C of all before u32
//! ```

use std::io;
use std::path::{Path, PathBuf};

use dmq_raft::{DirectoryId, EntryId, LogIndex, Term};

use crate::codec::Fields;
use crate::crash_point::reach;
use crate::data_dir::{DataDir, DataDirError, LOG, SNAPSHOTS, is_formatted};
use crate::disk::{self, Access, Disk, DiskFile, parent, with_suffix};
use crate::format::{FORMATTING, FormatOptions};
use crate::identity::{Identity, Incarnation};

const STAGING_SUFFIX: &str = ".recovering";
const KEPT_SUFFIX: &str = ".before-recovery-";
const ORIGIN: &str = "recovered";
const MAGIC: &[u8; 8] = b"DMQRECOV";

/// Where a recovered directory came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The log history that ended.
    pub incarnation: Incarnation,
    /// The directory that was recovered.
    pub directory: DirectoryId,
    /// The last entry that it held.
    pub last: EntryId,
    /// The position behind which the new history begins.
    pub begins: EntryId,
}

/// How far a forced recovery of a directory has come.
pub enum Succession<D: Disk> {
    /// The old directory is in its place. What may lie beside it is made anew.
    Old(DataDir<D>),
    /// The old one is out of the way, the new one is whole and not in its place yet.
    Between(DataDir<D>),
}

impl<D: Disk> Succession<D> {
    /// Opens, and locks, the directory that a forced recovery of `root` goes on with.
    pub fn open(disk: &D, root: &Path) -> Result<Self, DataDirError> {
        let staging = staging(root);
        if is_formatted(disk, root)? || !is_dir(disk, &staging)? {
            return DataDir::open_whole(disk, root).map(Self::Old);
        }
        check_free(disk, root)?;
        let successor = DataDir::open_whole(disk, &staging)?;
        if successor.origin()?.is_none() {
            return Err(DataDirError::NotFormatted { path: root.into() });
        }
        Ok(Self::Between(successor))
    }
}

impl<D: Disk> DataDir<D> {
    /// Formats the directory that is to take this one's place, whatever an earlier attempt left there.
    pub fn format_successor(&self, identity: &Identity) -> Result<Self, DataDirError> {
        let (disk, staging) = (self.disk(), staging(self.path()));
        let io = |error: &io::Error| DataDirError::io("write", &staging, error);
        if is_dir(disk, &staging)? {
            begin_anew(disk, &staging).map_err(|error| io(&error))?;
        }
        let options = FormatOptions {
            if_empty: false,
            segment_bytes: self.segment_bytes(),
        };
        Self::format(disk, &staging, identity, &options)?;
        Self::open_whole(disk, &staging)
    }

    /// Says, durably, where this directory came from: the last that is written before [`Self::replace`].
    pub fn write_origin(&self, origin: &Origin) -> Result<(), DataDirError> {
        let path = self.path().join(ORIGIN);
        let bytes = encode(origin);
        let points = ["recover-origin-synced", "recover-origin-renamed"];
        disk::write_atomically(self.disk(), &path, &bytes, points)
            .map_err(|error| DataDirError::io("write", &path, &error))
    }

    /// Where this directory came from, if a forced recovery made it.
    pub fn origin(&self) -> Result<Option<Origin>, DataDirError> {
        let path = self.path().join(ORIGIN);
        let io = |error| DataDirError::io("read", &path, &error);
        if !disk::exists(self.disk(), &path).map_err(io)? {
            return Ok(None);
        }
        let bytes = disk::read_all(self.disk(), &path).map_err(io)?;
        decode(&bytes)
            .map(Some)
            .ok_or(DataDirError::Damaged { path })
    }

    /// Puts a whole successor into the place of this directory, and returns where this one is kept. Nothing
    /// else may use either of them: their paths are wrong from here on.
    pub fn replace(self, successor: Self) -> Result<PathBuf, DataDirError> {
        let (disk, root) = (self.disk(), self.path());
        sync_all_names(&self)?;
        sync_all_names(&successor)?;
        let kept = free_name(disk, root)?;
        rename(
            disk,
            root,
            &kept,
            ["recover-old-renamed", "recover-old-named"],
        )?;
        successor.take_place()?;
        Ok(kept)
    }

    /// The second of the two renames.
    pub fn take_place(self) -> Result<(), DataDirError> {
        let (disk, staging) = (self.disk(), self.path());
        // The first rename may have been another process's, which was killed before it was durable.
        sync(disk, parent(staging))?;
        let points = ["recover-new-renamed", "recover-new-named"];
        rename(disk, staging, &place_of(staging), points)
    }
}

/// Refuses a directory with a recovery that was begun and did not end.
pub(crate) fn refuse_unfinished<D: Disk>(disk: &D, root: &Path) -> Result<(), DataDirError> {
    let staging = staging(root);
    if is_dir(disk, &staging)? {
        let (path, old_in_place) = (root.into(), is_formatted(disk, root)?);
        let give_up = old_in_place.then_some(staging);
        return Err(DataDirError::RecoveryUnfinished { path, give_up });
    }
    Ok(())
}

/// The names of a directory that a killed recovery renamed may not be durable yet, and nothing may be
/// acknowledged in a place that a loss of power gives back to the old one. Who may not look into the parent
/// has not renamed there either.
pub(crate) fn sync_place<D: Disk>(disk: &D, root: &Path) -> Result<(), DataDirError> {
    match disk.sync_dir(parent(root)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map_err(|error| DataDirError::io("sync", parent(root), &error)),
    }
}

fn staging(root: &Path) -> PathBuf {
    with_suffix(root, STAGING_SUFFIX)
}

fn place_of(staging: &Path) -> PathBuf {
    let text = staging.to_string_lossy();
    let place = text.strip_suffix(STAGING_SUFFIX);
    debug_assert!(place.is_some(), "{text} is not a successor");
    PathBuf::from(place.unwrap_or(&text))
}

fn is_dir<D: Disk>(disk: &D, path: &Path) -> Result<bool, DataDirError> {
    match disk.list(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DataDirError::io("list", path, &error)),
    }
}

/// A `format` that came in between may have made an empty directory, which the rename replaces. Anything
/// else in the place is not ours to remove.
fn check_free<D: Disk>(disk: &D, root: &Path) -> Result<(), DataDirError> {
    let entries = match disk.list(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| DataDirError::io("list", root, &error))?,
    };
    match entries.into_iter().next() {
        None => Ok(()),
        Some(entry) => Err(DataDirError::InTheWay {
            path: root.into(),
            found: entry.name,
        }),
    }
}

/// The mark comes first: nobody takes what lies here for a whole directory any more, and `format` clears it.
fn begin_anew<D: Disk>(disk: &D, staging: &Path) -> io::Result<()> {
    let mark = staging.join(FORMATTING);
    if !disk::exists(disk, &mark)? {
        disk.open(&mark, Access::Create)?.sync()?;
    }
    disk.sync_dir(staging)?;
    disk::remove_if_exists(disk, &staging.join(ORIGIN))?;
    disk.sync_dir(staging)
}

fn free_name<D: Disk>(disk: &D, root: &Path) -> Result<PathBuf, DataDirError> {
    let mut number = 1_u64;
    loop {
        let kept = with_suffix(root, &format!("{KEPT_SUFFIX}{number}"));
        if !is_dir(disk, &kept)? {
            return Ok(kept);
        }
        number += 1;
    }
}

fn sync_all_names<D: Disk>(dir: &DataDir<D>) -> Result<(), DataDirError> {
    let root = dir.path();
    for path in [&root.join(LOG), &root.join(SNAPSHOTS), root] {
        sync(dir.disk(), path)?;
    }
    Ok(())
}

fn sync<D: Disk>(disk: &D, path: &Path) -> Result<(), DataDirError> {
    disk.sync_dir(path)
        .map_err(|error| DataDirError::io("sync", path, &error))
}

fn rename<D: Disk>(
    disk: &D,
    from: &Path,
    to: &Path,
    points: [&'static str; 2],
) -> Result<(), DataDirError> {
    disk.rename(from, to)
        .and_then(|()| reach(points[0]))
        .map_err(|error| DataDirError::io("rename", from, &error))?;
    sync(disk, parent(to))?;
    reach(points[1]).map_err(|error| DataDirError::io("sync", to, &error))
}

fn encode(origin: &Origin) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&origin.incarnation.number.to_le_bytes());
    out.extend_from_slice(&origin.incarnation.nonce.to_le_bytes());
    out.extend_from_slice(&origin.directory.0.to_le_bytes());
    for position in [origin.last, origin.begins] {
        out.extend_from_slice(&position.index.0.to_le_bytes());
        out.extend_from_slice(&position.term.0.to_le_bytes());
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Origin> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut fields = Fields(checked.strip_prefix(MAGIC)?);
    let incarnation = Incarnation {
        number: fields.number()?,
        nonce: fields.u64()?,
    };
    let directory = DirectoryId(fields.u128()?);
    let mut position = || {
        let index = LogIndex(fields.number()?);
        Some(EntryId::new(Term(fields.number()?), index))
    };
    let origin = Origin {
        incarnation,
        directory,
        last: position()?,
        begins: position()?,
    };
    fields.is_empty().then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_returns_what_encode_wrote_and_no_flipped_bit_passes() {
        let origin = Origin {
            incarnation: Incarnation {
                number: 3,
                nonce: 9,
            },
            directory: DirectoryId(77),
            last: EntryId::new(Term(5), LogIndex(1234)),
            begins: EntryId::new(Term(6), LogIndex(1234 + (1 << 32))),
        };
        let bytes = encode(&origin);
        assert_eq!(decode(&bytes), Some(origin));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn the_place_of_a_successor_is_the_old_directory() {
        let root = Path::new("/data/node-1");
        assert_eq!(place_of(&staging(root)), root);
    }
}
