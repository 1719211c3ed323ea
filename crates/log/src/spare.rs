//! Spare segments: preallocated in the background, refilled by purged ones.
//!
//! ```text
//! log/<n>.spare        of a segment's exact size; zeros, or what an older segment held
//! log/<n>.spare.tmp    being filled with zeros
//! ```
//!
//! A recycled file is not filled with zeros again: every frame header names its segment's sequence, which is
//! never used twice, so what an older segment left behind is not mistaken for frames of the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::crash_point::reach;
use crate::disk::{self, Access, Disk, DiskFile, is_no_space};
use crate::error::{IoFailure, LogError};
use crate::mutant;
use crate::segment_writer;

/// Extension of a spare.
pub(crate) const SPARE_SUFFIX: &str = ".spare";

/// Why no spare was prepared. Nothing is left of the attempt, and the log does not know of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpareError {
    /// The disk is full. The log goes on to the end of its segment: time to raise an alarm.
    #[error("no space to prepare a log segment of {wanted_bytes} bytes in {}", dir.display())]
    NoSpace {
        /// Directory of the segments.
        dir: PathBuf,
        /// Size of a segment in bytes.
        wanted_bytes: u64,
    },
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

impl From<SpareError> for LogError {
    /// What it means for a log that needs the spare now.
    fn from(error: SpareError) -> Self {
        match error {
            SpareError::NoSpace { dir, wanted_bytes } => Self::NoSpace { dir, wanted_bytes },
            SpareError::Io(failure) => Self::Fatal(failure),
        }
    }
}

/// Prepares spare segments beside the writer; see [`crate::Log::spares`].
#[derive(Clone)]
pub struct SpareMaker<D: Disk> {
    shared: Arc<Shared<D>>,
}

struct Shared<D: Disk> {
    disk: D,
    dir: PathBuf,
    segment_bytes: u64,
    spares_max: usize,
    pool: Mutex<Pool>,
    prepared: Condvar,
}

struct Pool {
    ready: Vec<PathBuf>,
    next_number: u64,
    preparing: bool,
}

impl<D: Disk> SpareMaker<D> {
    /// Takes over the spares that lie in the directory; others of the names are removed.
    pub(crate) fn open(
        disk: &D,
        dir: &Path,
        segment_bytes: u64,
        spares_max: usize,
    ) -> io::Result<Self> {
        let mut pool = Pool {
            ready: Vec::new(),
            next_number: 1,
            preparing: false,
        };
        for entry in disk.list(dir)? {
            let path = dir.join(&entry.name);
            if let Some(number) = number_of(&entry.name) {
                pool.next_number = pool.next_number.max(number.saturating_add(1));
            }
            if is_usable(disk, &path, segment_bytes)? && pool.ready.len() < spares_max {
                pool.ready.push(path);
            } else if is_spare_name(&entry.name) {
                disk.remove(&path)?;
            }
        }
        let shared = Shared {
            disk: disk.clone(),
            dir: dir.into(),
            segment_bytes,
            spares_max,
            pool: Mutex::new(pool),
            prepared: Condvar::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Prepares one spare if there is none; `true` if it did. Takes as long as writing one segment, so it is
    /// called from another thread, or when the log is idle.
    pub fn prepare(&self) -> Result<bool, SpareError> {
        {
            let mut pool = self.pool();
            if pool.preparing || !pool.ready.is_empty() {
                return Ok(false);
            }
            pool.preparing = true;
        }
        let made = self.make();
        let mut pool = self.pool();
        pool.preparing = false;
        self.shared.prepared.notify_all();
        pool.ready.push(made?);
        Ok(true)
    }

    /// Number of spares that are ready.
    pub fn ready(&self) -> usize {
        self.pool().ready.len()
    }

    /// Makes sure that so many spares are ready; the way out when the background did not keep up.
    pub(crate) fn ensure(&self, count: usize) -> Result<(), SpareError> {
        loop {
            let mut pool = self.pool();
            while pool.preparing {
                let waited = self.shared.prepared.wait(pool);
                pool = waited.unwrap_or_else(PoisonError::into_inner);
            }
            if pool.ready.len() >= count {
                return Ok(());
            }
            drop(pool);
            let made = self.make()?;
            self.pool().ready.push(made);
        }
    }

    /// Takes a spare that [`Self::ensure`] promised.
    pub(crate) fn take(&self) -> Option<PathBuf> {
        self.pool().ready.pop()
    }

    /// Turns a purged segment into a spare, or removes it if there are enough. The name is durable before
    /// the spare can be taken, hence before its bytes change.
    pub(crate) fn recycle(&self, path: &Path) -> Result<(), IoFailure> {
        let Shared { disk, dir, .. } = &*self.shared;
        let spare = {
            let mut pool = self.pool();
            (pool.ready.len() < self.shared.spares_max).then(|| pool.next_path(dir))
        };
        reach("purge-begun").map_err(IoFailure::on("rename", path))?;
        match &spare {
            Some(spare) => disk
                .rename(path, spare)
                .map_err(IoFailure::on("rename", path))?,
            None => disk.remove(path).map_err(IoFailure::on("remove", path))?,
        }
        reach("purge-renamed").map_err(IoFailure::on("rename", path))?;
        if !mutant::is("spare-name-not-synced") {
            disk.sync_dir(dir).map_err(IoFailure::on("sync", dir))?;
        }
        reach("purge-named").map_err(IoFailure::on("sync", dir))?;
        self.pool().ready.extend(spare);
        Ok(())
    }

    fn make(&self) -> Result<PathBuf, SpareError> {
        let Shared {
            disk,
            dir,
            segment_bytes,
            ..
        } = &*self.shared;
        let path = self.pool().next_path(dir);
        let temporary = disk::with_suffix(&path, disk::TEMPORARY_SUFFIX);
        let made = reach("spare-begun")
            .and_then(|()| segment_writer::write_zeros(disk, &temporary, *segment_bytes))
            .and_then(|()| reach("spare-zeroed"))
            .and_then(|()| disk.rename(&temporary, &path))
            .and_then(|()| reach("spare-renamed"))
            .and_then(|()| disk.sync_dir(dir));
        match made {
            Ok(()) => Ok(path),
            Err(error) => {
                // Best effort: what is left is removed by the next open.
                let _ = disk.remove(&temporary);
                Err(self.failed(&temporary, &error))
            }
        }
    }

    fn failed(&self, path: &Path, error: &io::Error) -> SpareError {
        if is_no_space(error) {
            let Shared {
                dir, segment_bytes, ..
            } = &*self.shared;
            return SpareError::NoSpace {
                dir: dir.clone(),
                wanted_bytes: *segment_bytes,
            };
        }
        SpareError::Io(IoFailure::new("prepare", path, error))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.shared
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn next_path(&mut self, dir: &Path) -> PathBuf {
        let number = self.next_number;
        self.next_number += 1;
        dir.join(format!("{number:020}{SPARE_SUFFIX}"))
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.split_once('.')
        .filter(|(_, suffix)| suffix.starts_with("spare"))?
        .0
        .parse()
        .ok()
}

fn is_spare_name(name: &str) -> bool {
    name.ends_with(SPARE_SUFFIX) || name.ends_with(disk::TEMPORARY_SUFFIX)
}

fn is_usable<D: Disk>(disk: &D, path: &Path, segment_bytes: u64) -> io::Result<bool> {
    if !path.to_string_lossy().ends_with(SPARE_SUFFIX) {
        return Ok(false);
    }
    Ok(disk.open(path, Access::Read)?.len()? == segment_bytes)
}
