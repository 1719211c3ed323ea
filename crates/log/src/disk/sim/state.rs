//! What a simulated disk holds: the view of the process, and what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::DiskStats;
use super::fault::{self, Fault, Operation, Struck};

/// What is written without tearing, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// Identifies a file whatever its name.
pub(super) type FileId = u64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Dir,
}

pub(super) type Names = BTreeMap<PathBuf, Node>;

/// One file: what the process sees, and what is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
}

/// A change that is not durable yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write {
        file: FileId,
        offset: usize,
        bytes: Vec<u8>,
    },
    Length {
        file: FileId,
        len: usize,
    },
    /// Names of one directory that change together.
    Names {
        dir: PathBuf,
        set: Vec<(PathBuf, Option<Node>)>,
    },
    /// A directory gets another name, with all that is in it.
    MoveDir {
        dir: PathBuf,
        from: PathBuf,
        to: PathBuf,
    },
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) files: BTreeMap<FileId, Content>,
    pub(super) names: Names,
    pub(super) durable_names: Names,
    /// In the order in which they were made.
    pub(super) unsynced: Vec<Change>,
    pub(super) next_file: FileId,
    /// Number of the process that may use the disk.
    pub(super) process: u64,
    /// A lock belongs to the file, whatever its name becomes.
    pub(super) locks: BTreeSet<FileId>,
    pub(super) faults: Vec<Fault>,
    /// Faults that happened and that nobody has asked for yet.
    pub(super) struck: Vec<Struck>,
    /// The log of the present process could not be written.
    pub(super) log_failed: bool,
    /// Syncs promise what they do not do.
    pub(super) lies: bool,
    pub(super) capacity_bytes: u64,
    pub(super) sync_ticks: u64,
    pub(super) stats: DiskStats,
    pub(super) random: Random,
    /// Changes until the power fails.
    pub(super) power: Option<u64>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let root = Names::from([(PathBuf::from("/"), Node::Dir)]);
        Self {
            files: BTreeMap::new(),
            names: root.clone(),
            durable_names: root,
            unsynced: Vec::new(),
            next_file: 1,
            process: 1,
            locks: BTreeSet::new(),
            faults: Vec::new(),
            struck: Vec::new(),
            log_failed: false,
            lies: false,
            capacity_bytes: u64::MAX,
            sync_ticks: 0,
            stats: DiskStats::default(),
            random: Random(seed),
            power: None,
        }
    }

    pub(super) fn fork(&self) -> Self {
        Self {
            files: self.files.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            unsynced: self.unsynced.clone(),
            next_file: self.next_file,
            process: self.process,
            locks: BTreeSet::new(),
            faults: self.faults.clone(),
            struck: Vec::new(),
            log_failed: self.log_failed,
            lies: self.lies,
            capacity_bytes: self.capacity_bytes,
            sync_ticks: self.sync_ticks,
            stats: self.stats,
            random: self.random,
            power: self.power,
        }
    }

    pub(super) fn cut_power_after(&mut self, changes: u64) {
        self.power = Some(changes);
    }

    pub(super) fn is_without_power(&self) -> bool {
        self.power == Some(0)
    }

    pub(super) fn unsynced_changes(&self) -> usize {
        self.unsynced.len()
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.is_without_power() {
            Err(io::Error::other("the power failed"))
        } else {
            Ok(())
        }
    }

    /// Before every operation that changes something.
    pub(super) fn begin_change(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        self.check_power()?;
        self.power = self.power.map(|left| left - 1);
        self.stats.changes += 1;
        let bytes_too = matches!(operation, Operation::Write | Operation::Sync);
        if self.log_failed && bytes_too && fault::is_segment(&fault::name_of(path)) {
            self.stats.after_failure += 1;
        }
        self.strike(operation, path)
    }

    /// Lets a fault happen whose time has come.
    pub(super) fn strike(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        let Some(struck) = fault::strike(&mut self.faults, operation, path) else {
            return Ok(());
        };
        let error = struck.kind.error();
        self.log_failed |= struck.breaks_the_log();
        self.struck.push(struck);
        Err(error)
    }

    pub(super) fn damage(&mut self, path: &Path, mut change: impl FnMut(&mut Vec<u8>)) -> bool {
        let Some(Node::File(id)) = self.names.get(path).copied() else {
            return false;
        };
        let Some(content) = self.files.get_mut(&id) else {
            return false;
        };
        change(&mut content.seen);
        change(&mut content.durable);
        true
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        match self.names.get(path)? {
            Node::File(id) => self.files.get(id).map(|content| content.seen.clone()),
            Node::Dir => None,
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self
            .names
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn lose_file(&mut self, path: &Path) -> bool {
        self.durable_names.remove(path);
        self.names.remove(path).is_some()
    }
}

/// `SplitMix64`: small, seeded, the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
