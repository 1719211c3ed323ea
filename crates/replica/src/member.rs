//! Start of a member: from a data directory to its four parts (DESIGN 6.3).

use std::sync::Arc;

use dmq_log::{
    Corruption, DataDir, DataDirError, Disk, Log, LogError, LogOptions, LogReader, OpenError,
    Recovered, RecoveryReport, SnapshotError, SnapshotStore, SpareMaker,
};
use dmq_metadata::{ClusterId, Image, Incarnation, Rejection};
use dmq_raft::{
    ConfigError, Configuration, EntryId, IoSeq, LogIndex, Persist, Raft, Restored, StartPoint,
};

use crate::snapshot::{SnapshotFailure, load};
use crate::{
    Applier, Driver, DriverStart, LogWriter, MemberIdentity, ProjectorFeed, Settings, View,
};

/// A member that was started: its parts, and what the shell shares with them.
pub struct Member<D: Disk> {
    /// Owns the core and the waiting requests.
    pub driver: Driver,
    /// Owns the log.
    pub writer: LogWriter<D>,
    /// Owns the image.
    pub applier: Applier<D>,
    /// Feeds the projector.
    pub feed: ProjectorFeed,
    /// The view to publish before the first message.
    pub view: View,
    /// For senders of appends, and for judging the store's position.
    pub reader: LogReader<D>,
    /// For the snapshot thread and transfers.
    pub snapshots: SnapshotStore<D>,
    /// For the thread that prepares segments.
    pub spares: SpareMaker<D>,
    /// Index of the snapshot that the image came from; 0 without one. Below it there are no changes.
    pub image_from: LogIndex,
    /// What recovery of the log met.
    pub report: RecoveryReport,
    /// Snapshots newer than the one in use that are damaged: worth an alarm.
    pub damaged_snapshots: Vec<Corruption>,
}

/// Why a member cannot start. Nothing was lost by the attempt.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting breaks its rule.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The start point of a snapshot could not be written.
    #[error(transparent)]
    Write(#[from] LogError),
    /// A snapshot file is damaged or cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFailure),
    /// The cluster id of the directory is not one.
    #[error("{0}")]
    ClusterId(Rejection),
    /// The log begins behind the newest whole snapshot: entries in between are lost. Wipe the member and
    /// let it rejoin.
    #[error("the log begins after {start}, but the newest whole snapshot is at {snapshot}")]
    MissingSnapshot {
        /// Position before the log's first entry.
        start: EntryId,
        /// The newest whole snapshot, or the position before the first entry.
        snapshot: EntryId,
    },
    /// Log and snapshot are of two histories: both positions were committed, and terms never fall.
    /// Wipe the member and let it rejoin.
    #[error("the log begins after {start}, the newest snapshot is at {snapshot}: not one history")]
    OtherHistory {
        /// Position before the log's first entry.
        start: EntryId,
        /// The newest whole snapshot.
        snapshot: EntryId,
    },
}

impl From<SnapshotError> for StartError {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error.into())
    }
}

impl<D: Disk> Member<D> {
    /// Recovers log and image of a data directory, and finishes a snapshot install that was interrupted.
    /// On return everything that the core has been told is durable.
    pub fn open(
        dir: &DataDir<D>,
        mut settings: Settings,
        options: LogOptions,
    ) -> Result<Self, StartError> {
        let identity = identity_of(dir);
        settings.raft.id = identity.member;
        settings.raft.validate()?;
        let (mut log, recovered) = Log::open(dir, options)?;
        let snapshots = SnapshotStore::open(dir)?;
        let newest = snapshots.newest()?;
        let (view, snapshot_bytes) = match &newest.reader {
            Some(reader) => load(reader)?,
            None => (empty_view(&identity.cluster_id)?, 0),
        };
        let report = recovered.report.clone();
        let restored = restore(&mut log, recovered, &view)?;
        let pinned = dir.pinned()?;
        let raft = Raft::new(settings.raft.clone(), restored);
        let start = DriverStart {
            identity,
            pinned,
            raft,
            view: view.clone(),
            snapshot_bytes,
        };
        let (reader, spares) = (log.reader(), log.spares());
        Ok(Self {
            driver: Driver::new(settings, start),
            writer: LogWriter::new(log),
            applier: Applier::new(view.clone(), reader.clone(), snapshots.clone()),
            feed: ProjectorFeed::new(view.clone()),
            image_from: view.last.index,
            view,
            reader,
            snapshots,
            spares,
            report,
            damaged_snapshots: newest.damaged,
        })
    }
}

