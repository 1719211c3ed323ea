//! The data directory of one node (DESIGN 6.1): format, lock, identity, pin.
//!
//! ```text
//! node-<id>/
//!   lock          held while a process uses the directory
//!   identity      who the directory belongs to; written by `format`, never changed
//!   formatting    exists only while `format` runs: what lies here was never in use
//!   pin           digest of the `quorum:initialize` body that this node agreed to
//!   recovered     where a forced recovery took it from
//!   log/          segments and spares
//!   snapshots/    snapshot files
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dmq_raft::{DirectoryId, NodeId};

use crate::disk::{self, Disk};
use crate::error::IoFailure;
use crate::format::{self, FORMATTING};
use crate::identity::{BadIdentity, Identity, IdentityFile};
use crate::pin;
use crate::succession::{refuse_unfinished, sync_place};

pub(crate) const LOCK: &str = "lock";
pub(crate) const IDENTITY: &str = "identity";
pub(crate) const PIN: &str = "pin";
pub(crate) const LOG: &str = "log";
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// A formatted directory, locked for this process until the last clone is dropped.
#[derive(Clone)]
pub struct DataDir<D: Disk> {
    inner: Arc<Inner<D>>,
}

struct Inner<D: Disk> {
    disk: D,
    root: PathBuf,
    file: IdentityFile,
    /// Held from the look at the pin until the new one is durable.
    pinning: Mutex<()>,
    _lock: D::Lock,
}

impl<D: Disk> DataDir<D> {
    /// Writes an identity and an empty log into an empty or missing directory, never over an existing one.
    /// A format that was interrupted is done again from its beginning.
    pub fn format(
        disk: &D,
        root: &Path,
        identity: &Identity,
        options: &format::FormatOptions,
    ) -> Result<format::Formatted, DataDirError> {
        format::format(disk, root, identity, options)
    }

    /// Opens a formatted directory and takes its lock. One that is being recovered is refused.
    pub fn open(disk: &D, root: &Path) -> Result<Self, DataDirError> {
        refuse_unfinished(disk, root)?;
        Self::open_whole(disk, root)
    }

    /// Opens a formatted directory, whatever lies beside it.
    pub(crate) fn open_whole(disk: &D, root: &Path) -> Result<Self, DataDirError> {
        if !is_formatted(disk, root)? {
            return Err(DataDirError::NotFormatted { path: root.into() });
        }
        let lock = take_lock(disk, root)?;
        let file = read_identity(disk, root)?;
        sync_names(disk, root)?;
        sync_place(disk, root)?;
        let inner = Inner {
            disk: disk.clone(),
            root: root.into(),
            file,
            pinning: Mutex::new(()),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whose directory it is.
    pub fn identity(&self) -> &Identity {
        &self.inner.file.identity
    }

    /// The directory, `<log-dir>/node-<id>`.
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// The disk that it lies on.
    pub fn disk(&self) -> &D {
        &self.inner.disk
    }

    /// Refuses a directory of another cluster or node than the configuration's.
    pub fn expect_owner(&self, cluster_id: &str, node: NodeId) -> Result<(), DataDirError> {
        let found = self.identity();
        let foreign = |key, expected: String, found: String| {
            Err(DataDirError::Foreign {
                path: self.path().into(),
                key,
                expected,
                found,
            })
        };
        if found.cluster_id != cluster_id {
            return foreign("cluster id", cluster_id.into(), found.cluster_id.clone());
        }
        if found.node != node {
            return foreign("node id", node.to_string(), found.node.to_string());
        }
        Ok(())
    }

    /// Agrees to the `quorum:initialize` body with this digest and to no other, durably (DESIGN 6.1).
    /// Agreeing again to the same is not an error.
    pub fn pin(&self, digest: [u8; 32]) -> Result<(), DataDirError> {
        let _guard = self.inner.pinning.lock();
        match self.pinned()? {
            Some(pinned) if pinned == digest => sync_names(self.disk(), self.path()),
            Some(pinned) => Err(DataDirError::Pinned { pinned, digest }),
            None => pin::write(self.disk(), &self.inner.root.join(PIN), digest),
        }
    }

    /// The digest that this node agreed to, if any.
    pub fn pinned(&self) -> Result<Option<[u8; 32]>, DataDirError> {
        pin::read(self.disk(), &self.inner.root.join(PIN))
    }

    /// Bytes that can still be written to this directory's file system.
    pub fn available_bytes(&self) -> Result<u64, IoFailure> {
        self.disk()
            .available_bytes(self.path())
            .map_err(IoFailure::on("stat", self.path()))
    }

    /// Exact size of every segment of this directory, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.inner.file.segment_bytes
    }

    /// The directory of the segments.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.inner.root.join(LOG)
    }

    /// The directory of the snapshots.
    pub(crate) fn snapshots_path(&self) -> PathBuf {
        self.inner.root.join(SNAPSHOTS)
    }

    /// The identity with what only the log's format needs.
    pub(crate) fn identity_file(&self) -> &IdentityFile {
        &self.inner.file
    }
}

