//! Every message between the four parts of a member, and between the driver and the shell around it.
//!
//! The shell owes the parts this and no more: messages of one sender to one receiver arrive in order;
//! a queue that is full makes its sender wait; [`ApplierOutput::view`] is published before
//! the same output is handed to the driver.

use std::ops::RangeInclusive;
use std::sync::Arc;

use dmq_metadata::{
    BrokerEpoch, BrokerId, Changes, Envelope, FeatureLevel, Image, LogTime, MetadataIndex, Outcome,
    StateHash,
};
use dmq_raft::{
    Configuration, Entry, EntryId, IoSeq, LogIndex, MemberId, Message, NodeId, Persist,
};

use crate::{Answer, InitializeRequest, QuorumEvent, Ticket};

/// SHA-256 of an initialise request (DESIGN 6.1).
pub type PinDigest = [u8; 32];

/// Everything that can happen to the driver.
#[derive(Debug)]
pub enum DriverInput {
    /// One unit of time went by: [`crate::Settings::tick`].
    Tick,
    /// A peer's raft message. `InstallSnapshot`: the file is durable here already.
    Peer(Message),
    /// A peer's report beside the raft messages. Unordered, may be lost.
    PeerReport(MemberReport),
    /// A command of a client.
    Propose(Proposal),
    /// A linearizable read, or one that waits for an index.
    Read(ReadRequest),
    /// A broker is alive.
    Heartbeat(Heartbeat),
    /// `POST /quorum:initialize`.
    Initialize {
        /// Who waits.
        ticket: Ticket,
        /// The body.
        request: InitializeRequest,
    },
    /// A peer wants this voter to pin a digest. The shell has checked identity and addressee.
    PinRequest {
        /// Who waits: the peer's call.
        ticket: Ticket,
        /// What to pin.
        digest: PinDigest,
    },
    /// The end of a [`DriverOutput::Pin`].
    PinStored {
        /// What was to be pinned.
        digest: PinDigest,
        /// Whether it is durable now; else why not (pinned otherwise, disk).
        result: Result<(), PinError>,
    },
    /// The end of a [`DriverOutput::RequestPin`].
    PinReply {
        /// The voter.
        from: MemberId,
        /// Its answer.
        result: Result<(), PinError>,
    },
    /// `POST /quorum/leader:transfer`.
    Transfer {
        /// Who waits.
        ticket: Ticket,
        /// The wish; `None`: the best voter.
        to: Option<NodeId>,
    },
    /// `POST /quorum/snapshots`.
    TakeSnapshot {
        /// Who waits.
        ticket: Ticket,
    },
    /// Start an election at once (bootstrap).
    Campaign,
    /// SIGTERM: begin the stop sequence (DESIGN 6.9).
    Stop,
    /// While stopping: no request is open any more, so the shell need not linger.
    Drained,
    /// From the log writer.
    Log(LogOutput),
    /// From the applier; the view is published already.
    Applied(AppliedBatch),
    /// From the applier: an image to write as a snapshot.
    Held(HeldImage),
    /// From the applier: a snapshot became the image.
    Installed(Installed),
    /// From the applier: it takes no further entries.
    ApplierStopped(ApplierStop),
    /// From the projector.
    Projection(ProjectionReport),
    /// The snapshot thread is done.
    SnapshotWritten {
        /// Last entry that it covers.
        last: EntryId,
        /// Size of the file in bytes, or why there is none.
        result: Result<u64, String>,
    },
    /// The stream of a [`DriverOutput::SendSnapshot`] ended.
    SnapshotSent {
        /// The peer.
        to: MemberId,
        /// Whether the peer has the file durable.
        ok: bool,
    },
    /// The connection to this peer is gone.
    Unreachable(MemberId),
}

