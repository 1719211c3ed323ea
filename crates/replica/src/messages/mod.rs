//! Every message between the four parts of a member, and between the driver and the shell around it.
//!
//! The shell owes the parts this and no more: messages of one sender to one receiver arrive in order, and
//! [`ApplierOutput::view`] is published before the same output is handed to the driver.
//!
//! The driver never waits for a queue. What it has given out is bounded by construction: writes by the
//! core's bounds (uncommitted bytes on a leader, its in-flight window on a follower), entries for the
//! applier by 4,096 that it has not reported back, requests by [`crate::Settings::waiters_max`], change
//! sets by [`crate::QUEUE_BYTES_MAX`]. Only clients can be too many; they are told so.

use std::ops::RangeInclusive;

use dmq_metadata::{BrokerEpoch, BrokerId, Envelope, FeatureLevel, MetadataIndex};
use dmq_raft::{
    Entry, EntryId, LogIndex, MemberId, MembershipChange, Message, NodeId, Persist, Term,
};

mod alarm;
mod parts;
mod projection;

pub use alarm::*;
pub use parts::*;
pub use projection::*;

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
    /// A peer that was met on the network, by the handshake of a connection: what its binary supports.
    PeerFeatures {
        /// The peer.
        member: MemberId,
        /// The lowest and highest feature level that it supports.
        features: (FeatureLevel, FeatureLevel),
    },
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
        /// Refuse when the controller's term is another one.
        expected_term: Option<Term>,
    },
    /// A change of voters or observers.
    ChangeMembership {
        /// Who waits.
        ticket: Ticket,
        /// What is wished.
        change: MembershipChange,
        /// Index of the newest committed configuration, as the caller knows it.
        expected: LogIndex,
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
    /// Longest wait in ticks; `None`: what [`crate::Settings`] say.
    pub wait_ticks: Option<u64>,
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
