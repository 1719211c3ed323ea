//! Files of a simulated disk.

use std::io;
use std::path::Path;

use super::fault::{FaultKind, Operation};
use super::state::{Change, Content, FileId, Node, Random, State};

impl State {
    pub(super) fn read_at(
        &mut self,
        id: FileId,
        path: &Path,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check_power()?;
        self.strike(Operation::Read, path)?;
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
            Change::Names { .. } | Change::MoveDir { .. } => false,
        };
        if let Err(error) = self.begin_change(Operation::Sync, path) {
            if !self.is_without_power() {
                self.lose_matching(is_here);
            }
            return Err(error);
        }
        self.count_sync();
        if !self.lies {
            self.persist_matching(is_here);
        }
        Ok(())
    }

    pub(super) fn len(&mut self, id: FileId) -> io::Result<u64> {
        Ok(self.content(id)?.seen.len() as u64)
    }

    pub(super) fn available_bytes(&self) -> u64 {
        if self.capacity_bytes == u64::MAX {
            return u64::MAX;
        }
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

    pub(super) fn count_sync(&mut self) {
        self.stats.syncs += 1;
        self.stats.busy_ticks += self.sync_ticks;
    }

    pub(super) fn persist_matching(&mut self, matches: impl Fn(&Change) -> bool) {
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
}

/// Writes into a content, which grows if needed.
pub(super) fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
