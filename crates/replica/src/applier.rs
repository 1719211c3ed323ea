//! The applier: owns the image and moves it forward, entry by entry, in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use dmq_log::{Disk, IoFailure, LogReader, ReadError, SnapshotError, SnapshotStore, crash_point};
use dmq_metadata::{ApplyError, Change, Changes, Envelope, Image, MetadataIndex, Outcome};
use dmq_raft::{Configuration, Entry, EntryId, EntryKind, LogIndex};

use crate::snapshot::{SnapshotFailure, load_snapshot};
use crate::{
    AppliedBatch, AppliedEntry, ApplierInput, ApplierOutput, ApplierStop, ChangeSet,
    CommittedEntries, DriverInput, FeedInput, HashNote, Installed, View,
};

/// Most entries of one piece of work.
const PIECE_ENTRIES: usize = 1_024;
/// Most bytes that one piece reads from the log.
const PIECE_BYTES: usize = 1 << 20;
/// State hashes are noted at indexes that this divides (DESIGN 6.8).
pub const HASH_INTERVAL: u64 = 1_024;
/// What a row counts in memory beside the bytes of its entry, in bytes.
const ROW_BYTES: usize = 256;

/// The part of a member that owns the image.
pub struct Applier<D: Disk> {
    view: View,
    reader: LogReader<D>,
    snapshots: SnapshotStore<D>,
    queue: VecDeque<ApplierInput>,
    standing: Standing,
}

/// Whether entries are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Running,
    /// Entries are gone from the log, because a snapshot replaced them: its install follows.
    AwaitsInstall,
    /// The image stands before an entry that it cannot take. Readers are served from it.
    Stopped,
}

/// Why an entry was not taken.
enum Obstacle {
    Entry(String),
    Read(ReadError),
}

/// What a piece of work has gathered.
#[derive(Default)]
struct Piece {
    entries: Vec<AppliedEntry>,
    sets: Vec<ChangeSet>,
    hashes: Vec<HashNote>,
    size_bytes: u64,
    brokers_changed: bool,
}

impl<D: Disk> Applier<D> {
    /// An applier with the image that the member starts with.
    pub fn new(view: View, reader: LogReader<D>, snapshots: SnapshotStore<D>) -> Self {
        let standing = Standing::Running;
        Self {
            view,
            reader,
            snapshots,
            queue: VecDeque::new(),
            standing,
        }
    }

    /// The present view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Queues a message.
    pub fn push(&mut self, input: ApplierInput) {
        self.queue.push_back(input);
    }

    /// Does one bounded piece of the queued work; `None` when there is none.
    pub fn work(&mut self) -> Option<ApplierOutput> {
        match self.queue.front()? {
            ApplierInput::Apply(_) if self.standing == Standing::Running => {
                Some(self.apply_piece())
            }
            ApplierInput::Apply(_) => {
                self.queue.pop_front();
                Some(ApplierOutput::default())
            }
            ApplierInput::Install(last) => {
                let last = *last;
                self.queue.pop_front();
                Some(self.install(last))
            }
            ApplierInput::HoldImage => {
                self.queue.pop_front();
                let driver = vec![DriverInput::Held(self.view.clone())];
                Some(ApplierOutput {
                    driver,
                    ..ApplierOutput::default()
                })
            }
        }
    }

    fn apply_piece(&mut self) -> ApplierOutput {
        let mut piece = Piece::default();
        let obstacle = match self.gather() {
            Ok(entries) => entries
                .iter()
                .try_for_each(|entry| self.apply(entry, &mut piece))
                .err()
                .map(Obstacle::Entry),
            Err(error) => Some(Obstacle::Read(error)),
        };
        let mut output = self.publish(piece);
        match obstacle {
            None => {}
            // The range was committed and is covered by a snapshot that is being installed.
            Some(Obstacle::Read(ReadError::Compacted { .. })) => {
                self.standing = Standing::AwaitsInstall;
            }
            Some(Obstacle::Read(error)) => {
                self.stop(ApplierStop::Unreadable(error.to_string()), &mut output);
            }
            Some(Obstacle::Entry(reason)) => {
                self.stop(ApplierStop::UnknownEntry(reason), &mut output);
            }
        }
        output
    }

    fn stop(&mut self, stop: ApplierStop, output: &mut ApplierOutput) {
        self.standing = Standing::Stopped;
        output.driver.push(DriverInput::ApplierStopped(stop));
    }