/// A random id (UUID version 4) for a directory that is to be formatted.
pub fn random_directory_id<D: Disk>(disk: &D) -> io::Result<DirectoryId> {
    const VERSION_4: u128 = 4 << 76;
    const VARIANT: u128 = 2 << 62;
    let bits = (u128::from(disk.random()?) << 64) | u128::from(disk.random()?);
    Ok(DirectoryId(
        (bits & !(0xf << 76) & !(3 << 62)) | VERSION_4 | VARIANT,
    ))
}

/// Whether `format` ended here once.
pub(crate) fn is_formatted<D: Disk>(disk: &D, root: &Path) -> Result<bool, DataDirError> {
    let check = |name: &str| {
        let path = root.join(name);
        disk::exists(disk, &path).map_err(|error| DataDirError::io("open", &path, &error))
    };
    Ok(check(IDENTITY)? && !check(FORMATTING)?)
}

/// What a killed process renamed or removed is seen by everybody, but may not be durable yet.
fn sync_names<D: Disk>(disk: &D, root: &Path) -> Result<(), DataDirError> {
    disk.sync_dir(root)
        .map_err(|error| DataDirError::io("sync", root, &error))
}

/// Takes the lock, or says who cannot have it.
pub(crate) fn take_lock<D: Disk>(disk: &D, root: &Path) -> Result<D::Lock, DataDirError> {
    let path = root.join(LOCK);
    let lock = disk
        .lock(&path)
        .map_err(|error| DataDirError::io("lock", &path, &error))?;
    lock.ok_or_else(|| DataDirError::Locked { path: root.into() })
}

/// Reads the identity file.
pub(crate) fn read_identity<D: Disk>(disk: &D, root: &Path) -> Result<IdentityFile, DataDirError> {
    let path = root.join(IDENTITY);
    let bytes = disk::read_all(disk, &path).map_err(|e| DataDirError::io("read", &path, &e))?;
    IdentityFile::decode(&bytes).map_err(|bad| match bad {
        BadIdentity::Version(found) => DataDirError::Version { path, found },
        BadIdentity::Damaged => DataDirError::Damaged { path },
    })
}

/// Why a directory cannot be formatted, opened or pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataDirError {
    /// `serve` before `format`, or after a `format` that did not end.
    #[error("{} is not formatted: run `dmq-metadata format` first", path.display())]
    NotFormatted {
        /// The directory.
        path: PathBuf,
    },
    /// A forced recovery was begun here and did not end.
    #[error("{} is being recovered: run `dmq-metadata recover` again until it ends{}",
        path.display(), give_up.as_ref().map(|staging| {
            format!(" (or, to give it up, remove {})", staging.display())
        }).unwrap_or_default())]
    RecoveryUnfinished {
        /// The directory.
        path: PathBuf,
        /// The one that is to take its place, as long as the old one is still there.
        give_up: Option<PathBuf>,
    },
    /// Something was put where a recovered directory belongs.
    #[error("{} is in the way of the recovered directory (it holds `{found}`): move it aside and run \
        `dmq-metadata recover` again", path.display())]
    InTheWay {
        /// The directory.
        path: PathBuf,
        /// One name in it.
        found: String,
    },
    /// Another process uses the directory.
    #[error("{} is locked: one directory serves one process at a time", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// `format` on a formatted directory.
    #[error("{} is formatted already ({identity}): a data directory is never overwritten",
        path.display())]
    AlreadyFormatted {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        identity: Box<Identity>,
    },
    /// `format` on a directory with something else in it.
    #[error("{} is not empty (it holds `{found}`): only an empty directory is formatted",
        path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One name in it.
        found: String,
    },
    /// The directory belongs to somebody else.
    #[error("{} belongs to {key} {found}, the configuration says {expected}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// The configuration's value.
        expected: String,
        /// The directory's value.
        found: String,
    },
    /// A value that `format` was given breaks a rule.
    #[error("{key} `{value}` is invalid: {rule}")]
    Invalid {
        /// Which value.
        key: &'static str,
        /// The value.
        value: String,
        /// The rule.
        rule: &'static str,
    },
    /// A version that this binary does not read.
    #[error("{} has format version {found}; this binary reads up to {}", path.display(),
        crate::format_version::DATA_DIR_VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A file whose checksum is wrong.
    #[error("{} is damaged (its checksum is wrong): wipe the member and let it rejoin",
        path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another body was pinned before.
    #[error("pinned to another initialize body ({})", pin::hex(pinned))]
    Pinned {
        /// The digest that was pinned.
        pinned: [u8; 32],
        /// The one that was refused.
        digest: [u8; 32],
    },
    /// The directory cannot be written.
    #[error("{} cannot be written: {}", path.display(), failure.message)]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// What failed.
        failure: IoFailure,
    },
    /// Something else failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

impl DataDirError {
    /// Sorts an I/O error into its variant.
    pub(crate) fn io(operation: &'static str, path: &Path, error: &io::Error) -> Self {
        let failure = IoFailure::new(operation, path, error);
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Unwritable {
                    path: path.into(),
                    failure,
                }
            }
            _ => Self::Io(failure),
        }
    }
}
