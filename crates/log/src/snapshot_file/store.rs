//! The snapshots of a data directory: which there are, and which stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dmq_raft::EntryId;

use super::container;
use super::error::SnapshotError;
use super::incoming::{Incoming, PART_SUFFIX};
use super::meta::{SnapshotInfo, SnapshotMeta, SnapshotOffer};
use super::reader::SnapshotReader;
use super::writer::SnapshotWriter;
use crate::crash_point::reach;
use crate::data_dir::DataDir;
use crate::disk::{self, Access, Disk};
use crate::error::Corruption;
use crate::mutant;

/// Extension of a whole snapshot.
pub(crate) const SNAPSHOT_SUFFIX: &str = ".snap";

/// The snapshot files of one member. Clones are the same store.
pub struct SnapshotStore<D: Disk> {
    dir: DataDir<D>,
    path: Arc<Path>,
    writing: Arc<AtomicBool>,
    receiving: Arc<AtomicBool>,
}

impl<D: Disk> Clone for SnapshotStore<D> {
    fn clone(&self) -> Self {
        Self {
            dir: self.dir.clone(),
            path: Arc::clone(&self.path),
            writing: Arc::clone(&self.writing),
            receiving: Arc::clone(&self.receiving),
        }
    }
}

/// The newest snapshot that is whole.
pub struct NewestSnapshot<D: Disk> {
    /// The snapshot, opened and checked; `None` if there is none.
    pub reader: Option<SnapshotReader<D>>,
    /// Newer files that are damaged; worth an alarm.
    pub damaged: Vec<Corruption>,
}

impl<D: Disk> SnapshotStore<D> {
    /// Opens the store and removes what an interrupted writer left. An interrupted transfer stays.
    pub fn open(dir: &DataDir<D>) -> Result<Self, SnapshotError> {
        let path: Arc<Path> = dir.snapshots_path().into();
        let store = Self {
            dir: dir.clone(),
            path,
            writing: Arc::default(),
            receiving: Arc::default(),
        };
        for name in store.names()? {
            if name.ends_with(disk::TEMPORARY_SUFFIX) {
                let path = store.path.join(name);
                store
                    .disk()
                    .remove(&path)
                    .map_err(SnapshotError::on("remove", &path))?;
            }
        }
        // A killed process may have left the name of a whole snapshot unsynced.
        store
            .disk()
            .sync_dir(&store.path)
            .map_err(SnapshotError::on("sync", &store.path))?;
        Ok(store)
    }