    /// The next entries, over several messages if they are small.
    fn gather(&mut self) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        while entries.len() < PIECE_ENTRIES {
            let Some(ApplierInput::Apply(front)) = self.queue.front_mut() else {
                break;
            };
            let next = *front.range.start();
            let taken = take(front, PIECE_ENTRIES - entries.len(), &self.reader)?;
            let after = LogIndex(next.0 + taken.len() as u64);
            front.range = after..=*front.range.end();
            if front.range.is_empty() {
                self.queue.pop_front();
            }
            if taken.is_empty() {
                break;
            }
            entries.extend(taken);
        }
        Ok(entries)
    }

    /// Takes one entry, or says why the image stops before it.
    fn apply(&mut self, entry: &Entry, piece: &mut Piece) -> Result<(), String> {
        let image = &mut self.view.image;
        let index = MetadataIndex(entry.index.0);
        let step = match entry.kind {
            EntryKind::Command => apply_command(image, index, entry)?,
            EntryKind::Noop => advance(image, index)?,
            EntryKind::Configuration => {
                let configuration = Configuration::decode(&entry.payload)
                    .map_err(|error| format!("entry {index}: {error}"))?;
                self.view.configuration = (entry.index, Arc::new(configuration));
                advance(image, index)?
            }
        };
        self.view.last = entry.id();
        self.note(entry, step, piece);
        Ok(())
    }

    fn note(&self, entry: &Entry, step: Step, piece: &mut Piece) {
        let image = &self.view.image;
        let rows = &step.changes.rows;
        piece.brokers_changed |= rows
            .iter()
            .any(|row| matches!(row, Change::PutBroker(_) | Change::DeleteBroker(_)));
        piece.size_bytes += entry.size_bytes() as u64;
        if entry.index.0.is_multiple_of(HASH_INTERVAL) {
            piece.hashes.push(HashNote {
                index: entry.index,
                hash: image.state_hash(),
                level: image.feature_level(),
            });
        }
        piece.sets.push(ChangeSet {
            id: entry.id(),
            size_bytes: entry.size_bytes() + rows.len() * ROW_BYTES,
            changes: step.changes,
            configuration: self.view.configuration.clone(),
            state_hash: image.state_hash(),
            feature_level: image.feature_level(),
            log_time: image.log_time(),
        });
        piece.entries.push(AppliedEntry {
            id: entry.id(),
            outcome: step.outcome,
        });
    }

    fn publish(&self, piece: Piece) -> ApplierOutput {
        if piece.entries.is_empty() {
            return ApplierOutput::default();
        }
        let image = &self.view.image;
        let batch = AppliedBatch {
            entries: piece.entries,
            size_bytes: piece.size_bytes,
            log_time: image.log_time(),
            feature_level: image.feature_level(),
            brokers: piece.brokers_changed.then(|| image.clone()),
            hashes: piece.hashes,
        };
        ApplierOutput {
            view: Some(self.view.clone()),
            feed: Some(FeedInput::Changes {
                sets: piece.sets,
                view: self.view.clone(),
            }),
            driver: vec![DriverInput::Applied(batch)],
        }
    }

    /// Swaps the image for a durable snapshot (DESIGN 6.3, step 4).
    fn install(&mut self, last: EntryId) -> ApplierOutput {
        let mut output = ApplierOutput::default();
        match self.load(last) {
            Ok((view, size_bytes)) => {
                self.view = view.clone();
                self.standing = Standing::Running;
                output.view = Some(view.clone());
                output.feed = Some(FeedInput::Replaced(view.clone()));
                output
                    .driver
                    .push(DriverInput::Installed(Installed { view, size_bytes }));
            }
            // A newer one has come since, and only so many files are kept.
            Err(SnapshotFailure::File(SnapshotError::NotFound { .. })) if self.awaits_newer() => {
                self.standing = Standing::AwaitsInstall;
            }
            Err(error) => self.stop(ApplierStop::Unreadable(error.to_string()), &mut output),
        }
        output
    }

    fn load(&self, last: EntryId) -> Result<(View, u64), SnapshotFailure> {
        let reach = |point| {
            let failed = |error| SnapshotError::Io(IoFailure::of_point(point, &error));
            crash_point::reach(point).map_err(failed)
        };
        reach("install-begun")?;
        let loaded = load_snapshot(&self.snapshots, last)?;
        reach("install-loaded")?;
        Ok(loaded)
    }

    fn awaits_newer(&self) -> bool {
        let is_install = |input: &ApplierInput| matches!(input, ApplierInput::Install(_));
        self.queue.iter().any(is_install)
    }
}

/// What one entry did.
struct Step {
    outcome: Option<Outcome>,
    changes: Changes,
}

fn apply_command(image: &mut Image, index: MetadataIndex, entry: &Entry) -> Result<Step, String> {
    let envelope = Envelope::decode(&entry.payload)
        .map_err(|error| format!("entry {index} is not understood: {error}"))?;
    let applied = dmq_metadata::apply(image, index, &envelope).map_err(obstacle)?;
    Ok(Step {
        outcome: Some(applied.outcome),
        changes: applied.changes,
    })
}

fn advance(image: &mut Image, index: MetadataIndex) -> Result<Step, String> {
    dmq_metadata::advance(image, index).map_err(obstacle)?;
    let (log_time, feature_level) = (image.log_time(), image.feature_level());
    let changes = Changes {
        rows: Vec::new(),
        log_time,
        feature_level,
    };
    Ok(Step {
        outcome: None,
        changes,
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "its shape is that of map_err's argument"
)]
fn obstacle(error: ApplyError) -> String {
    error.to_string()
}

/// The next entries of a message: from the log as long as they are not in it, then its own.
fn take<D: Disk>(
    committed: &mut CommittedEntries,
    count: usize,
    reader: &LogReader<D>,
) -> Result<Vec<Entry>, ReadError> {
    let next = *committed.range.start();
    let cached = committed
        .entries
        .first()
        .map_or(committed.range.end().next(), |e| e.index);
    if next < cached {
        let limit = LogIndex(next.0 + count as u64 - 1);
        let mut found = reader.read(next..=cached.previous().min(limit), PIECE_BYTES)?;
        found.truncate(count);
        return Ok(found);
    }
    let count = count.min(committed.entries.len());
    Ok(committed.entries.drain(..count).collect())
}
