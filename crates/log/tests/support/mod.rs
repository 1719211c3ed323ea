//! What the log's tests share: a small directory on a simulated disk, entries, and a model of the log.
#![allow(dead_code, reason = "every test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

pub(crate) mod history;
pub(crate) mod small;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmq_log::sim::SimDisk;
use dmq_log::{
    DataDir, DataDirError, Disk, FormatOptions, Identity, Incarnation, Log, LogOptions, OpenError,
    Recovered,
};
use dmq_raft::{
    Configuration, DirectoryId, Entry, EntryId, EntryKind, HardState, IoSeq, LogIndex, MemberId,
    NodeId, Persist, StartPoint, Term,
};

/// Eight blocks, so that switches are frequent.
pub(crate) const SEGMENT_BYTES: u64 = 32 << 10;
pub(crate) const ROOT: &str = "/data/node-1";

pub(crate) fn root() -> &'static Path {
    Path::new(ROOT)
}

pub(crate) fn log_dir() -> PathBuf {
    root().join("log")
}

pub(crate) fn identity() -> Identity {
    Identity {
        cluster_id: "dmq".into(),
        incarnation: Incarnation {
            number: 0,
            nonce: 0,
        },
        node: NodeId(1),
        directory: DirectoryId(0xd1),
    }
}

pub(crate) fn format_options(segment_bytes: u64) -> FormatOptions {
    FormatOptions {
        if_empty: false,
        segment_bytes,
    }
}

/// A formatted directory on a disk of its own.
pub(crate) fn formatted(segment_bytes: u64) -> SimDisk {
    let disk = SimDisk::new(7);
    DataDir::format(&disk, root(), &identity(), &format_options(segment_bytes)).unwrap();
    disk
}

/// Opens directory and log. A damaged log is an error of the log, not of the directory.
pub(crate) fn open<D: Disk>(disk: &D, root: &Path) -> Result<(Log<D>, Recovered), OpenFailed> {
    let dir = DataDir::open(disk, root).map_err(OpenFailed::Dir)?;
    Log::open(&dir, LogOptions::default()).map_err(OpenFailed::Log)
}

/// Why [`open`] failed.
#[derive(Debug)]
pub(crate) enum OpenFailed {
    Dir(DataDirError),
    Log(OpenError),
}

pub(crate) fn open_sim(disk: &SimDisk) -> (Log<SimDisk>, Recovered) {
    open(disk, root()).unwrap()
}

pub(crate) fn member(node: u32) -> MemberId {
    MemberId {
        node: NodeId(node),
        directory: DirectoryId(u128::from(node) + 0xd0),
    }
}

pub(crate) fn voters(nodes: &[u32]) -> Configuration {
    let voters: BTreeSet<_> = nodes.iter().copied().map(member).collect();
    Configuration {
        voters,
        ..Configuration::default()
    }
}

pub(crate) fn hard_state(term: u64) -> HardState {
    HardState {
        term: Term(term),
        vote: Some(member(1)),
    }
}

/// A payload that differs from all others.
pub(crate) fn payload(index: u64, term: u64, len: usize) -> Vec<u8> {
    let text = format!("entry {index} of term {term};");
    text.bytes().cycle().take(len).collect()
}

pub(crate) fn command(index: u64, term: u64, len: usize) -> Entry {
    let (kind, payload) = (EntryKind::Command, payload(index, term, len).into());
    Entry {
        index: LogIndex(index),
        term: Term(term),
        kind,
        payload,
    }
}

pub(crate) fn configuration(index: u64, term: u64, nodes: &[u32]) -> Entry {
    let (kind, payload) = (EntryKind::Configuration, voters(nodes).encode());
    Entry {
        index: LogIndex(index),
        term: Term(term),
        kind,
        payload,
    }
}

pub(crate) fn nothing() -> Persist {
    Persist {
        io: IoSeq(1),
        hard_state: None,
        start: None,
        truncate_from: None,
        entries: vec![],
    }
}

/// Entries `first..=last` of one term, with that term made durable before.
pub(crate) fn commands(first: u64, last: u64, term: u64, len: usize) -> Persist {
    let entries = (first..=last)
        .map(|index| command(index, term, len))
        .collect();
    Persist {
        hard_state: Some(hard_state(term)),
        entries,
        ..nothing()
    }
}

pub(crate) fn truncate(from: u64) -> Persist {
    Persist {
        truncate_from: Some(LogIndex(from)),
        ..nothing()
    }
}

pub(crate) fn start_at(index: u64, term: u64, nodes: &[u32]) -> Persist {
    let last = EntryId::new(Term(term), LogIndex(index));
    let start = StartPoint {
        last,
        configuration: (LogIndex(index), voters(nodes)),
    };
    Persist {
        hard_state: Some(hard_state(term)),
        start: Some(start),
        ..nothing()
    }
}

