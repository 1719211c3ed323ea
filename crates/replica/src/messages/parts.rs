//! Messages of the log writer and the applier, and what members report to each other.

use std::sync::Arc;

use dmq_metadata::{FeatureLevel, Image, LogTime, Outcome, StateHash};
use dmq_raft::{Configuration, EntryId, IoSeq, LogIndex, MemberId, Persist};

use super::{CommittedEntries, DriverInput, FeedInput};

/// To the log writer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "almost all of them are writes, and a box for each would cost more than the room"
)]
pub enum LogInput {
    /// A durable write.
    Persist(Persist),
    /// Forget entries up to this index.
    Purge(LogIndex),
    /// One tick went by.
    Tick,
}

/// From the log writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// All writes up to this one are durable.
    Persisted(IoSeq),
    /// The log begins behind this position now.
    Purged(EntryId),
    /// A segment could not be allocated (true), or could be again (false). Reads go on.
    NoSpace(bool),
    /// A write or sync failed: the process must end, the write is never retried.
    Fatal(String),
}

/// To the applier.
#[derive(Debug)]
pub enum ApplierInput {
    /// Committed entries, in order.
    Apply(CommittedEntries),
    /// The durable snapshot at this position becomes the image.
    Install(EntryId),
    /// Answer with the present image.
    HoldImage,
}

/// From the applier, after one bounded piece of work.
#[derive(Debug, Default)]
pub struct ApplierOutput {
    /// To be published before anything else of this output is handed on.
    pub view: Option<View>,
    /// To the projector feed.
    pub feed: Option<FeedInput>,
    /// To the driver.
    pub driver: Vec<DriverInput>,
}

/// The image as readers see it. Cloning is cheap and holding one costs writers nothing.
#[derive(Clone, Debug)]
pub struct View {
    /// The state after `last`.
    pub image: Image,
    /// Position of the last entry in it.
    pub last: EntryId,
    /// The newest configuration at or below `last`, and its index.
    pub configuration: (LogIndex, Arc<Configuration>),
}

/// Why the applier takes no further entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplierStop {
    /// The next entry is not understood: the image stands before it until the binary is upgraded. Reads
    /// of what is there go on (DESIGN 6.7).
    UnknownEntry(String),
    /// The log or a snapshot cannot be read: the process must end.
    Unreadable(String),
}

/// Entries that the applier has applied, for the driver.
#[derive(Clone, Debug)]
pub struct AppliedBatch {
    /// What was applied, in order.
    pub entries: Vec<AppliedEntry>,
    /// Bytes of these entries, as the snapshot trigger counts them.
    pub size_bytes: u64,
    /// The image's log time after them.
    pub log_time: LogTime,
    /// The image's feature level after them.
    pub feature_level: FeatureLevel,
    /// The image after them, if one of them changed a broker.
    pub brokers: Option<Image>,
    /// State hashes at indexes that 1,024 divides.
    pub hashes: Vec<HashNote>,
}

/// One applied entry.
#[derive(Clone, Debug)]
pub struct AppliedEntry {
    /// Where it is in the log.
    pub id: EntryId,
    /// What became of the command; `None` for a no-op or a configuration.
    pub outcome: Option<Outcome>,
}

/// An image that is to become a snapshot file.
pub type HeldImage = View;

/// A snapshot became the image.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The new view.
    pub view: View,
    /// Size of the snapshot file in bytes.
    pub size_bytes: u64,
}

/// A member's state hash at one index (DESIGN 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashNote {
    /// The index; 1,024 divides it.
    pub index: LogIndex,
    /// The hash after it.
    pub hash: StateHash,
    /// The feature level that defines the hashed bytes.
    pub level: FeatureLevel,
}

/// What members tell each other beside raft: followers to the controller, and the controller the whole
/// table to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// The sender.
    pub from: MemberId,
    /// The sender's own row, and, from a controller, the rows of the others.
    pub rows: Vec<ReportRow>,
}

/// One member's row of the shared table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// The member.
    pub member: MemberId,
    /// Its last eight hash notes, oldest first.
    pub hashes: Vec<HashNote>,
    /// The lowest and highest feature level that its binary supports.
    pub features: (FeatureLevel, FeatureLevel),
    /// Whether its projection is healthy.
    pub projection_healthy: bool,
}
