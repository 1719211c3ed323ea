//! The end of a process, and what it leaves.

use super::Survivors;
use super::files::put;
use super::names::{move_names, set_name};
use super::state::{Change, Node, Random, SECTOR_BYTES, State};
use crate::disk::parent;

impl State {
    pub(super) fn end_process(&mut self) {
        self.process += 1;
        self.locks.clear();
        self.power = None;
        self.log_failed = false;
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
            Survivors::Chosen { unit_bytes, mask } => {
                self.keep_chosen(&unsynced, unit_bytes, mask);
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

    pub(super) fn keep_seeded(&mut self, unsynced: &[Change], mut random: Random) {
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

    pub(super) fn persist(&mut self, change: &Change) {
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
            Change::MoveDir { from, to, .. } => move_names(&mut self.durable_names, from, to),
        }
    }
}

/// The parts of a write that lie in different sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let aligned = (offset + first..).step_by(SECTOR_BYTES);
    std::iter::once((offset, head)).chain(aligned.zip(rest.chunks(SECTOR_BYTES)))
}
