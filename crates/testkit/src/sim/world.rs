//! The world: simulated time, the queue of events, and everything that lives in it.

use std::collections::{BTreeMap, BTreeSet};

use dmq_raft::{Configuration, LogIndex, MemberId, Message, Term};
use dmq_replica::{DriverInput, Ticket};

use super::client::{BROKERS, Call, Client};
use super::corruption::Findings;
use super::history::{History, Violation};
use super::mail::Delivery;
use super::network::Network;
use super::node::{Part, SimNode};
use super::params::{MS, Params};
use super::plan::{self, Planned};
use super::queue::Queue;
use super::rng::Rng;
use super::steward::Steward;
use super::story::Told;
use super::transfer::Transfer;
use super::{Faults, Report};

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Event {
    /// A node's timer.
    Tick(usize, u32),
    /// A part empties its queue.
    Work(usize, u32, Part),
    /// A message arrives.
    Arrive(usize, Delivery),
    /// A sender reads entries that the driver did not have in memory.
    Fill(usize, u32, Message, std::ops::RangeInclusive<LogIndex>),
    /// The next piece of a snapshot.
    Piece(u64),
    /// A client does something, unless it was told otherwise since.
    Client(usize, u32),
    /// The administrator tries to initialise.
    Initialize,
    /// A dead process is started.
    Start(usize),
    /// A stopping process has no open requests any more.
    Drained(usize, u32),
    /// This part of the plan.
    Fault(usize),
    /// A damaged node comes back on an empty disk.
    Replace(usize),
    /// The administrator looks at the members.
    Steward,
    /// Cut links work again.
    Heal,
    /// A database comes back.
    StoreUp(usize),
    /// A full disk has room again.
    Space(usize),
    /// Faults end.
    Calm,
    /// Properties are checked.
    Check,
}

/// Everything.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct World {
    /// The setting.
    pub(super) params: Params,
    /// Randomness of the schedule.
    pub(super) rng: Rng,
    /// Simulated time in microseconds.
    pub(super) now: u64,
    events: Queue<Event>,
    /// The nodes.
    pub(super) nodes: Vec<SimNode>,
    /// The links.
    pub(super) network: Network,
    /// The clients.
    pub(super) clients: Vec<Client>,
    /// Requests on their way.
    pub(super) calls: BTreeMap<Ticket, Call>,
    next_ticket: u64,
    /// Snapshots on their way.
    pub(super) transfers: BTreeMap<u64, Transfer>,
    /// Numbers the transfers.
    pub(super) next_transfer: u64,
    /// What everybody saw.
    pub(super) history: History,
    /// Calls of an administrator, whose answers may be any.
    pub(super) admin_calls: BTreeSet<Ticket>,
    /// Clients begin nothing new.
    pub(super) quiet: bool,
    /// Faults still happen.
    pub(super) chaos: bool,
    /// The quorum is born.
    pub(super) initialized: bool,
    /// What is to go wrong.
    pub(super) plan: Vec<Planned>,
    /// What did.
    pub(super) story: Vec<Told>,
    /// Every configuration that was ever put into a log, by its entry.
    pub(super) configurations: BTreeMap<(LogIndex, Term), Configuration>,
    /// The administrator who changes members.
    pub(super) steward: Steward,
    /// Which nodes took part when somebody last looked.
    pub(super) parts: Vec<bool>,
    /// What members said about corruption.
    pub(super) findings: Findings,
    /// What happened so far, by kind.
    pub(super) faults: Faults,
    trace: u64,
    steps: u64,
    /// Tell what happens on standard error: `DMQ_SIM_TRACE=1`, to study one seed.
    talkative: bool,
}

