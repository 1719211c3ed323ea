//! The seam to the outside: what the log asks of a disk. `FileDisk` is the real one, `SimDisk` the
//! deterministic one that loses, tears and refuses.

mod file;
pub mod sim;

use std::io;
use std::path::{Path, PathBuf};

use crate::crash_point::reach;

pub use file::FileDisk;

/// Files, directories and their durability. Methods take `&self`; a clone is the same disk.
///
/// The contract that recovery relies on is that of POSIX, no more: written bytes are durable only after
/// [`DiskFile::sync`] of that file, and created, renamed or removed names only after [`Disk::sync_dir`] of
/// their directory. A rename within one directory is atomic.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// An exclusive lock, held until dropped.
    type Lock: Send + Sync + 'static;

    /// Creates one directory. Not an error if it exists already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;
    /// Renames within one directory, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in this directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock on a file, creating the file; `None` if another holder has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
    /// Whether somebody holds the lock on a file, without taking it.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
    /// Bytes that can still be written to the file system of this directory.
    fn available_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Random bits, from the operating system on a real disk and from a seed on a simulated one.
    fn random(&self) -> io::Result<u64>;
}

/// An open file. Positions are explicit, so that readers and the writer share it.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at most `buffer.len()` bytes at this offset; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at this offset, growing the file if needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content and the length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) to this length in bytes.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer from this offset; an early end of the file is `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Existing, for reading only.
    Read,
    /// Existing, for reading and writing.
    Write,
    /// New and empty, for reading and writing; an error if the name exists.
    Create,
}

/// Extension of a file that is not whole yet.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Whether an error says that the disk is full (or a quota is used up).
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Reads a whole small file.
pub(crate) fn read_all<D: Disk>(disk: &D, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Whether a name exists in its directory.
pub(crate) fn exists<D: Disk>(disk: &D, path: &Path) -> io::Result<bool> {
    match disk.open(path, Access::Read) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Replaces a small file as a whole: after a crash it has the old content or the new one. `points` are passed
/// when the content is durable, and when it has its name.
pub(crate) fn write_atomically<D: Disk>(
    disk: &D,
    path: &Path,
    bytes: &[u8],
    points: [&'static str; 2],
) -> io::Result<()> {
    let temporary = with_suffix(path, TEMPORARY_SUFFIX);
    remove_if_exists(disk, &temporary)?;
    let file = disk.open(&temporary, Access::Create)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    reach(points[0])?;
    disk.rename(&temporary, path)?;
    reach(points[1])?;
    disk.sync_dir(parent(path))
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_exists<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path with something appended to its last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory of a path; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
