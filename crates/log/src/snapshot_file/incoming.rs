//! Receives a snapshot in pieces; a transfer that broke off resumes where the good part ends.

use std::path::{Path, PathBuf};

use dmq_raft::EntryId;

use super::container::{self, CHUNK_BYTES};
use super::error::SnapshotError;
use super::meta::{SnapshotInfo, SnapshotOffer};
use super::store::{Claim, SnapshotStore};
use crate::crash_point::reach;
use crate::disk::{self, Access, Disk, DiskFile};
use crate::error::Corruption;
use crate::mutant;
use crate::pin::hex;

/// Extension of an unfinished transfer.
pub(super) const PART_SUFFIX: &str = ".part";

/// A snapshot being received. Dropped without [`Self::finish`], the part that has arrived stays and a later
/// [`SnapshotStore::receive`] of the same offer goes on behind it.
pub struct Incoming<D: Disk> {
    store: SnapshotStore<D>,
    offer: SnapshotOffer,
    file: D::File,
    path: PathBuf,
    offset: u64,
    synced: u64,
    _claim: Claim,
}

impl<D: Disk> Incoming<D> {
    pub(super) fn new(
        store: SnapshotStore<D>,
        offer: &SnapshotOffer,
        claim: Claim,
    ) -> Result<Self, SnapshotError> {
        let path = store.dir().join(part_name(offer));
        let disk = store.disk();
        store.remove_parts_except(&path)?;
        let on = |operation| SnapshotError::on(operation, &path);
        let file = if disk::exists(disk, &path).map_err(on("open"))? {
            disk.open(&path, Access::Write).map_err(on("open"))?
        } else {
            disk.open(&path, Access::Create).map_err(on("create"))?
        };
        let offset = cut_to_good_prefix(&file, &path, offer.file_bytes)?;
        let offer = offer.clone();
        Ok(Self {
            store,
            offer,
            file,
            path,
            offset,
            synced: offset,
            _claim: claim,
        })
    }

    /// Where the next piece begins, in bytes; what the sender is told to go on from.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is being received.
    pub fn offer(&self) -> &SnapshotOffer {
        &self.offer
    }

    /// Takes the next piece; `crc` is the CRC32C of `piece`.
    pub fn write(&mut self, offset: u64, piece: &[u8], crc: u32) -> Result<(), SnapshotError> {
        if crc32c::crc32c(piece) != crc {
            return Err(SnapshotError::DamagedPiece { offset });
        }
        if offset != self.offset || piece.len() as u64 > self.offer.file_bytes - offset {
            return Err(SnapshotError::WrongOffset {
                expected: self.offset,
                found: offset,
            });
        }
        self.put(offset, piece).inspect_err(|_| self.discard())?;
        self.offset += piece.len() as u64;
        if self.offset - self.synced >= CHUNK_BYTES as u64 {
            self.sync()?;
        }
        Ok(())
    }

    /// Ends the transfer: checks the whole file against the offer, syncs, renames, syncs the directory. On
    /// return it is durable. A file that is not what was offered is removed.
    pub fn finish(mut self) -> Result<SnapshotInfo, SnapshotError> {
        let (offset, file_bytes) = (self.offset, self.offer.file_bytes);
        if offset != file_bytes {
            return Err(SnapshotError::Incomplete { offset, file_bytes });
        }
        self.sync()?;
        let info = self.check().inspect_err(|_| self.discard())?;
        let points = ["receive-renamed", "receive-named"];
        self.store.place(&self.path, self.offer.last, points)?;
        Ok(info)
    }

    fn put(&self, offset: u64, piece: &[u8]) -> Result<(), SnapshotError> {
        self.file
            .write_at(piece, offset)
            .and_then(|()| reach("receive-piece-written"))
            .map_err(SnapshotError::on("write", &self.path))
    }

    /// After a failed sync the file is useless: the page cache shows bytes that are not on disk, and the
    /// next sync would not say so.
    fn sync(&mut self) -> Result<(), SnapshotError> {
        if mutant::is("received-snapshot-not-synced") {
            return Ok(());
        }
        let synced = self
            .file
            .sync()
            .and_then(|()| reach("receive-piece-synced"))
            .map_err(SnapshotError::on("sync", &self.path));
        synced.inspect_err(|_| self.discard())?;
        self.synced = self.offset;
        Ok(())
    }

    /// Best effort: a disk that cannot even do this will not take the file's successor either.
    fn discard(&self) {
        let _ = self.store.disk().remove(&self.path);
    }

    fn check(&self) -> Result<SnapshotInfo, SnapshotError> {
        let info = container::verify(&self.file, &self.path)?;
        self.store.check_owner(&info.meta)?;
        if info.offer() != self.offer {
            let reason = "the snapshot is not the one that was offered".into();
            return Err(Corruption {
                file: self.path.clone(),
                offset: 0,
                reason,
            }
            .into());
        }
        Ok(info)
    }
}

/// The name holds the whole offer, so that parts of different files are never put together.
fn part_name(offer: &SnapshotOffer) -> String {
    let EntryId { term, index } = offer.last;
    let (bytes, sha256) = (offer.file_bytes, hex(&offer.sha256));
    format!(
        "{:020}-{:020}-{bytes}-{sha256}{PART_SUFFIX}",
        index.0, term.0
    )
}

/// What was not synced before a crash may be anything: the chunks' own checksums say how far it is good.
fn cut_to_good_prefix<F: DiskFile>(
    file: &F,
    path: &Path,
    file_bytes: u64,
) -> Result<u64, SnapshotError> {
    let good = container::good_prefix(file, path)?.min(file_bytes);
    let on = |operation| SnapshotError::on(operation, path);
    file.set_len(good).map_err(on("cut"))?;
    file.sync().map_err(on("sync"))?;
    Ok(good)
}
