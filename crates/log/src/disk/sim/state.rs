//! What a simulated disk holds: the view of the process, and what is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{self, Fault, FaultKind, Operation};
use super::{DiskStats, Survivors};
use crate::disk::{Access, DirEntry, parent};

/// What is written without tearing, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// Identifies a file whatever its name.
pub(super) type FileId = u64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(FileId),
    Dir,
}

type Names = BTreeMap<PathBuf, Node>;

/// One file: what the process sees, and what is durable.
#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
}

/// A change that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
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
}

#[derive(Debug)]
pub(super) struct State {
    files: BTreeMap<FileId, Content>,
    names: Names,
    durable_names: Names,
    /// In the order in which they were made.
    unsynced: Vec<Change>,
    next_file: FileId,
    /// Number of the process that may use the disk.
    pub(super) process: u64,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) faults: Vec<Fault>,
    pub(super) capacity_bytes: u64,
    pub(super) sync_ticks: u64,
    pub(super) stats: DiskStats,
    pub(super) random: Random,
    /// Changes until the power fails.
    power: Option<u64>,
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
            capacity_bytes: self.capacity_bytes,
            sync_ticks: self.sync_ticks,
            stats: self.stats,
            random: self.random,
            power: self.power,
        }
    }

    // ----- the end of a process -----

    pub(super) fn end_process(&mut self) {
        self.process += 1;
        self.locks.clear();
        self.power = None;
    }

    pub(super) fn crash(&mut self, survivors: Survivors) {
        self.end_process();
        let unsynced = std::mem::take(&mut self.unsynced);
        match survivors {
            Survivors::None => {}
            Survivors::All => unsynced.iter().for_each(|change| self.persist(change)),
            Survivors::Seeded(seed) => self.keep_seeded(&unsynced, Random(seed)),
            Survivors::Prefix {
                changes,
                torn_bytes,
            } => {
                self.keep_prefix(&unsynced, changes, torn_bytes);
            }
        }
        self.lose_orphans();
        self.names = self.durable_names.clone();
        let Self { names, files, .. } = self;
        files.retain(|id, _| names.values().any(|node| *node == Node::File(*id)));
        for content in files.values_mut() {
            content.seen.clone_from(&content.durable);
        }
    }

    /// A directory that did not survive takes along what was in it.
    fn lose_orphans(&mut self) {
        let names = std::mem::take(&mut self.durable_names);
        for (path, node) in names {
            // Sorted by path, so a directory comes before what is in it.
            let is_root = path.parent().is_none();
            if is_root || self.durable_names.contains_key(parent(&path)) {
                self.durable_names.insert(path, node);
            }
        }
    }

    fn keep_prefix(&mut self, unsynced: &[Change], changes: usize, torn_bytes: usize) {
        let (kept, rest) = unsynced.split_at(changes.min(unsynced.len()));
        for change in kept {
            self.persist(change);
        }
        if let Some(Change::Write {
            file,
            offset,
            bytes,
        }) = rest.first()
        {
            let bytes = bytes[..torn_bytes.min(bytes.len())].to_vec();
            self.persist(&Change::Write {
                file: *file,
                offset: *offset,
                bytes,
            });
        }
    }

    fn keep_seeded(&mut self, unsynced: &[Change], mut random: Random) {
        // Not every coin is fair: whole-or-nothing outcomes should be as likely as mixed ones.
        let odds = random.next() % 5;
        let mut keeps = || random.next() % 4 < odds;
        for change in unsynced {
            match change {
                Change::Write {
                    file,
                    offset,
                    bytes,
                } => {
                    for (at, sector) in sectors(*offset, bytes) {
                        if keeps() {
                            let bytes = sector.to_vec();
                            self.persist(&Change::Write {
                                file: *file,
                                offset: at,
                                bytes,
                            });
                        }
                    }
                }
                other if keeps() => self.persist(other),
                _ => {}
            }
        }
    }

    fn persist(&mut self, change: &Change) {
        match change {
            Change::Write {
                file,
                offset,
                bytes,
            } => {
                if let Some(content) = self.files.get_mut(file) {
                    put(&mut content.durable, *offset, bytes);
                }
            }
            Change::Length { file, len } => {
                if let Some(content) = self.files.get_mut(file) {
                    content.durable.resize(*len, 0);
                }
            }
            Change::Names { set, .. } => {
                for (path, node) in set {
                    set_name(&mut self.durable_names, path, *node);
                }
            }
        }
    }

    // ----- power and faults -----

    pub(super) fn cut_power_after(&mut self, changes: u64) {
        self.power = Some(changes);
    }

    pub(super) fn is_without_power(&self) -> bool {
        self.power == Some(0)
    }

    pub(super) fn unsynced_changes(&self) -> usize {
        self.unsynced.len()
    }

    fn check_power(&self) -> io::Result<()> {
        if self.is_without_power() {
            Err(io::Error::other("the power failed"))
        } else {
            Ok(())
        }
    }

    /// Before every operation that changes something.
    fn begin_change(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        self.check_power()?;
        self.power = self.power.map(|left| left - 1);
        self.stats.changes += 1;
        match fault::strike(&mut self.faults, operation, path) {
            Some(kind) => Err(kind.error()),
            None => Ok(()),
        }
    }

    // ----- names -----

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Dir) => return Ok(()),
            Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            None => {}
        }
        self.change_names(path, vec![(path.into(), Some(Node::Dir))])
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.check_power()?;
        self.check_dir(dir)?;
        let inside = self
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| DirEntry {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            is_dir: *node == Node::Dir,
        };
        Ok(inside.map(entry).collect())
    }

    pub(super) fn open(&mut self, path: &Path, access: Access) -> io::Result<FileId> {
        self.check_power()?;
        match (self.names.get(path), access) {
            (Some(Node::File(_)), Access::Create) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(id)), _) => Ok(*id),
            (Some(Node::Dir), _) => Err(io::ErrorKind::IsADirectory.into()),
            (None, Access::Create) => self.create(path),
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<FileId> {
        let id = self.next_file;
        self.change_names(path, vec![(path.into(), Some(Node::File(id)))])?;
        self.next_file += 1;
        self.files.insert(id, Content::default());
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(
            from.parent(),
            to.parent(),
            "only renames within a directory are atomic"
        );
        let node = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.change_names(from, vec![(from.into(), None), (to.into(), Some(node))])
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::File(_)) => self.change_names(path, vec![(path.into(), None)]),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_names(&mut self, path: &Path, set: Vec<(PathBuf, Option<Node>)>) -> io::Result<()> {
        let dir = parent(path).to_path_buf();
        self.check_dir(&dir)?;
        self.begin_change(Operation::Name, path)?;
        for (path, node) in &set {
            set_name(&mut self.names, path, *node);
        }
        self.unsynced.push(Change::Names { dir, set });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        self.begin_change(Operation::SyncDir, dir)?;
        self.count_sync();
        let is_here =
            |change: &Change| matches!(change, Change::Names { dir: at, .. } if at == dir);
        self.persist_matching(is_here);
        Ok(())
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<bool> {
        if !self.names.contains_key(path) {
            self.open(path, Access::Create)?;
        }
        self.check_power()?;
        Ok(self.locks.insert(path.into()))
    }

    // ----- files -----

    pub(super) fn read_at(
        &mut self,
        id: FileId,
        path: &Path,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check_power()?;
        if let Some(kind) = fault::strike(&mut self.faults, Operation::Read, path) {
            return Err(kind.error());
        }
        let seen = &self.content(id)?.seen;
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| seen.get(at..))
            .unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    pub(super) fn write_at(
        &mut self,
        id: FileId,
        path: &Path,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let grows_by = (offset + bytes.len()).saturating_sub(self.content(id)?.seen.len());
        self.begin_change(Operation::Write, path)?;
        if grows_by as u64 > self.available_bytes() {
            return Err(FaultKind::NoSpace.error());
        }
        put(&mut self.content(id)?.seen, offset, bytes);
        self.unsynced.push(Change::Write {
            file: id,
            offset,
            bytes: bytes.to_vec(),
        });
        self.stats.writes += 1;
        self.stats.written_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn set_len(&mut self, id: FileId, path: &Path, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.begin_change(Operation::Write, path)?;
        self.content(id)?.seen.resize(len, 0);
        self.unsynced.push(Change::Length { file: id, len });
        Ok(())
    }

    pub(super) fn sync(&mut self, id: FileId, path: &Path) -> io::Result<()> {
        let is_here = |change: &Change| match change {
            Change::Write { file, .. } | Change::Length { file, .. } => *file == id,
            Change::Names { .. } => false,
        };
        if let Err(error) = self.begin_change(Operation::Sync, path) {
            if !self.is_without_power() {
                self.lose_matching(is_here);
            }
            return Err(error);
        }
        self.count_sync();
        self.persist_matching(is_here);
        Ok(())
    }

    pub(super) fn len(&mut self, id: FileId) -> io::Result<u64> {
        Ok(self.content(id)?.seen.len() as u64)
    }

    pub(super) fn available_bytes(&self) -> u64 {
        let is_named = |id: &FileId| self.names.values().any(|node| *node == Node::File(*id));
        let used = self.files.iter().filter(|(id, _)| is_named(id));
        let used: usize = used.map(|(_, content)| content.seen.len()).sum();
        self.capacity_bytes.saturating_sub(used as u64)
    }

    fn content(&mut self, id: FileId) -> io::Result<&mut Content> {
        self.files
            .get_mut(&id)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn count_sync(&mut self) {
        self.stats.syncs += 1;
        self.stats.busy_ticks += self.sync_ticks;
    }

    fn persist_matching(&mut self, matches: impl Fn(&Change) -> bool) {
        for change in self.take_matching(matches) {
            self.persist(&change);
        }
    }

    /// A failed sync: a part becomes durable, the rest never will unless it is written again.
    fn lose_matching(&mut self, matches: impl Fn(&Change) -> bool) {
        let lost = self.take_matching(matches);
        let random = Random(self.random.next());
        self.keep_seeded(&lost, random);
    }

    fn take_matching(&mut self, matches: impl Fn(&Change) -> bool) -> Vec<Change> {
        self.unsynced
            .extract_if(.., |change| matches(change))
            .collect()
    }

    // ----- what tests do behind everybody's back -----

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

fn set_name(names: &mut Names, path: &Path, node: Option<Node>) {
    match node {
        Some(node) => names.insert(path.into(), node),
        None => names.remove(path),
    };
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// The parts of a write that lie in different sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let aligned = (offset + first..).step_by(SECTOR_BYTES);
    std::iter::once((offset, head)).chain(aligned.zip(rest.chunks(SECTOR_BYTES)))
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
