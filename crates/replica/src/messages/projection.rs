//! Messages of the projector feed.

use std::sync::Arc;

use dmq_metadata::{Changes, FeatureLevel, LogTime, StateHash};
use dmq_raft::{Configuration, EntryId, LogIndex};

use super::View;

/// To the projector feed.
#[derive(Debug)]
pub enum FeedInput {
    /// The store was opened and its position judged (the matrix of DESIGN 6.4).
    Start(FeedStart),
    /// Entries up to here are durable on this node; may fall.
    Durable(LogIndex),
    /// Applied entries, in order, and the view after the last of them.
    Changes {
        /// One change set for each entry.
        sets: Vec<ChangeSet>,
        /// The view after them.
        view: View,
    },
    /// A snapshot replaced the image: the changes in between do not exist.
    Replaced(View),
    /// What became of the work that the feed gave out last.
    Stored(StoreResult),
}

/// How the projector begins with a store that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedStart {
    /// The store is at this index of this log: go on behind it.
    Resume {
        /// The store's position.
        at: LogIndex,
    },
    /// The store is empty, or too old: copy the image. The shell has wiped it if it was to be wiped.
    Rebuild,
    /// Never write to this store; says why.
    Stop(String),
}

/// The changes of one entry, never split over two transactions.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// The entry.
    pub id: EntryId,
    /// Its rows; none for a no-op or a configuration.
    pub changes: Changes,
    /// The newest configuration at or below the entry, and its index.
    pub configuration: (LogIndex, Arc<Configuration>),
    /// The state hash after the entry.
    pub state_hash: StateHash,
    /// Feature level after the entry.
    pub feature_level: FeatureLevel,
    /// Log time after the entry.
    pub log_time: LogTime,
    /// What the set counts against the feed's memory limit, in bytes.
    pub size_bytes: usize,
}

/// What became of a piece of the projector's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreResult {
    /// Done: the store is at the end of the batch or of the copied image.
    Done,
    /// The store is not reachable, or a COMMIT's outcome is unknown: the shell opens the store again and
    /// sends [`FeedInput::Start`].
    Unavailable(String),
    /// Someone else writes to it, it is another's, or a batch cannot be stored: stop with an alarm.
    Stopped(String),
}

/// How the projection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionReport {
    /// Index up to which the database has everything.
    pub index: LogIndex,
    /// Its health.
    pub health: ProjectionHealth,
}

/// Whether the projection follows the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProjectionHealth {
    /// Not opened yet, or not reachable.
    #[default]
    Down,
    /// The image is being copied.
    Rebuilding,
    /// Batches are written.
    Healthy,
    /// It will not go on without an operator; says why.
    Stopped(String),
}
