//! Reads a snapshot file: its content for the image, its raw bytes for a peer.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::container::{self, Part, Walk};
use super::error::SnapshotError;
use super::meta::SnapshotInfo;
use crate::disk::{Access, Disk, DiskFile};

/// A snapshot file that was whole when it was opened. Stays readable when retention removes the name.
pub struct SnapshotReader<D: Disk> {
    file: D::File,
    path: PathBuf,
    info: SnapshotInfo,
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a file outside of a running member and checks all of it.
    pub fn open(disk: &D, path: &Path) -> Result<Self, SnapshotError> {
        let file = disk
            .open(path, Access::Read)
            .map_err(SnapshotError::on("open", path))?;
        Self::new(file, path.into())
    }

    /// Checks the whole file.
    pub(super) fn new(file: D::File, path: PathBuf) -> Result<Self, SnapshotError> {
        let info = container::verify(&file, &path)?;
        Ok(Self { file, path, info })
    }

    /// What the file says about itself.
    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    /// The content, chunk by chunk, each checked again.
    pub fn chunks(&self) -> Result<Chunks<'_, D>, SnapshotError> {
        let (walk, _) = Walk::new(&self.file, &self.path)?;
        Ok(Chunks { walk: Some(walk) })
    }

    /// Bytes of the file as it is, for a peer: `len` of them from `offset` on, fewer at the end.
    pub fn read_raw(&self, offset: u64, len: usize) -> Result<Bytes, SnapshotError> {
        let left = self.info.file_bytes.saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(left).map_or(len, |left| left.min(len))];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(SnapshotError::on("read", &self.path))?;
        Ok(bytes.into())
    }
}

/// The content of a snapshot; ends after the first error.
pub struct Chunks<'a, D: Disk> {
    walk: Option<Walk<'a, D::File>>,
}

impl<D: Disk> Iterator for Chunks<'_, D> {
    type Item = Result<Bytes, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.walk.as_mut()?.next() {
            Ok(Part::Chunk(content)) => Some(Ok(content.into())),
            Ok(Part::Footer(..)) => {
                self.walk = None;
                None
            }
            Err(error) => {
                self.walk = None;
                Some(Err(error))
            }
        }
    }
}