/// All entries that a log holds, through its reader.
pub(crate) fn entries<D: Disk>(log: &Log<D>) -> Vec<Entry> {
    let reader = log.reader();
    let (mut next, last) = (log.start().index.next(), log.last().index);
    let mut all = Vec::new();
    while next <= last {
        let read = reader.read(next..=last, 4096).unwrap();
        assert!(!read.is_empty(), "a read returns at least one entry");
        next = LogIndex(next.0 + read.len() as u64);
        all.extend(read);
    }
    all
}

/// What the log must hold, in the simplest form that can say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) hard_state: HardState,
    pub(crate) start: EntryId,
    pub(crate) start_configuration: (LogIndex, Configuration),
    /// The entries behind `start`.
    pub(crate) entries: Vec<Entry>,
    /// The highest position that was given up; entries up to here may be gone, or not.
    pub(crate) purged: LogIndex,
    /// The newest snapshot; 0 if there is none.
    pub(crate) snapshot: LogIndex,
}

/// The smallest parts of a write: a crash may keep any number of them from the front.
pub(crate) fn parts(persist: &Persist) -> Vec<Persist> {
    let mut parts = Vec::new();
    if persist.hard_state.is_some() {
        parts.push(Persist {
            hard_state: persist.hard_state,
            ..nothing()
        });
    }
    if persist.start.is_some() {
        parts.push(Persist {
            start: persist.start.clone(),
            ..nothing()
        });
    }
    if persist.truncate_from.is_some() {
        parts.push(Persist {
            truncate_from: persist.truncate_from,
            ..nothing()
        });
    }
    let entries = persist.entries.iter().cloned();
    parts.extend(entries.map(|entry| Persist {
        entries: vec![entry],
        ..nothing()
    }));
    parts
}

impl Model {
    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.start, Entry::id)
    }

    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        self.entries
            .iter()
            .find(|entry| entry.index == index)
            .map(|entry| entry.term)
    }

    pub(crate) fn append(&mut self, persist: &Persist) {
        self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
        if let Some(start) = &persist.start {
            self.start_at(start);
        }
        if let Some(from) = persist.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        self.entries.extend(persist.entries.iter().cloned());
    }

    fn start_at(&mut self, start: &StartPoint) {
        if self.term_at(start.last.index) == Some(start.last.term) {
            self.entries.retain(|entry| entry.index <= start.last.index);
        } else {
            self.start = start.last;
            self.start_configuration = start.configuration.clone();
            self.entries.clear();
        }
    }

    pub(crate) fn configuration_at(&self, index: LogIndex) -> (LogIndex, Configuration) {
        let newest = self
            .entries
            .iter()
            .rev()
            .find(|entry| entry.index <= index && entry.kind == EntryKind::Configuration);
        let decode = |entry: &Entry| (entry.index, Configuration::decode(&entry.payload).unwrap());
        newest.map_or_else(|| self.start_configuration.clone(), decode)
    }

    /// Why a recovered log is not this one; it may have given up what was purged.
    pub(crate) fn difference<D: Disk>(
        &self,
        log: &Log<D>,
        recovered: &Recovered,
    ) -> Option<String> {
        let start = recovered.start;
        if recovered.hard_state != self.hard_state || log.hard_state() != self.hard_state {
            return Some(format!(
                "{:?} is not {:?}",
                recovered.hard_state, self.hard_state
            ));
        }
        if log.last() != self.last() || recovered.last() != self.last() {
            return Some(format!(
                "ends at {}, not at {}",
                recovered.last(),
                self.last()
            ));
        }
        let given_up = start.index > self.start.index.max(self.purged);
        if given_up || log.start() != start || self.term_at(start.index) != Some(start.term) {
            let Self {
                start: wanted,
                purged,
                ..
            } = self;
            return Some(format!(
                "begins at {start}, not at {wanted} (purged to {purged})"
            ));
        }
        if recovered.start_configuration != self.configuration_at(start.index) {
            return Some(format!("{:?} at {start}", recovered.start_configuration));
        }
        let wanted = self
            .entries
            .iter()
            .filter(|entry| entry.index > start.index);
        let wanted: Vec<_> = wanted.cloned().collect();
        if entries(log) != wanted {
            return Some("the entries differ".into());
        }
        let metas = wanted.iter().zip(&recovered.entries);
        let same = metas.into_iter().all(|(entry, meta)| {
            let is_configuration = entry.kind == EntryKind::Configuration;
            (entry.term, entry.kind, entry.size_bytes()) == (meta.term, meta.kind, meta.size_bytes)
                && meta.configuration.is_some() == is_configuration
        });
        (!same).then(|| "what the core would learn differs".into())
    }
}