impl World {
    /// A world before its first moment: formatted nodes, started, not initialised.
    ///
    /// # Errors
    /// A node that does not start.
    pub(super) fn new(params: Params) -> Result<Self, Violation> {
        let mut rng = Rng::new(params.seed ^ params.cuts.salt);
        let network = Network::new(&params, rng.split());
        let nodes: Vec<_> = (0..params.nodes + params.standby)
            .map(|index| SimNode::new(index, &params, &mut rng))
            .collect();
        let clients = (0..params.clients + BROKERS)
            .map(|number| Client::new(number, &params, rng.split()))
            .collect();
        let plan = plan::draw(&params);
        let mut world = Self {
            rng,
            now: 0,
            events: Queue::default(),
            nodes,
            network,
            clients,
            calls: BTreeMap::new(),
            next_ticket: 1,
            transfers: BTreeMap::new(),
            next_transfer: 1,
            history: History::default(),
            admin_calls: BTreeSet::new(),
            quiet: false,
            chaos: true,
            initialized: false,
            plan,
            story: Vec::new(),
            configurations: BTreeMap::new(),
            steward: Steward::new(params.nodes),
            parts: Vec::new(),
            findings: Findings::default(),
            faults: Faults::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            talkative: std::env::var_os("DMQ_SIM_TRACE").is_some(),
            params,
        };
        world.begin()?;
        Ok(world)
    }

    fn begin(&mut self) -> Result<(), Violation> {
        for node in 0..self.nodes.len() {
            self.start_node(node)?;
        }
        for client in 0..self.clients.len() {
            self.client_after(client, 300 * MS);
        }
        self.after(MS, Event::Initialize);
        for (number, planned) in self.plan.iter().enumerate() {
            if self.params.cuts.keeps(number) {
                self.events.push(planned.at, Event::Fault(number));
            }
        }
        self.after(self.params.chaos, Event::Calm);
        self.after(100 * MS, Event::Check);
        if self.params.membership {
            self.after(MS, Event::Steward);
        }
        Ok(())
    }

    /// Schedules an event.
    pub(super) fn after(&mut self, delay: u64, event: Event) {
        self.events.push(self.now + delay, event);
    }

    /// A ticket that was never used.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Runs until the time, or until `until` holds. Returns whether it does.
    ///
    /// # Errors
    /// The first violation.
    pub(super) fn run(
        &mut self,
        end: u64,
        until: impl Fn(&Self) -> bool,
    ) -> Result<bool, Violation> {
        while let Some((time, event)) = self.events.pop_until(end) {
            self.now = time;
            self.note(&event);
            self.happen(event)?;
            if self.steps.is_multiple_of(64) && until(self) {
                return Ok(true);
            }
        }
        self.now = end;
        Ok(until(self))
    }

    /// Tells what happens at a node, if somebody listens.
    #[expect(clippy::print_stderr, reason = "asked for, to study one seed")]
    pub(super) fn tell(&self, node: usize, what: impl FnOnce() -> String) {
        if self.talkative {
            eprintln!(
                "{:>10} node {node}.{} {}",
                self.now,
                self.nodes[node].life,
                what()
            );
        }
    }

    /// The trace: equal for equal seeds, whatever the machine.
    fn note(&mut self, event: &Event) {
        let (kind, detail) = match event {
            Event::Tick(node, life) => (1, (*node as u64) << 32 | u64::from(*life)),
            Event::Work(node, _, part) => (2, (*node as u64) << 8 | *part as u64),
            Event::Arrive(node, _) => (3, *node as u64),
            Event::Fill(node, ..) => (4, *node as u64),
            Event::Piece(transfer) => (5, *transfer),
            Event::Client(client, _) => (6, *client as u64),
            _ => (7, self.history.last().0),
        };
        for word in [self.now, kind, detail] {
            self.trace = (self.trace ^ word).wrapping_mul(0x100_0000_01b3);
        }
        self.steps += 1;
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let Some(resumes) = self.paused(&event) {
            self.after(resumes, event);
            return Ok(());
        }
        match event {
            Event::Tick(node, life) => self.tick(node, life),
            Event::Work(node, life, part) => return self.work(node, life, part),
            Event::Arrive(node, delivery) => self.arrive(node, delivery),
            Event::Fill(node, life, message, range) => self.fill(node, life, message, &range),
            Event::Piece(transfer) => self.piece(transfer),
            Event::Client(client, turn) => self.client_acts(client, turn),
            Event::Initialize => self.initialize(),
            Event::Start(node) => return self.start_node(node),
            Event::Drained(node, life) => {
                self.queue_driver(node, life, DriverInput::Drained);
            }
            Event::Fault(number) => return self.fault(number),
            Event::Replace(node) => return self.replace(node),
            Event::Steward => self.steward(),
            Event::Heal => self.network.heal(),
            Event::StoreUp(node) => self.nodes[node].database.set_down(false),
            Event::Space(node) => self.nodes[node].disk.set_capacity(u64::MAX),
            Event::Calm => self.calm(),
            Event::Check => return self.check(),
        }
        Ok(())
    }