fn identity_of<D: Disk>(dir: &DataDir<D>) -> MemberIdentity {
    let identity = dir.identity();
    let dmq_log::Incarnation { number, nonce } = identity.incarnation;
    MemberIdentity {
        cluster_id: identity.cluster_id.clone(),
        incarnation: Incarnation { number, nonce },
        member: identity.member(),
    }
}

/// The view before the first entry.
pub(crate) fn empty_view(cluster_id: &str) -> Result<View, StartError> {
    let cluster_id = ClusterId::parse(cluster_id).map_err(StartError::ClusterId)?;
    let configuration = (LogIndex(0), Arc::new(Configuration::default()));
    Ok(View {
        image: Image::new(cluster_id),
        last: EntryId::ZERO,
        configuration,
    })
}

/// What the core is told. A snapshot whose position the log does not hold was received, but its start
/// point not written any more: that is made up for (DESIGN 6.3, from step 2).
pub(crate) fn restore<D: Disk>(
    log: &mut Log<D>,
    recovered: Recovered,
    view: &View,
) -> Result<Restored, StartError> {
    let snapshot = view.last;
    check_start(recovered.start, snapshot)?;
    let mut restored = Restored {
        hard_state: recovered.hard_state,
        commit: snapshot.index,
        applied: snapshot.index,
        snapshot: (snapshot != EntryId::ZERO).then_some(snapshot),
        ..Restored::default()
    };
    if recovered.term_at(snapshot.index) == Some(snapshot.term) {
        restored.start = recovered.start;
        restored.start_configuration = recovered.start_configuration;
        restored.entries = recovered.entries;
    } else {
        restored.start = snapshot;
        restored.start_configuration =
            (view.configuration.0, view.configuration.1.as_ref().clone());
        log.append(&[start_at(&restored)])?;
    }
    Ok(restored)
}

/// The log begins where a snapshot once was: the newest one is there too, or behind it in the same history.
/// A log entry further on with another term than the snapshot's is not damage: it was never committed.
fn check_start(start: EntryId, snapshot: EntryId) -> Result<(), StartError> {
    if snapshot.index < start.index {
        return Err(StartError::MissingSnapshot { start, snapshot });
    }
    let same_place = snapshot.index == start.index;
    if snapshot.term < start.term || (same_place && snapshot.term != start.term) {
        return Err(StartError::OtherHistory { start, snapshot });
    }
    Ok(())
}

/// The write that makes a restored start point durable.
fn start_at(restored: &Restored) -> Persist {
    let (last, configuration) = (restored.start, restored.start_configuration.clone());
    Persist {
        io: IoSeq(0),
        // The core enters the snapshot's term itself, if it is a later one.
        hard_state: None,
        start: Some(StartPoint {
            last,
            configuration,
        }),
        truncate_from: None,
        entries: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::Term;

    use super::*;

    fn at(term: u64, index: u64) -> EntryId {
        EntryId::new(Term(term), LogIndex(index))
    }

    #[test]
    fn the_newest_snapshot_continues_the_history_that_the_log_begins_in() {
        for snapshot in [at(2, 10), at(2, 11), at(3, 11)] {
            assert!(check_start(at(2, 10), snapshot).is_ok(), "{snapshot}");
        }
        assert!(check_start(EntryId::ZERO, EntryId::ZERO).is_ok());
        assert!(check_start(EntryId::ZERO, at(1, 5)).is_ok());
        let missing = check_start(at(2, 10), at(2, 9));
        assert!(matches!(missing, Err(StartError::MissingSnapshot { .. })));
        for foreign in [at(1, 10), at(3, 10), at(1, 12)] {
            let refused = check_start(at(2, 10), foreign);
            assert!(
                matches!(refused, Err(StartError::OtherHistory { .. })),
                "{foreign}"
            );
        }
    }
}
