//! Writes a snapshot of this member's image, in synced pieces of 1 MiB.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::container::{self, CHUNK_BYTES};
use super::error::SnapshotError;
use super::meta::{SnapshotInfo, SnapshotMeta, Totals};
use super::store::{Claim, SnapshotStore};
use crate::crash_point::reach;
use crate::disk::{self, Access, Disk, DiskFile};
use crate::mutant;

/// A snapshot being written. Dropped without [`Self::finish`], it leaves nothing.
pub struct SnapshotWriter<D: Disk> {
    store: SnapshotStore<D>,
    meta: SnapshotMeta,
    file: D::File,
    temporary: PathBuf,
    offset: u64,
    sha256: Sha256,
    /// Content that does not fill a chunk yet.
    pending: Vec<u8>,
    content_bytes: u64,
    chunks: u64,
    finished: bool,
    _claim: Claim,
}

impl<D: Disk> SnapshotWriter<D> {
    pub(super) fn new(
        store: SnapshotStore<D>,
        meta: SnapshotMeta,
        claim: Claim,
    ) -> Result<Self, SnapshotError> {
        let temporary = disk::with_suffix(&store.path(meta.last), disk::TEMPORARY_SUFFIX);
        let disk = store.disk();
        disk::remove_if_exists(disk, &temporary)
            .map_err(SnapshotError::on("remove", &temporary))?;
        let file = disk.open(&temporary, Access::Create);
        let file = file.map_err(SnapshotError::on("create", &temporary))?;
        let header = container::encode_header(&meta);
        let mut writer = Self {
            store,
            meta,
            file,
            temporary,
            offset: 0,
            sha256: Sha256::new(),
            pending: Vec::with_capacity(CHUNK_BYTES),
            content_bytes: 0,
            chunks: 0,
            finished: false,
            _claim: claim,
        };
        writer.put(&header)?;
        writer.sha256.update(&header);
        Ok(writer)
    }

    /// Adds content. After an error the writer is to be dropped.
    pub fn write(&mut self, mut content: &[u8]) -> Result<(), SnapshotError> {
        while !content.is_empty() {
            let room = CHUNK_BYTES - self.pending.len();
            let (now, later) = content.split_at(room.min(content.len()));
            self.pending.extend_from_slice(now);
            content = later;
            if self.pending.len() == CHUNK_BYTES {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    /// Ends the file: footer, sync, rename, sync of the directory. On return it is durable. `counts` says
    /// how many of what it holds, for people.
    pub fn finish(mut self, counts: BTreeMap<String, u64>) -> Result<SnapshotInfo, SnapshotError> {
        if !self.pending.is_empty() {
            self.write_chunk()?;
        }
        let totals = Totals {
            content_bytes: self.content_bytes,
            chunks: self.chunks,
            state_hash: self.meta.state_hash.to_be_bytes().to_vec(),
            counts,
        };
        let (footer, sha256) = container::encode_footer(&totals, self.sha256.clone());
        self.put(&footer)?;
        reach("snapshot-whole").map_err(SnapshotError::on("rename", &self.temporary))?;
        let points = ["snapshot-renamed", "snapshot-named"];
        self.store.place(&self.temporary, self.meta.last, points)?;
        self.finished = true;
        Ok(SnapshotInfo {
            meta: self.meta.clone(),
            content_bytes: totals.content_bytes,
            file_bytes: self.offset,
            counts: totals.counts,
            sha256,
        })
    }

    fn write_chunk(&mut self) -> Result<(), SnapshotError> {
        let chunk = container::encode_chunk(&self.pending);
        let chunk = chunk.map_err(SnapshotError::on("compress", &self.temporary))?;
        self.put(&chunk)?;
        self.sha256.update(&chunk);
        self.chunks += 1;
        self.content_bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Each piece is synced by itself, so that the log's syncs never wait behind a large one.
    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let on = |operation| SnapshotError::on(operation, &self.temporary);
        self.file
            .write_at(bytes, self.offset)
            .map_err(on("write"))?;
        reach("snapshot-piece-written").map_err(on("sync"))?;
        if !mutant::is("snapshot-not-synced") {
            self.file.sync().map_err(on("sync"))?;
        }
        reach("snapshot-piece-synced").map_err(on("sync"))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

impl<D: Disk> Drop for SnapshotWriter<D> {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: what is left is removed when the store is opened again.
            let _ = self.store.disk().remove(&self.temporary);
        }
    }
}