    /// What happens at a stopped process happens when it goes on.
    fn paused(&self, event: &Event) -> Option<u64> {
        let node = match event {
            Event::Tick(node, _)
            | Event::Work(node, ..)
            | Event::Arrive(node, _)
            | Event::Drained(node, _)
            | Event::Fill(node, ..) => *node,
            _ => return None,
        };
        let until = self.nodes[node].paused_until;
        (until > self.now).then(|| until - self.now)
    }

    /// Starts a process that is not running.
    ///
    /// # Errors
    /// It does not start: nothing that happens here may have that effect.
    pub(super) fn start_node(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].process.is_some() || self.nodes[node].damaged {
            return Ok(());
        }
        let seed = self.rng.next();
        if let Err(error) = self.nodes[node].start(&self.params, seed) {
            // The cut or the error that was set met the recovery.
            if self.nodes[node].disk.is_without_power() {
                let mut rng = self.nodes[node].rng.split();
                self.power_failed(node, &mut rng);
                return Ok(());
            }
            self.nodes[node].life += 1;
            if self.note_struck(node) {
                self.faults.failed_starts += 1;
                self.bury(node);
                return Ok(());
            }
            return Err(format!("node {node} does not start: {error}"));
        }
        self.tell(node, || "starts".into());
        let life = self.nodes[node].life;
        let first = self.rng.between(0, 10 * MS);
        self.after(first, Event::Tick(node, life));
        self.wake(node, Part::Driver);
        self.wake(node, Part::Store);
        Ok(())
    }

    fn tick(&mut self, node: usize, life: u32) {
        if self.nodes[node].life != life || self.nodes[node].process.is_none() {
            return;
        }
        // Clocks differ by up to 2 %.
        let period = self.params.tick;
        let drift = (node as u64 % 3) * period / 100;
        self.after(period + drift, Event::Tick(node, life));
        self.queue_driver(node, life, DriverInput::Tick);
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        let (log, store) = (process.log_wants_tick(), process.store_wants_tick());
        if log {
            process.log_inbox.push_back(dmq_replica::LogInput::Tick);
            self.wake(node, Part::Log);
        }
        if store {
            self.wake(node, Part::Store);
        }
    }

    /// Queues something for a driver, if that process still runs.
    pub(super) fn queue_driver(&mut self, node: usize, life: u32, input: DriverInput) {
        if self.nodes[node].life != life {
            return;
        }
        if let Some(process) = &mut self.nodes[node].process {
            process.driver_inbox.push_back(input);
            self.wake(node, Part::Driver);
        }
    }

    /// The position of a member.
    pub(super) fn position(&self, member: MemberId) -> Option<usize> {
        self.nodes.iter().position(|node| node.member() == member)
    }

    /// What the run amounts to.
    pub(super) fn report(&self) -> Report {
        let mut faults = self.faults;
        (faults.lost_messages, faults.doubled, faults.late) = self.network.counts();
        Report {
            seed: self.params.seed,
            pace: self.params.pace,
            nodes: self.params.nodes,
            simulated_micros: self.now,
            recovered_micros: self.now.saturating_sub(self.params.chaos),
            events: self.steps,
            commits: self.history.last().0,
            acknowledged: self.history.acknowledged,
            terms: self.history.terms_led() as u64,
            faults,
            trace: self.trace,
        }
    }
}
