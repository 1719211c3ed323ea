//! The driver: owns the consensus core and every waiting request, and decides what happens next.
//!
//! One turn takes what arrived and says what is to be done. It does no I/O and applies nothing, so that
//! a turn stays short whatever is in the queues: heartbeats and votes never wait behind a disk.
//!
//! | file | decides |
//! |---|---|
//! | `effects` | what the core's effects mean for log, peers and applier |
//! | `requests`, `waiters` | proposals, their outcome, and answers that wait for the database |
//! | `reads` | linearizable reads and `minIndex` |
//! | `admin`, `bootstrap`, `stop` | transfer, initialise, the stop sequence |
//! | `membership` | changes of voters and observers |
//! | `sessions`, `office` | what a controller does by itself: broker sessions, feature level, log time |
//! | `reports`, `judgement` | hashes that members report to each other, and who differs |
//! | `upkeep` | snapshots and purging |
//! | `cache`, `pipeline`, `outbox` | entries in memory, order towards the applier, messages that wait for the disk |

mod admin;
mod bootstrap;
mod cache;
mod effects;
mod initialize_request;
mod judgement;
mod maintenance;
mod membership;
mod office;
mod outbox;
mod outcomes;
mod pipeline;
mod reads;
mod reports;
mod requests;
mod sessions;
mod status;
mod stop;
mod upkeep;
mod waiters;

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_metadata::FeatureLevel;
use dmq_raft::{
    Configuration, EntryId, Input, IoSeq, LogIndex, MemberId, Message, MessageBody, Raft, Role,
    RoleChange, Term,
};

use self::bootstrap::Bootstrap;
use self::cache::EntryCache;
use self::judgement::Doom;
use self::membership::Changes;
use self::office::Office;
use self::outbox::Outbox;
use self::pipeline::Pipeline;
use self::reads::Reads;
use self::reports::Reports;
use self::requests::Pending;
use self::sessions::Sessions;
use self::stop::StopPhase;
use self::upkeep::{Limits, Upkeep};
use self::waiters::{AwaitingProjection, Waiters};
use crate::{
    AlarmKind, Answer, Counters, DriverInput, DriverOutput, LogOutput, MemberIdentity, PinDigest,
    ProjectionHealth, ProjectionReport, QuorumEvent, RequestError, Settings, Ticket, View,
};

/// The part of a member that owns the consensus core and the waiting requests.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states of one thing"
)]
pub struct Driver {
    settings: Settings,
    identity: MemberIdentity,
    raft: Raft,
    /// Ticks since the start.
    now: u64,
    out: Vec<DriverOutput>,

    /// Role, term and leader, as the core last said.
    role: RoleChange,
    configuration: (LogIndex, Arc<Configuration>),
    persisted: IoSeq,
    durable: LogIndex,
    cache: EntryCache,
    outbox: Outbox,
    pipeline: Pipeline,

    applied: EntryId,
    feature_level: FeatureLevel,
    projected: LogIndex,
    projection: ProjectionHealth,
    ready: Ready,

    arrived: Vec<Pending>,
    held: Vec<Pending>,
    waiters: Waiters,
    awaiting: AwaitingProjection,
    reads: Reads,
    changes: Changes,

    office: Office,
    sessions: Sessions,
    reports: Reports,
    report_due: bool,
    doom: Option<Doom>,
    bootstrap: Bootstrap,
    transfers: Vec<Ticket>,
    upkeep: Upkeep,
    stop: StopPhase,
    drained: bool,
    exited: bool,

    no_space: bool,
    alarms: BTreeMap<AlarmKind, String>,
    last_event: Option<QuorumEvent>,
    counters: Counters,
}

/// Whether the image has reached the first commit index that a leader reported (DESIGN 7, `/readyz`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    /// No leader has reported one yet.
    Unknown,
    /// The image has to reach this index.
    From(LogIndex),
    /// It did, and this stays.
    Yes,
}

/// What a driver is told at its start.
#[derive(Debug)]
pub struct DriverStart {
    /// Who it is.
    pub identity: MemberIdentity,
    /// The digest that its directory has pinned.
    pub pinned: Option<PinDigest>,
    /// The core, restored.
    pub raft: Raft,
    /// The image that the applier starts with.
    pub view: View,
    /// Size in bytes of the snapshot that the image came from; 0 without one.
    pub snapshot_bytes: u64,
}

