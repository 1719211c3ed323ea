//! One member of a scenario: its core, its disk, its unsynced writes, and the messages they hold.

use std::collections::VecDeque;

use dmq_raft::{
    Config, Configuration, DirectoryId, Entry, EntryId, EntryKind, EntryMeta, HardState, IoSeq,
    LogIndex, MemberId, Message, MessageBody, NodeId, Persist, Raft, Restored,
};

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard: HardState,
    pub(crate) start: Start,
    pub(crate) entries: Vec<Entry>,
    /// The newest snapshot file.
    pub(crate) snapshot: Option<(EntryId, (LogIndex, Configuration))>,
}

/// Where the log on a disk begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) last: EntryId,
    pub(crate) configuration: (LogIndex, Configuration),
}

pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) raft: Option<Raft>,
    pub(crate) disk: Disk,
    /// The log as the core sees it: the disk with all writes under way.
    pub(crate) memory: Disk,
    pub(crate) writes: VecDeque<Persist>,
    pub(crate) held: Vec<(IoSeq, Message)>,
    /// An image that waits for the write of its start point.
    pub(crate) install: Option<(IoSeq, LogIndex)>,
    pub(crate) isolated: bool,
}

/// Directory 1 of node 3 is `3-1`, and so on; a wiped disk gets the next one.
pub(crate) fn member(node: u32, life: u32) -> MemberId {
    MemberId {
        node: NodeId(node),
        directory: DirectoryId(u128::from(life) << 64 | u128::from(node)),
    }
}

impl Node {
    pub(crate) fn new(config: Config, disk: Disk) -> Self {
        config.validate().unwrap();
        let mut node = Self {
            config,
            raft: None,
            memory: disk.clone(),
            disk,
            writes: VecDeque::new(),
            held: Vec::new(),
            install: None,
            isolated: false,
        };
        node.start();
        node
    }

    /// Power loss: what was not synced is gone.
    pub(crate) fn crash(&mut self) {
        self.raft = None;
        self.writes.clear();
        self.held.clear();
        self.install = None;
    }

    pub(crate) fn start(&mut self) {
        let snapshot = self.disk.snapshot.clone();
        if let Some((last, configuration)) = snapshot
            && !self.disk.holds(last)
        {
            // A snapshot that the log does not hold: its installation is repeated (DESIGN 6.3).
            self.disk.start = Start {
                last,
                configuration,
            };
            self.disk.entries.clear();
        }
        self.memory = self.disk.clone();
        self.config.seed += 1;
        self.raft = Some(Raft::new(self.config.clone(), self.disk.restored()));
    }

    /// Moves the oldest write to the disk. Returns its number.
    pub(crate) fn sync_one(&mut self) -> Option<IoSeq> {
        let write = self.writes.pop_front()?;
        self.disk.take(&write);
        Some(write.io)
    }

    /// The messages that waited for no more than this write.
    pub(crate) fn release(&mut self, io: IoSeq) -> Vec<Message> {
        let (free, held) = self.held.drain(..).partition(|(after, _)| *after <= io);
        self.held = held;
        let free: Vec<(IoSeq, Message)> = free;
        free.into_iter().map(|(_, message)| message).collect()
    }

    /// Puts the named entries into an append.
    pub(crate) fn fill(&self, message: &mut Message, first: LogIndex, last: LogIndex) {
        if let MessageBody::Append { entries, .. } = &mut message.body {
            let wanted = |entry: &&Entry| (first..=last).contains(&entry.index);
            *entries = self.memory.entries.iter().filter(wanted).cloned().collect();
        }
    }
}

impl Disk {
    pub(crate) fn take(&mut self, write: &Persist) {
        if let Some(hard) = write.hard_state {
            self.hard = hard;
        }
        if let Some(start) = &write.start {
            let (last, configuration) = (start.last, start.configuration.clone());
            self.start = Start {
                last,
                configuration,
            };
            self.entries.clear();
        }
        if let Some(from) = write.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        for entry in &write.entries {
            assert_eq!(
                entry.index,
                self.last().index.next(),
                "entries are consecutive"
            );
            self.entries.push(entry.clone());
        }
    }

    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start.last, Entry::id)
    }

    pub(crate) fn holds(&self, id: EntryId) -> bool {
        id == self.start.last || self.entries.iter().any(|entry| entry.id() == id)
    }

    /// Forgets entries up to `index`, keeping the configuration in force there.
    pub(crate) fn purge(&mut self, index: LogIndex) -> EntryId {
        let last = self
            .entries
            .iter()
            .find(|e| e.index == index)
            .map(Entry::id)
            .unwrap();
        self.start = Start {
            last,
            configuration: self.configuration_at(index),
        };
        self.entries.retain(|entry| entry.index > index);
        last
    }

    pub(crate) fn configuration_at(&self, index: LogIndex) -> (LogIndex, Configuration) {
        let mut entries = self.entries.iter().rev();
        let entry = entries.find(|e| e.kind == EntryKind::Configuration && e.index <= index);
        let decoded = entry.map(|e| (e.index, Configuration::decode(&e.payload).unwrap()));
        decoded.unwrap_or_else(|| self.start.configuration.clone())
    }

    fn restored(&self) -> Restored {
        let snapshot = self.snapshot.as_ref().map(|(last, _)| *last);
        let commit = snapshot.map_or(LogIndex(0), |last| last.index);
        Restored {
            hard_state: self.hard,
            start: self.start.last,
            start_configuration: self.start.configuration.clone(),
            entries: self.entries.iter().map(meta).collect(),
            commit,
            applied: commit,
            snapshot,
        }
    }
}

fn meta(entry: &Entry) -> EntryMeta {
    let configuration = (entry.kind == EntryKind::Configuration)
        .then(|| Configuration::decode(&entry.payload).unwrap());
    EntryMeta {
        term: entry.term,
        kind: entry.kind,
        size_bytes: entry.size_bytes(),
        configuration,
    }
}