/// Everything that the driver wants done. In order; a persist precedes what depends on it.
#[derive(Debug)]
pub enum DriverOutput {
    /// To the log writer.
    Persist(Persist),
    /// To the log writer: forget entries up to this index.
    Purge(LogIndex),
    /// To a peer, now.
    Send(Message),
    /// To a peer: an `Append` whose entries the sender reads from the log first, by [`crate::fill`]. If
    /// they are gone, the message is dropped and the peer reported by [`DriverInput::Unreachable`].
    Fill {
        /// The message, without entries.
        message: Message,
        /// The entries to put in.
        range: RangeInclusive<LogIndex>,
    },
    /// To a peer: stream the newest snapshot file (at least `message.last`), then this message with the
    /// `last` and configuration of that very file; answered by `SnapshotSent`.
    SendSnapshot(Message),
    /// To peers, beside the raft messages; may be lost.
    SendReport {
        /// The receiver.
        to: MemberId,
        /// The report.
        report: MemberReport,
    },
    /// To the applier.
    Apply(CommittedEntries),
    /// To the applier: the durable snapshot at this position becomes the image.
    Install(EntryId),
    /// To the applier: hold a version of the image for a snapshot ([`DriverInput::Held`]).
    HoldImage,
    /// To the snapshot thread: write this image; it is within the durable log. `SnapshotWritten` ends it.
    WriteSnapshot(HeldImage),
    /// To the projector feed: entries up to here are durable on this node. Falls when uncommitted entries
    /// are cut, before anything that takes their place is handed to the applier.
    Durable(LogIndex),
    /// To the waiting request.
    Answer(Ticket, Answer),
    /// Pin this digest in the data directory; `PinStored` ends it.
    Pin(PinDigest),
    /// Ask this voter to pin; `PinReply` ends it.
    RequestPin {
        /// The voter.
        to: MemberId,
        /// What to pin.
        digest: PinDigest,
    },
    /// State, term, leader, membership or stopping changed.
    Event(QuorumEvent),
    /// Something an operator must see.
    Alarm(Alarm),
    /// End the process: orderly when the stop sequence is over, else with the reason.
    Exit(ExitReason),
}

/// Committed entries on their way to the applier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntries {
    /// Which entries.
    pub range: RangeInclusive<LogIndex>,
    /// Their newest part as far as it was cached: consecutive, ends at the end of `range`. The applier
    /// reads the rest from the log.
    pub entries: Vec<Entry>,
}

/// A command of a client on its way into the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Who waits.
    pub ticket: Ticket,
    /// The command; the driver stamps its log time.
    pub envelope: Envelope,
    /// What the answer waits for.
    pub ack: Ack,
}

/// What the answer to a write waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// The controller's image.
    Applied,
    /// The controller's database: at most 1 s, and not while it is known to be down or rebuilt.
    #[default]
    Projected,
}

/// A read that cannot be served at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Who waits.
    pub ticket: Ticket,
    /// Whether the controller must confirm its leadership first.
    pub linearizable: bool,
    /// The image must be at or past this index.
    pub min_index: Option<LogIndex>,
}

/// A sign of life of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who waits.
    pub ticket: Ticket,
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of its registration; `None`: whichever it has.
    pub epoch: Option<BrokerEpoch>,
    /// How far it has read the metadata; `None` counts as caught up.
    pub seen: Option<MetadataIndex>,
    /// It asks to be fenced, or to stay so.
    pub want_fence: bool,
    /// It asks for a controlled shutdown.
    pub want_shut_down: bool,
}

/// Why a digest was not pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// The voter refuses for good: pinned otherwise, not empty, another identity.
    #[error("{0}")]
    Refused(String),
    /// The voter could not be asked; try again.
    #[error("{0}")]
    Unreachable(String),
}

/// To the log writer.
#[derive(Debug)]
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

/// Something an operator must see; `raised` false ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Whether it begins or ends.
    pub raised: bool,
    /// The details, one sentence.
    pub detail: String,
}

/// The kinds of alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmKind {
    /// The log cannot get space.
    NoSpace,
    /// Members disagree about a state hash, and no majority says who is right.
    Diverged,
    /// This member's state differs from that of the majority.
    Corrupt,
    /// The projector stopped.
    ProjectionStopped,
    /// An entry that this binary does not understand; the image stands before it.
    UnknownEntry,
    /// A snapshot could not be written.
    SnapshotFailed,
}

/// Why the process is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The stop sequence is over.
    Stopped,
    /// The log could not be written or read; retrying could lose data.
    LogFailed(String),
    /// More than half of the voters have another state hash (DESIGN 6.8).
    Corrupt(String),
}
