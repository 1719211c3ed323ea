//! The driver's thread: drains its queue into one turn, then hands the outputs on. No I/O, no apply, no SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dmq_raft::{LogIndex, MemberId};
use dmq_replica::{
    Alarm, Answer, ApplierInput, Driver, DriverInput, DriverOutput, ExitReason, HeldImage,
    LogInput, MemberReport, PinDigest, QuorumEvent, Status, Ticket,
};
use tokio::sync::{oneshot, watch};

use super::commit_times::CommitTimes;
use super::{TURN_INPUTS_MAX, Work};
use crate::config::TICK;
use crate::metrics::Metrics;
use crate::peers::Parcel;
use crate::queue::{Receiver, Sender};

/// Where the driver's outputs go. Every port returns at once.
pub struct DriverPorts {
    /// To the log writer.
    pub log: Sender<LogInput>,
    /// To the applier.
    pub applier: Sender<ApplierInput>,
    /// To the snapshot thread.
    pub snapshots: Sender<HeldImage>,
    /// To the projector feed: entries up to here are durable on this node.
    pub durable: watch::Sender<LogIndex>,
    /// The driver's own queue.
    pub own: Sender<Work>,
    /// Everything else.
    pub shell: Box<dyn Shell>,
    /// The sign of life that `/livez` reads.
    pub beat: Arc<Beat>,
    /// Where turns and commits are counted.
    pub metrics: Arc<Metrics>,
}

/// What the driver tells the rest of the process.
pub trait Shell: Send {
    /// Leaves something for a peer. `false`: it takes none, what waited was lost.
    fn send(&self, to: MemberId, parcel: Parcel) -> bool;
    /// Streams the newest snapshot to a peer.
    fn send_snapshot(&self, message: dmq_raft::Message);
    /// Asks a voter to pin.
    fn request_pin(&self, to: MemberId, digest: PinDigest);
    /// Pins a digest in the own data directory.
    fn pin(&self, digest: PinDigest);
    /// State, term, leader, membership or stopping changed.
    fn event(&self, event: QuorumEvent);
    /// An operator must see this.
    fn alarm(&self, alarm: Alarm);
    /// The status after a turn; at most once per tick, and after every event.
    fn status(&mut self, status: Status);
    /// The process is to end.
    fn exit(&self, reason: ExitReason);
}

/// When the driver last made a turn, for `/livez`.
#[derive(Debug)]
pub struct Beat {
    started: Instant,
    last_ms: AtomicU64,
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }
}

impl Beat {
    /// Something turned.
    pub fn touch(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    /// Time since then.
    pub fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }
}

/// Runs until the queue is closed or the driver says `Exit`. `catch_up_ticks_max`: most ticks that one turn
/// makes up for after a pause.
pub fn run(driver: Driver, inbox: &Receiver<Work>, ports: DriverPorts, catch_up_ticks_max: u32) {
    let clock = Clock {
        next: Instant::now() + TICK,
        catch_up_ticks_max,
    };
    let mut turning = Turning {
        driver,
        ports,
        waiting: HashMap::new(),
        clock,
        commit_times: CommitTimes::default(),
        status_due: true,
        exiting: false,
    };
    let mut batch = Vec::new();
    let mut turned = Instant::now();
    loop {
        let deadline = Some(turning.clock.next);
        let open = inbox.drain_some_until(&mut batch, TURN_INPUTS_MAX, deadline);
        if turning.exiting || !open {
            return;
        }
        let woken = Instant::now();
        turning.turn(&mut batch);
        let (waited, worked) = (woken.duration_since(turned), woken.elapsed());
        turning.ports.metrics.raft.observe_turn(waited, worked);
        turned = woken + worked;
    }
}

struct Turning {
    driver: Driver,
    ports: DriverPorts,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    clock: Clock,
    commit_times: CommitTimes,
    status_due: bool,
    exiting: bool,
}

impl Turning {
    /// What arrived comes before the ticks: it happened earlier.
    fn turn(&mut self, batch: &mut Vec<Work>) {
        let ticks = self.clock.elapsed();
        let waiting = &mut self.waiting;
        let mut inputs = batch
            .drain(..)
            .map(|work| match work {
                Work::Input(input) => input,
                Work::Ask {
                    input,
                    ticket,
                    answer,
                } => {
                    waiting.insert(ticket, answer);
                    input
                }
            })
            .chain((0..ticks).map(|_| DriverInput::Tick));
        let outputs = self.driver.turn(&mut inputs);
        drop(inputs);
        self.status_due |= ticks > 0;
        self.carry_out(outputs, ticks);
        self.ports.beat.touch();
    }