impl Driver {
    /// A driver at the start of its process.
    pub fn new(settings: Settings, start: DriverStart) -> Self {
        let DriverStart {
            identity,
            pinned,
            raft,
            view,
            snapshot_bytes,
        } = start;
        let status = raft.status();
        let role = RoleChange {
            role: status.role,
            term: status.term,
            leader: status.leader,
        };
        let limits = Limits {
            bytes_min: settings.snapshot_bytes_min,
            ticks_max: settings.snapshot_ticks,
            pause_ticks: settings.snapshot_pause_ticks,
            kept_entries: settings.kept_entries,
        };
        let features = (FeatureLevel::ZERO, FeatureLevel::MAX);
        Self {
            role,
            configuration: (status.configuration.0, Arc::new(status.configuration.1)),
            persisted: IoSeq(0),
            durable: status.durable,
            cache: EntryCache::new(settings.cache_bytes),
            outbox: Outbox::default(),
            pipeline: Pipeline::new(view.last.index),
            applied: view.last,
            feature_level: view.image.feature_level(),
            projected: LogIndex(0),
            projection: ProjectionHealth::Down,
            ready: Ready::Unknown,
            arrived: Vec::new(),
            held: Vec::new(),
            waiters: Waiters::default(),
            awaiting: AwaitingProjection::default(),
            reads: Reads::default(),
            changes: Changes::default(),
            office: Office::new(view.image.log_time()),
            sessions: Sessions::new(view.image, settings.session_ticks),
            reports: Reports::new(identity.member, features),
            report_due: false,
            doom: None,
            bootstrap: Bootstrap::new(identity.clone(), pinned),
            transfers: Vec::new(),
            upkeep: Upkeep::new(limits, status.snapshot, snapshot_bytes),
            stop: StopPhase::Running,
            drained: false,
            exited: false,
            no_space: false,
            alarms: BTreeMap::new(),
            last_event: None,
            counters: Counters::default(),
            out: vec![DriverOutput::Durable(status.durable)],
            now: 0,
            settings,
            identity,
            raft,
        }
    }

    /// Takes everything that arrived, in order, and returns what is to be done, in order. Proposals and
    /// reads of one turn are batched, so the shell hands in all that its queue holds, up to a bound
    /// that keeps a turn under a millisecond.
    pub fn turn(&mut self, inputs: &mut dyn Iterator<Item = DriverInput>) -> Vec<DriverOutput> {
        for input in inputs {
            if !self.exited {
                self.handle(input);
            }
        }
        if !self.exited {
            self.end_turn();
        }
        std::mem::take(&mut self.out)
    }

    fn handle(&mut self, input: DriverInput) {
        match input {
            DriverInput::Tick => self.tick(),
            DriverInput::Peer(message) => self.peer(message),
            DriverInput::PeerReport(report) => self.peer_report(report),
            DriverInput::PeerFeatures { member, features } => self.reports.meet(member, features),
            DriverInput::Propose(proposal) => self.arrived.push(self.pending(proposal)),
            DriverInput::Read(read) => self.read(read),
            DriverInput::Heartbeat(beat) => self.heartbeat(&beat),
            DriverInput::Initialize { ticket, request } => self.initialize(ticket, request),
            DriverInput::PinRequest { ticket, digest } => self.pin_request(ticket, digest),
            DriverInput::PinStored { digest, result } => self.pin_stored(digest, &result),
            DriverInput::PinReply { from, result } => self.pin_reply(from, result),
            DriverInput::Transfer {
                ticket,
                to,
                expected_term,
            } => self.transfer(ticket, to, expected_term),
            DriverInput::ChangeMembership {
                ticket,
                change,
                expected,
            } => self.change_membership(ticket, change, expected),
            DriverInput::TakeSnapshot { ticket } => self.take_snapshot(ticket),
            DriverInput::Campaign => self.step(Input::Campaign),
            DriverInput::Stop => self.begin_stop(),
            DriverInput::Drained => self.drained = true,
            DriverInput::Log(output) => self.log_output(output),
            DriverInput::Applied(batch) => self.applied(batch),
            DriverInput::Held(image) => self.upkeep.held(image),
            DriverInput::Installed(installed) => self.installed(installed),
            DriverInput::ApplierStopped(reason) => self.applier_stopped(reason),
            DriverInput::Projection(report) => self.projection(report),
            DriverInput::SnapshotWritten { last, result } => self.snapshot_written(last, result),
            DriverInput::SnapshotSent { to, ok } => self.snapshot_sent(to, ok),
            DriverInput::Unreachable(peer) => self.step(Input::Unreachable { peer }),
        }
    }

