//! Forced recovery (DESIGN 6.1): one survivor begins a new log history with its own state, offline.
//!
//! It applies its whole log, also the entries that it does not know to be committed, writes a new data
//! directory beside the old one and swaps the two at the very end. Killed anywhere, it is run again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmq_log::{
    Corruption, DataDir, DataDirError, Disk, Identity, Incarnation, IoFailure, Log, LogError,
    LogOptions, OpenError, Origin, Record, SnapshotError, SnapshotStore, Succession, VerifyError,
    Visit, crash_point, random_directory_id, verify,
};
use dmq_metadata::{ApplyError, MetadataIndex};
use dmq_raft::{Configuration, EntryId, LogIndex, Term};

use crate::member::{empty_view, restore};
use crate::snapshot::{SnapshotFailure, load};
use crate::{
    Applier, ApplierInput, ApplierStop, CommittedEntries, DriverInput, StartError, View,
    write_snapshot,
};

/// How far behind the last entry of the old history the new one begins. What is derived from an index (epochs of
/// brokers above all) stays above all that any member of the old history can have given out; the epochs that partitions
/// count by themselves are raised by [`dmq_metadata::begin_anew_at`].
pub const INDEX_GAP: u64 = 1 << 32;

/// A forced recovery that has looked, and changed nothing yet.
pub enum Recovery<D: Disk> {
    /// The old directory is in its place.
    Needed(Survivor<D>),
    /// An earlier run was killed between the two renames: only the last of them is missing.
    Interrupted(DataDir<D>, Origin),
    /// The directory is the work of an earlier run, and nobody has used it since.
    Done(DataDir<D>, Origin),
}

/// The directory that is to be recovered, and what it knows.
pub struct Survivor<D: Disk> {
    dir: DataDir<D>,
    /// What it knows.
    pub survey: Survey,
}

/// What a member can tell from its own directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Who it is.
    pub identity: Identity,
    /// The highest term that it has heard of.
    pub term: Term,
    /// Its last entry.
    pub last: EntryId,
    /// Everything up to here is known to have been committed: the newest snapshot. Whatever the leader
    /// said later is not kept on disk.
    pub committed: EntryId,
    /// The configuration in force at the end of the log, and the index of its entry.
    pub configuration: (LogIndex, Configuration),
    /// Snapshots newer than the one in use that are damaged.
    pub damaged_snapshots: Vec<Corruption>,
}

/// What a forced recovery has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The member of the new history.
    pub identity: Identity,
    /// Where it came from.
    pub origin: Origin,
    /// Where this run put the old directory.
    pub kept: Option<PathBuf>,
}

/// Why a directory cannot be recovered. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// Log and snapshots do not make up a member.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] VerifyError),
    /// The node never was a member: there is nothing to recover.
    #[error("{} holds no state: the node never was part of a quorum", path.display())]
    Unborn {
        /// The directory.
        path: PathBuf,
    },
    /// An entry of the log was not applied.
    #[error("the log cannot be applied: {0}")]
    NotApplied(String),
    /// Random bits could not be had.
    #[error("no random bits: {0}")]
    Random(std::io::Error),
}

impl From<OpenError> for RecoveryError {
    fn from(error: OpenError) -> Self {
        Self::Start(error.into())
    }
}

impl From<LogError> for RecoveryError {
    fn from(error: LogError) -> Self {
        Self::Start(error.into())
    }
}

impl From<SnapshotFailure> for RecoveryError {
    fn from(error: SnapshotFailure) -> Self {
        Self::Start(error.into())
    }
}

impl From<SnapshotError> for RecoveryError {
    fn from(error: SnapshotError) -> Self {
        Self::Start(error.into())
    }
}

impl From<ApplyError> for RecoveryError {
    fn from(error: ApplyError) -> Self {
        Self::NotApplied(error.to_string())
    }
}