    fn carry_out(&mut self, outputs: Vec<DriverOutput>, ticks: u32) {
        // One tick a turn is enough for the log writer: it only counts idle time.
        let tick = (ticks > 0).then_some(LogInput::Tick);
        let mut log = Vec::new();
        let mut rest = Vec::with_capacity(outputs.len());
        for output in outputs {
            match output {
                DriverOutput::Persist(persist) => {
                    self.commit_times.handed_over(&persist, Instant::now());
                    log.push(LogInput::Persist(persist));
                }
                DriverOutput::Purge(index) => log.push(LogInput::Purge(index)),
                other => rest.push(other),
            }
        }
        log.extend(tick);
        if !log.is_empty() {
            self.ports.log.push_all_always(log);
        }
        // Whoever gets such an answer looks at the status next, which must not be older than the answer.
        self.status_due |= rest.iter().any(is_shown_by_status);
        if std::mem::take(&mut self.status_due) {
            self.ports.shell.status(self.driver.status());
        }
        for output in rest {
            self.hand_on(output);
        }
        if std::mem::take(&mut self.status_due) {
            self.ports.shell.status(self.driver.status());
        }
    }

    fn hand_on(&mut self, output: DriverOutput) {
        let ports = &self.ports;
        match output {
            DriverOutput::Persist(persist) => ports.log.push_always(LogInput::Persist(persist)),
            DriverOutput::Purge(index) => ports.log.push_always(LogInput::Purge(index)),
            DriverOutput::Send(message) => self.send(message.to, Parcel::Message(message)),
            DriverOutput::Fill { message, range } => {
                self.send(message.to, Parcel::Fill { message, range });
            }
            DriverOutput::SendReport { to, report } => self.report(to, report),
            DriverOutput::SendSnapshot(message) => ports.shell.send_snapshot(message),
            DriverOutput::Apply(entries) => {
                for took in self
                    .commit_times
                    .committed(*entries.range.end(), Instant::now())
                {
                    ports.metrics.raft.commit.observe(took.as_secs_f64());
                }
                ports.applier.push_always(ApplierInput::Apply(entries));
            }
            DriverOutput::Install(last) => ports.applier.push_always(ApplierInput::Install(last)),
            DriverOutput::HoldImage => ports.applier.push_always(ApplierInput::HoldImage),
            DriverOutput::WriteSnapshot(image) => ports.snapshots.push_always(image),
            DriverOutput::Durable(index) => {
                ports.durable.send_replace(index);
            }
            DriverOutput::Answer(ticket, answer) => self.answer(ticket, answer),
            DriverOutput::Pin(digest) => ports.shell.pin(digest),
            DriverOutput::RequestPin { to, digest } => ports.shell.request_pin(to, digest),
            DriverOutput::Event(event) => {
                self.status_due = true;
                ports.shell.event(event);
            }
            DriverOutput::Alarm(alarm) => ports.shell.alarm(alarm),
            DriverOutput::Exit(reason) => {
                self.exiting = true;
                ports.shell.exit(reason);
            }
        }
    }

    /// A peer that takes nothing is reported to the core in the next turn.
    fn send(&self, to: MemberId, parcel: Parcel) {
        if !self.ports.shell.send(to, parcel) {
            self.ports
                .own
                .push_always(Work::Input(DriverInput::Unreachable(to)));
        }
    }

    fn report(&self, to: MemberId, report: MemberReport) {
        self.ports.shell.send(to, Parcel::Report(report));
    }

    /// A request whose caller went away has no receiver any more.
    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            drop(waiting.send(answer));
        }
    }
}

/// Answers of which the status says more: who leads, in which term, with which members.
const fn is_shown_by_status(output: &DriverOutput) -> bool {
    matches!(
        output,
        DriverOutput::Answer(
            _,
            Answer::Read { .. }
                | Answer::Transferred { .. }
                | Answer::MembershipChanged { .. }
                | Answer::Initialized
        )
    )
}

/// Counts the ticks that went by.
struct Clock {
    next: Instant,
    catch_up_ticks_max: u32,
}

impl Clock {
    fn elapsed(&mut self) -> u32 {
        let now = Instant::now();
        let Some(late) = now.checked_duration_since(self.next) else {
            return 0;
        };
        let ticks = 1 + u32::try_from(late.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX - 1);
        if ticks > self.catch_up_ticks_max {
            self.next = now + TICK;
            return self.catch_up_ticks_max.max(1);
        }
        self.next += TICK * ticks;
        ticks
    }
}