    fn tick(&mut self) {
        self.now += 1;
        self.step(Input::Tick);
        if self.now == 1 && self.is_only_voter() {
            // Nobody else could lead, so there is nobody to wait for.
            self.step(Input::Campaign);
        }
        self.give_up_on_orphans();
        self.expire_reads();
        self.expire_changes();
        self.tick_bootstrap();
        self.tick_office();
        self.tick_reports();
        self.retry_hand_over();
        self.release_projected();
    }

    /// Everything that is decided once per turn, after all inputs.
    fn end_turn(&mut self) {
        self.start_changes();
        self.propose();
        self.start_reads();
        self.serve_reads();
        self.finish_changes();
        self.advance_stop();
        self.feed_applier();
        self.maintain();
        self.send_reports();
        self.publish();
    }

    fn peer(&mut self, message: Message) {
        let (from, term) = (message.from, message.term);
        let commit = match message.body {
            MessageBody::Append { commit, .. } | MessageBody::Heartbeat { commit, .. } => {
                Some(commit)
            }
            _ => None,
        };
        self.step(Input::Message(message));
        // The core has judged the message by now: a leader of an earlier term speaks for nobody.
        if let Some(commit) = commit.filter(|_| self.is_led_by(from, term)) {
            self.note_leader_commit(commit);
        }
    }

    fn is_led_by(&self, member: MemberId, term: Term) -> bool {
        self.role.term == term && self.role.leader == Some(member)
    }

    /// Notes the first commit index that the leader reports. Right after its election a leader may not
    /// know yet what is committed: what counts is an index whose entry is of its own term, or one that
    /// is not in this log.
    fn note_leader_commit(&mut self, commit: LogIndex) {
        let own_term = self
            .raft
            .term_at(commit)
            .is_none_or(|term| term == self.role.term);
        if self.ready == Ready::Unknown && own_term && commit > LogIndex(0) {
            let reached = self.applied.index >= commit;
            self.ready = if reached {
                Ready::Yes
            } else {
                Ready::From(commit)
            };
        }
    }

    fn log_output(&mut self, output: LogOutput) {
        match output {
            LogOutput::Persisted(io) => self.persisted(io),
            LogOutput::Purged(start) => self.step(Input::Purged { start }),
            LogOutput::NoSpace(no_space) => {
                self.no_space = no_space;
                let detail = "the log cannot allocate a segment; writes are refused".to_owned();
                self.alarm(AlarmKind::NoSpace, no_space, detail);
            }
            LogOutput::Fatal(reason) => self.exit(crate::ExitReason::LogFailed(reason)),
        }
    }

    fn projection(&mut self, report: ProjectionReport) {
        self.projected = report.index;
        let stopped = match &report.health {
            ProjectionHealth::Stopped(reason) => Some(reason.clone()),
            _ => None,
        };
        let raised = stopped.is_some();
        self.alarm(
            AlarmKind::ProjectionStopped,
            raised,
            stopped.unwrap_or_default(),
        );
        let healthy = report.health == ProjectionHealth::Healthy;
        self.report_due |= self.reports.note_projection(healthy);
        self.projection = report.health;
        self.release_projected();
    }

    fn is_only_voter(&self) -> bool {
        let mut voters = self.configuration.1.all_voters();
        voters.next() == Some(&self.identity.member) && voters.next().is_none()
    }

    fn leads(&self) -> bool {
        self.role.role == Role::Leader
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.out.push(DriverOutput::Answer(ticket, answer));
    }

    fn fail(&mut self, ticket: Ticket, error: RequestError) {
        self.answer(ticket, Answer::Failed(error));
    }
}