impl<D: Disk> Recovery<D> {
    /// Looks at the directory of a node that does not run, and keeps its lock.
    pub fn find(disk: &D, root: &Path) -> Result<Self, RecoveryError> {
        let dir = match Succession::open(disk, root)? {
            Succession::Old(dir) => dir,
            Succession::Between(dir) => {
                let origin = dir.origin()?.ok_or(DataDirError::NotFormatted {
                    path: dir.path().into(),
                })?;
                return Ok(Self::Interrupted(dir, origin));
            }
        };
        let survey = survey(&dir)?;
        match dir.origin()? {
            Some(origin) if survey.last == origin.begins => Ok(Self::Done(dir, origin)),
            _ => Ok(Self::Needed(Survivor { dir, survey })),
        }
    }

    /// Whose directory it is.
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Needed(survivor) => survivor.dir.identity(),
            Self::Interrupted(dir, _) | Self::Done(dir, _) => dir.identity(),
        }
    }

    /// Does what is left to do.
    pub fn finish(self) -> Result<Recovered, RecoveryError> {
        match self {
            Self::Needed(survivor) => survivor.recover(),
            Self::Interrupted(dir, origin) => {
                let identity = dir.identity().clone();
                dir.take_place()?;
                Ok(Recovered {
                    identity,
                    origin,
                    kept: None,
                })
            }
            Self::Done(dir, origin) => Ok(Recovered {
                identity: dir.identity().clone(),
                origin,
                kept: None,
            }),
        }
    }
}

impl<D: Disk> Survivor<D> {
    fn recover(self) -> Result<Recovered, RecoveryError> {
        let Self { dir, survey } = self;
        let old = whole_image(&dir)?;
        let identity = next_life(&dir)?;
        let successor = dir.format_successor(&identity)?;
        reach("recover-successor-formatted")?;
        let view = begin_anew(&old, &survey, &identity)?;
        let origin = Origin {
            incarnation: survey.identity.incarnation,
            directory: survey.identity.directory,
            last: old.last,
            begins: view.last,
        };
        fill(&successor, &view)?;
        reach("recover-successor-filled")?;
        successor.write_origin(&origin)?;
        reach("recover-whole")?;
        let kept = dir.replace(successor)?;
        Ok(Recovered {
            identity,
            origin,
            kept: Some(kept),
        })
    }
}

/// Reads everything and changes nothing but what an interrupted snapshot left.
fn survey<D: Disk>(dir: &DataDir<D>) -> Result<Survey, RecoveryError> {
    let newest = SnapshotStore::open(dir)?.newest()?;
    let snapshot = newest.reader.as_ref().map(|reader| &reader.info().meta);
    let committed = snapshot.map_or(EntryId::ZERO, |meta| meta.last);
    let mut holds = false;
    let log = verify(dir.disk(), dir.path(), &mut |visit| {
        if let Visit::Frame { records, .. } = visit {
            let mut decided = records.iter().filter_map(|(_, it)| decides(it, committed));
            holds = decided.next_back().unwrap_or(holds);
        }
    })?;
    // A snapshot that the log does not hold was received, and its install was interrupted: it counts.
    let (last, configuration) = match snapshot {
        Some(meta) if !holds => (meta.last, meta.configuration.clone()),
        _ => (log.last, log.configuration),
    };
    if last == EntryId::ZERO {
        let path = dir.path().into();
        return Err(RecoveryError::Unborn { path });
    }
    Ok(Survey {
        identity: log.identity,
        term: log.hard_state.term.max(last.term),
        last,
        committed,
        configuration,
        damaged_snapshots: newest.damaged,
    })
}

/// Whether the log holds this position after the record; `None` if the record says nothing about it.
fn decides(record: &Record, at: EntryId) -> Option<bool> {
    match record {
        Record::Entry(entry) if entry.index == at.index => Some(entry.term == at.term),
        Record::Truncate(from) if *from <= at.index => Some(false),
        Record::StartAt(start) if start.index == at.index => Some(start.term == at.term),
        _ => None,
    }
}

