//! The simulated disk: deterministic, in memory, as treacherous as POSIX allows.
//!
//! It keeps what is durable apart from what a process sees. After [`SimDisk::crash`] only synced bytes and
//! synced names are certain; of the rest an arbitrary, seeded selection survives: unsynced writes sector by
//! sector (so a write can be torn or land without an earlier one), unsynced directory operations one by one,
//! in order per directory. After [`SimDisk::kill`] (a `kill -9`) the process is gone and the page cache stays.

mod crash;
mod fault;
mod files;
mod names;
mod state;
mod subset;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, DirEntry, Disk, DiskFile};

pub use fault::{Fault, FaultKind, Operation, Struck};
pub use state::SECTOR_BYTES;
use state::{FileId, State};

/// A simulated disk. Clones are the same disk; [`Self::fork`] makes another one.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// Which of the unsynced changes survive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// None: only what was synced.
    None,
    /// All of them.
    All,
    /// Every sector and every name by the toss of a coin that this seed decides.
    Seeded(u64),
    /// The first so many, in the order in which they were made; the next write is cut after so many bytes.
    Prefix {
        /// Number of whole changes (writes and directory operations) that survive.
        changes: usize,
        /// Bytes of the next write that survive too.
        torn_bytes: usize,
    },
    /// Exactly the units of which the mask's bit is set, in the order in which they were made; see
    /// [`SimDisk::unsynced_units`].
    Chosen {
        /// Writes are cut at multiples of this many bytes.
        unit_bytes: usize,
        /// Bit `n` lets unit `n` survive.
        mask: u64,
    },
}

/// What a disk was asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Operations that change something: writes, syncs, names.
    pub changes: u64,
    /// Writes to files.
    pub writes: u64,
    /// Bytes of these writes.
    pub written_bytes: u64,
    /// Syncs of files and directories.
    pub syncs: u64,
    /// Writes and syncs of segments by a process that was told before that one of them failed.
    pub after_failure: u64,
    /// Simulated duration of all operations, in ticks: the sum of what [`SimDisk::set_sync_ticks`] charged.
    pub busy_ticks: u64,
}

impl SimDisk {
    /// An empty disk with nothing but `/`. The seed decides [`Disk::random`] and the damage of failed syncs.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// Another disk with the same content, faults and randomness. Locks and open files stay with the first.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().fork())),
        }
    }

    /// The power fails: the process is gone, and of what was not synced only the survivors are left.
    pub fn crash(&self, survivors: Survivors) {
        self.state().crash(survivors);
    }

    /// The process is killed: its locks and files are gone, the page cache stays.
    pub fn kill(&self) {
        self.state().end_process();
    }

    /// Number of unsynced changes that [`Survivors::Prefix`] could keep.
    pub fn unsynced_changes(&self) -> usize {
        self.state().unsynced_changes()
    }

    /// Number of units that [`Survivors::Chosen`] selects from: the parts of writes that lie between two multiples
    /// of `unit_bytes`, and every other unsynced change.
    pub fn unsynced_units(&self, unit_bytes: usize) -> usize {
        self.state().unsynced_units(unit_bytes)
    }

    /// Lets the power fail before the change with this number (0 is the next one): it and all later
    /// operations fail until [`Self::crash`] or [`Self::kill`].
    pub fn cut_power_after(&self, changes: u64) {
        self.state().cut_power_after(changes);
    }

    /// Whether a cut that was set has happened.
    pub fn is_without_power(&self) -> bool {
        self.state().is_without_power()
    }

    /// Takes back a cut that was set and has not happened.
    pub fn keep_power(&self) {
        self.state().power = None;
    }

    /// Whether the present process was told that a write or sync of its log failed.
    pub fn has_failed_log(&self) -> bool {
        self.state().log_failed
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults that have not happened.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// The faults that happened since this was asked last.
    pub fn take_struck(&self) -> Vec<Struck> {
        std::mem::take(&mut self.state().struck)
    }

    /// From now on syncs of files only say that they did something: a disk with a volatile cache that lies.
    pub fn set_lying(&self) {
        self.state().lies = true;
    }

    /// Limits the size of all files together, in bytes; writes that grow a file beyond it get `ENOSPC`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity_bytes = bytes;
    }

    /// Charges every sync with so many ticks of [`DiskStats::busy_ticks`]: a slow disk, for simulators that
    /// keep their own time.
    pub fn set_sync_ticks(&self, ticks: u64) {
        self.state().sync_ticks = ticks;
    }

    /// What was done so far.
    pub fn stats(&self) -> DiskStats {
        self.state().stats
    }

    /// Flips one bit of a file, durably, as rot does.
    ///
    /// # Panics
    /// If there is no such file or byte.
    pub fn flip_bit(&self, path: &Path, offset: usize, bit: u8) {
        self.damage(path, |bytes| bytes[offset] ^= 1 << bit);
    }

    /// Changes the content of a file durably, behind everybody's back.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnMut(&mut Vec<u8>)) {
        assert!(
            self.state().damage(path, change),
            "no file {}",
            path.display()
        );
    }

    /// The content of a file as a process sees it.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.state().contents(path)
    }

    /// All files, sorted by path.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().files()
    }

    /// Removes a file durably, behind everybody's back; `false` if there is none.
    pub fn lose_file(&self, path: &Path) -> bool {
        self.state().lose_file(path)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state().create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.state().list(dir)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<SimFile> {
        let mut state = self.state();
        let id = state.open(path, access)?;
        let (process, path) = (state.process, path.to_path_buf());
        Ok(SimFile {
            disk: self.clone(),
            id,
            process,
            path,
            access,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<SimLock>> {
        let mut state = self.state();
        let process = state.process;
        let locked = state.lock(path)?;
        Ok(locked.map(|file| SimLock {
            disk: self.clone(),
            file,
            process,
        }))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state().is_locked(path))
    }

    fn available_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.state().available_bytes())
    }

    fn random(&self) -> io::Result<u64> {
        Ok(self.state().random.next())
    }
}

/// An open file of a simulated disk. It ends with the process that opened it.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    id: FileId,
    process: u64,
    path: PathBuf,
    access: Access,
}

impl SimFile {
    /// A file of a process that is gone does nothing any more, whoever still holds it.
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.process == self.process {
            return Ok(state);
        }
        Err(io::Error::other(
            "the process that opened this file is gone",
        ))
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        match self.access {
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
            Access::Write | Access::Create => self.live(),
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.live()?.read_at(self.id, &self.path, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?
            .write_at(self.id, &self.path, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.live()?.sync(self.id, &self.path)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.writable()?.set_len(self.id, &self.path, len_bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.live()?.len(self.id)
    }
}

/// A held lock of a simulated disk.
#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
    file: FileId,
    process: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process {
            state.locks.remove(&self.file);
        }
    }
}