    /// The snapshots, newest first, by their headers and footers; damaged ones are left out.
    pub fn list(&self) -> Result<Vec<SnapshotInfo>, SnapshotError> {
        let mut infos = Vec::new();
        for last in self.positions()? {
            let path = self.path(last);
            let file = self.disk().open(&path, Access::Read);
            let file = file.map_err(SnapshotError::on("open", &path))?;
            match container::peek(&file, &path) {
                Ok(info) => infos.push(info),
                Err(SnapshotError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(infos)
    }

    /// The newest snapshot that is whole, and the damaged ones that are newer.
    pub fn newest(&self) -> Result<NewestSnapshot<D>, SnapshotError> {
        let mut damaged = Vec::new();
        for last in self.positions()? {
            match self.reader(last) {
                Ok(reader) => {
                    return Ok(NewestSnapshot {
                        reader: Some(reader),
                        damaged,
                    });
                }
                Err(SnapshotError::Corrupt(corruption)) => damaged.push(corruption),
                Err(error) => return Err(error),
            }
        }
        Ok(NewestSnapshot {
            reader: None,
            damaged,
        })
    }

    /// Opens a snapshot and checks all of it.
    pub fn reader(&self, last: EntryId) -> Result<SnapshotReader<D>, SnapshotError> {
        let path = self.path(last);
        let file = match self.disk().open(&path, Access::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SnapshotError::NotFound { last });
            }
            other => other.map_err(SnapshotError::on("open", &path))?,
        };
        let reader = SnapshotReader::new(file, path.clone())?;
        if reader.info().meta.last != last {
            let reason = "the header names another position".into();
            return Err(Corruption {
                file: path,
                offset: 0,
                reason,
            }
            .into());
        }
        self.check_owner(&reader.info().meta)?;
        Ok(reader)
    }

    /// Begins a snapshot of this member's image. One at a time.
    pub fn create(&self, meta: SnapshotMeta) -> Result<SnapshotWriter<D>, SnapshotError> {
        self.check_owner(&meta)?;
        let claim = Claim::take(&self.writing).ok_or(SnapshotError::Busy("written"))?;
        SnapshotWriter::new(self.clone(), meta, claim)
    }

    /// Begins to receive the offered snapshot, or goes on where an earlier transfer of the same file broke
    /// off; what is left of other transfers is removed. One at a time.
    pub fn receive(&self, offer: &SnapshotOffer) -> Result<Incoming<D>, SnapshotError> {
        let claim = Claim::take(&self.receiving).ok_or(SnapshotError::Busy("received"))?;
        Incoming::new(self.clone(), offer, claim)
    }

    /// Removes all but the `count` newest snapshots (at least 1), and never the newest that is whole.
    pub fn retain(&self, count: usize) -> Result<(), SnapshotError> {
        let old: Vec<_> = self.positions()?.into_iter().skip(count.max(1)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let newest = self.newest()?.reader.map(|reader| reader.info().meta.last);
        for last in old.into_iter().filter(|last| Some(*last) != newest) {
            let path = self.path(last);
            self.disk()
                .remove(&path)
                .map_err(SnapshotError::on("remove", &path))?;
        }
        reach("snapshot-old-removed").map_err(SnapshotError::on("sync", &self.path))?;
        self.disk()
            .sync_dir(&self.path)
            .map_err(SnapshotError::on("sync", &self.path))
    }

    pub(super) fn disk(&self) -> &D {
        self.dir.disk()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.path
    }

    /// The path of a snapshot.
    pub(super) fn path(&self, last: EntryId) -> PathBuf {
        self.path.join(format!(
            "{:020}-{:020}{SNAPSHOT_SUFFIX}",
            last.index.0, last.term.0
        ))
    }

    /// Gives a whole and synced file its name, durably. `points` are passed before and after it is durable.
    pub(super) fn place(
        &self,
        file: &Path,
        last: EntryId,
        points: [&'static str; 2],
    ) -> Result<(), SnapshotError> {
        self.disk()
            .rename(file, &self.path(last))
            .and_then(|()| reach(points[0]))
            .map_err(SnapshotError::on("rename", file))?;
        if mutant::is("snapshot-name-not-synced") {
            return Ok(());
        }
        self.disk()
            .sync_dir(&self.path)
            .and_then(|()| reach(points[1]))
            .map_err(SnapshotError::on("sync", &self.path))
    }

    pub(super) fn check_owner(&self, meta: &SnapshotMeta) -> Result<(), SnapshotError> {
        let identity = self.dir.identity();
        let is_ours =
            (&meta.cluster_id, meta.incarnation) == (&identity.cluster_id, identity.incarnation);
        if is_ours || mutant::is("snapshot-of-another-history") {
            return Ok(());
        }
        let name = |cluster_id, incarnation| format!("{cluster_id} (incarnation {incarnation})");
        Err(SnapshotError::Foreign {
            found: name(&meta.cluster_id, meta.incarnation),
            expected: name(&identity.cluster_id, identity.incarnation),
        })
    }

    pub(super) fn remove_parts_except(&self, kept: &Path) -> Result<(), SnapshotError> {
        for name in self.names()? {
            let path = self.path.join(&name);
            if name.ends_with(PART_SUFFIX) && path != kept {
                self.disk()
                    .remove(&path)
                    .map_err(SnapshotError::on("remove", &path))?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, SnapshotError> {
        let entries = self.disk().list(&self.path);
        let entries = entries.map_err(SnapshotError::on("list", &self.path))?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Positions by the files' names, newest first.
    fn positions(&self) -> Result<Vec<EntryId>, SnapshotError> {
        let names = self.names()?;
        let mut positions: Vec<_> = names.iter().filter_map(|name| parse(name)).collect();
        positions.sort_by_key(|last| std::cmp::Reverse((last.index, last.term)));
        Ok(positions)
    }
}

fn parse(name: &str) -> Option<EntryId> {
    let (index, term) = name.strip_suffix(SNAPSHOT_SUFFIX)?.split_once('-')?;
    EntryId::checked(term.parse().ok()?, index.parse().ok()?)
}

/// Held while one snapshot is written, or received.
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    fn take(flag: &Arc<AtomicBool>) -> Option<Self> {
        (!flag.swap(true, Ordering::AcqRel)).then(|| Self(Arc::clone(flag)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