/// The image with the whole log applied, the entries too that nobody may have committed.
fn whole_image<D: Disk>(dir: &DataDir<D>) -> Result<View, RecoveryError> {
    let (mut log, recovered) = Log::open(dir, LogOptions::default())?;
    let snapshots = SnapshotStore::open(dir)?;
    let view = match &snapshots.newest()?.reader {
        Some(reader) => load(reader)?.0,
        None => empty_view(&dir.identity().cluster_id)?,
    };
    restore(&mut log, recovered, &view)?;
    let range = view.last.index.next()..=log.last().index;
    let mut applier = Applier::new(view, log.reader(), snapshots);
    if !range.is_empty() {
        let entries = Vec::new();
        applier.push(ApplierInput::Apply(CommittedEntries { range, entries }));
    }
    while let Some(output) = applier.work() {
        for message in output.driver {
            if let DriverInput::ApplierStopped(stop) = message {
                return Err(RecoveryError::NotApplied(reason(stop)));
            }
        }
    }
    let view = applier.view().clone();
    whole(view.last, log.last())?;
    log.close()?;
    Ok(view)
}

fn reason(stop: ApplierStop) -> String {
    match stop {
        ApplierStop::UnknownEntry(reason) | ApplierStop::Unreadable(reason) => reason,
    }
}

fn reach(point: &'static str) -> Result<(), RecoveryError> {
    let failed = |error| LogError::Fatal(IoFailure::of_point(point, &error)).into();
    crash_point::reach(point).map_err(failed)
}

/// Who the survivor is from now on: the next incarnation with bits of its own, so that two survivors that
/// were both recovered are strangers; and a fresh directory.
fn next_life<D: Disk>(dir: &DataDir<D>) -> Result<Identity, RecoveryError> {
    let disk = dir.disk();
    let random = disk.random().map_err(RecoveryError::Random)?;
    let directory = random_directory_id(disk).map_err(RecoveryError::Random)?;
    let incarnation = Incarnation {
        number: dir.identity().incarnation.number + 1,
        // 0 is the first history's.
        nonce: random.max(1),
    };
    Ok(Identity {
        incarnation,
        directory,
        ..dir.identity().clone()
    })
}

/// The image where the new history begins.
fn begin_anew(old: &View, survey: &Survey, identity: &Identity) -> Result<View, RecoveryError> {
    let index = LogIndex(old.last.index.0 + INDEX_GAP);
    let last = EntryId::new(Term(survey.term.max(old.last.term).0 + 1), index);
    let mut image = old.image.clone();
    dmq_metadata::begin_anew_at(&mut image, MetadataIndex(index.0))?;
    let configuration = Configuration {
        voters: BTreeSet::from([identity.member()]),
        ..Configuration::default()
    };
    Ok(View {
        image,
        last,
        configuration: (index, Arc::new(configuration)),
    })
}

/// Writes the image into the new directory, and lets its log begin there, as a start would do it.
fn fill<D: Disk>(successor: &DataDir<D>, view: &View) -> Result<(), RecoveryError> {
    let snapshots = SnapshotStore::open(successor)?;
    write_snapshot(&snapshots, successor.identity(), view)?;
    let written = load(&snapshots.reader(view.last)?)?.0;
    let (mut log, recovered) = Log::open(successor, LogOptions::default())?;
    restore(&mut log, recovered, &written)?;
    log.close()?;
    whole(log.last(), view.last)
}

/// A recovery that ended early would lose what lies behind, without a word.
fn whole(reached: EntryId, wanted: EntryId) -> Result<(), RecoveryError> {
    if reached == wanted {
        return Ok(());
    }
    let text = format!("it ended at {reached}, and its last entry is {wanted}");
    Err(RecoveryError::NotApplied(text))
}
