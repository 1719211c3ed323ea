//! What a member says about itself: status for `/controller` and `/quorum`, events, and the initialise request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dmq_metadata::{FeatureLevel, Incarnation, LogTime};
use dmq_raft::{Configuration, EntryId, LogIndex, MemberId, NodeId, Role, Term};

use crate::{AlarmKind, ProjectionHealth, ReportRow};

/// The identity of the data directory that a member runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberIdentity {
    /// The DMQ cluster's name.
    pub cluster_id: String,
    /// The log history.
    pub incarnation: Incarnation,
    /// The member.
    pub member: MemberId,
}

/// The body of `POST /quorum:initialize` (DESIGN 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializeRequest {
    /// Must be that of every voter.
    pub cluster_id: String,
    /// Must be that of every voter.
    pub incarnation: Incarnation,
    /// The voter set of entry 1.
    pub voters: BTreeSet<MemberId>,
}

/// A member at one moment. Everything but `rows` is this member's own view.
#[derive(Clone, Debug)]
pub struct Status {
    /// Who it is.
    pub identity: MemberIdentity,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader that it knows.
    pub leader: Option<MemberId>,
    /// Commit index.
    pub commit: LogIndex,
    /// Last entry of its log.
    pub last: EntryId,
    /// Last durable entry of its log.
    pub durable: LogIndex,
    /// Position before the first entry that it holds.
    pub start: EntryId,
    /// Last applied entry.
    pub applied: EntryId,
    /// Where its database is.
    pub projected: LogIndex,
    /// How its database is.
    pub projection: ProjectionHealth,
    /// The configuration in force and its index.
    pub configuration: (LogIndex, Arc<Configuration>),
    /// Index of the newest committed configuration.
    pub membership_index: LogIndex,
    /// Log time: of the image, and going on from it while this member leads.
    pub log_time: LogTime,
    /// Feature level of the image.
    pub feature_level: FeatureLevel,
    /// The newest durable snapshot.
    pub snapshot: Option<EntryId>,
    /// Whether the image reached the first commit index that a leader reported after the start.
    pub ready: bool,
    /// Whether the log lacks space.
    pub no_space: bool,
    /// Whether the stop sequence has begun.
    pub stopping: bool,
    /// Target of a running transfer.
    pub transferring: Option<NodeId>,
    /// Peers as the controller knows them; empty elsewhere.
    pub peers: Vec<dmq_raft::PeerStatus>,
    /// The shared table of hashes, features and projection health, as far as it is known here.
    pub rows: Vec<ReportRow>,
    /// Standing alarms with their details.
    pub alarms: BTreeMap<AlarmKind, String>,
    /// Requests waiting at the moment.
    pub waiting: usize,
    /// What the driver has counted since its start.
    pub counters: Counters,
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Elections that this member began.
    pub elections: u64,
    /// Times that it became the controller.
    pub elected: u64,
    /// Commands that it appended as the controller.
    pub proposed: u64,
    /// Entries applied.
    pub applied: u64,
    /// Writes answered with `LEADER_CHANGED`.
    pub leader_changed: u64,
    /// Writes answered with an unknown outcome.
    pub outcome_unknown: u64,
    /// Snapshots written.
    pub snapshots_taken: u64,
    /// Snapshots installed.
    pub snapshots_installed: u64,
}

/// One line of `GET /quorum/events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumEvent {
    /// The member's role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader that it knows.
    pub leader: Option<NodeId>,
    /// Index of the configuration in force.
    pub membership_index: LogIndex,
    /// The log history.
    pub incarnation: Incarnation,
    /// Whether it is stopping.
    pub stopping: bool,
}

/// The last events, numbered from 1, so that a follower of the stream knows what it missed.
#[derive(Clone, Debug)]
pub struct EventHistory {
    events: VecDeque<QuorumEvent>,
    next: u64,
    capacity: usize,
}

impl EventHistory {
    /// An empty history of at most `capacity` events.
    pub fn new(capacity: usize) -> Self {
        Self {
            events: VecDeque::with_capacity(capacity),
            next: 1,
            capacity: capacity.max(1),
        }
    }

    /// Adds an event and returns its number.
    pub fn push(&mut self, event: QuorumEvent) -> u64 {
        if self.events.len() == self.capacity {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.next += 1;
        self.next - 1
    }

    /// The kept events behind number `seen`, with their numbers.
    pub fn since(&self, seen: u64) -> impl Iterator<Item = (u64, &QuorumEvent)> {
        let first = self.next - self.events.len() as u64;
        (first..)
            .zip(&self.events)
            .filter(move |(number, _)| *number > seen)
    }

    /// The newest event.
    pub fn last(&self) -> Option<&QuorumEvent> {
        self.events.back()
    }
}
