//! Whole members on simulated disks in one thread: messages are delivered until nobody has anything to do.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use dmq_log::sim::SimDisk;
use dmq_log::{DataDir, FormatOptions, Identity, LogOptions};
use dmq_metadata::{
    BrokerId, Command, Envelope, FeatureLevel, Host, LogTime, Principal, RegisterBroker, RequestId,
    WallTime,
};
use dmq_raft::{
    Config, DirectoryId, LogIndex, MemberId, MembershipChange, Message, MessageBody, NodeId, Role,
};
use dmq_replica::{
    Ack, Alarm, Answer, ApplierInput, DriverInput, DriverOutput, ExitReason, FeedInput,
    InitializeRequest, LogInput, Member, MemberReport, PinDigest, PinError, Proposal, Settings,
    Status, Ticket, fill, write_snapshot,
};

/// One node: what outlives a process, and the process.
pub struct Node {
    pub disk: SimDisk,
    pub identity: Identity,
    pub member: Option<Member<SimDisk>>,
    dir: Option<DataDir<SimDisk>>,
    inbox: VecDeque<DriverInput>,
    log: Vec<LogInput>,
    pub feed: Vec<FeedInput>,
    pub alarms: Vec<Alarm>,
    pub exit: Option<ExitReason>,
    /// The log thread does not run.
    pub log_held: bool,
}

pub struct Shell {
    pub nodes: Vec<Node>,
    pub cut: BTreeSet<(usize, usize)>,
    pub answers: BTreeMap<Ticket, Answer>,
    pin_calls: BTreeMap<Ticket, usize>,
    next_ticket: u64,
    pub settings: fn(&mut Settings),
}

impl Shell {
    /// Formatted and running, not initialised.
    pub fn new(count: u32, settings: fn(&mut Settings)) -> Self {
        let nodes = (1..=count).map(Node::format).collect();
        let mut shell = Self {
            nodes,
            cut: BTreeSet::new(),
            answers: BTreeMap::new(),
            pin_calls: BTreeMap::new(),
            next_ticket: 1,
            settings,
        };
        (0..shell.nodes.len()).for_each(|node| shell.start(node));
        shell
    }

    /// Initialised, with node 0 as the controller and feature level 1 in force.
    pub fn born(count: u32, settings: fn(&mut Settings)) -> Self {
        let mut shell = Self::new(count, settings);
        let request = shell.initialize_request();
        let ticket = shell.initialize(0, request);
        shell.until("the first level", |shell| {
            shell.status(0).role == Role::Leader && shell.status(0).feature_level.0 == 1
        });
        assert!(matches!(shell.answers[&ticket], Answer::Initialized));
        shell
    }

    /// Formats one more node and starts it; nobody knows it.
    pub fn add(&mut self) -> usize {
        let number = u32::try_from(self.nodes.len() + 1).unwrap();
        self.nodes.push(Node::format(number));
        let node = self.nodes.len() - 1;
        self.start(node);
        node
    }

    /// A node loses its disk and comes back empty, under another directory id.
    pub fn wipe(&mut self, node: usize) {
        let lost = self.nodes[node].identity.directory;
        let number = u32::try_from(node + 1).unwrap();
        self.nodes[node] = Node::format_as(number, DirectoryId(lost.0 + 1));
        self.start(node);
    }

    /// The member that runs as this node.
    pub fn member(&self, node: usize) -> MemberId {
        self.nodes[node].identity.member()
    }

    pub fn change(&mut self, node: usize, change: MembershipChange, expected: LogIndex) -> Ticket {
        self.ask(node, |ticket| DriverInput::ChangeMembership {
            ticket,
            change,
            expected,
        })
    }

    pub fn start(&mut self, node: usize) {
        let this = &mut self.nodes[node];
        let dir = DataDir::open(&this.disk, Path::new("/node")).unwrap();
        let raft = Config {
            election_ticks: 20,
            heartbeat_ticks: 5,
            check_quorum_ticks: 30,
            transfer_ticks: 20,
            ..Config::new(this.identity.member(), node as u64 + 1)
        };
        let mut settings = Settings::new(Duration::from_millis(10), raft);
        (self.settings)(&mut settings);
        this.member = Some(Member::open(&dir, settings, LogOptions::default()).unwrap());
        this.dir = Some(dir);
        self.settle();
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) {
        let this = &mut self.nodes[node];
        (this.member, this.dir) = (None, None);
        this.inbox.clear();
        this.log.clear();
        this.disk.kill();
    }

    pub fn initialize_request(&self) -> InitializeRequest {
        InitializeRequest {
            cluster_id: "dmq".into(),
            incarnation: dmq_metadata::Incarnation::FIRST,
            voters: self
                .nodes
                .iter()
                .map(|node| node.identity.member())
                .collect(),
        }
    }

    pub fn initialize(&mut self, node: usize, request: InitializeRequest) -> Ticket {
        self.ask(node, |ticket| DriverInput::Initialize { ticket, request })
    }

    pub fn ask(&mut self, node: usize, input: impl FnOnce(Ticket) -> DriverInput) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tell(node, input(ticket));
        ticket
    }

    /// Several requests that arrive together.
    pub fn ask_together(
        &mut self,
        node: usize,
        inputs: impl IntoIterator<Item = impl FnOnce(Ticket) -> DriverInput>,
    ) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for input in inputs {
            self.next_ticket += 1;
            tickets.push(Ticket(self.next_ticket));
            self.nodes[node]
                .inbox
                .push_back(input(Ticket(self.next_ticket)));
        }
        self.settle();
        tickets
    }

    pub fn tell(&mut self, node: usize, input: DriverInput) {
        self.nodes[node].inbox.push_back(input);
        self.settle();
    }

    /// Registers a broker: a write that is easy to make.
    pub fn write(&mut self, node: usize, broker: u32, ack: Ack) -> Ticket {
        let envelope = envelope(register(broker, "localhost"));
        self.ask(node, |ticket| {
            DriverInput::Propose(Proposal {
                ticket,
                envelope,
                ack,
            })
        })
    }

    pub fn status(&self, node: usize) -> Status {
        self.nodes[node].member.as_ref().unwrap().driver.status()
    }

    pub fn tick(&mut self) {
        for node in &mut self.nodes {
            if node.member.is_some() {
                node.inbox.push_back(DriverInput::Tick);
                node.log.push(LogInput::Tick);
            }
        }
        self.settle();
    }

    /// Ticks until it holds.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..5_000 {
            if holds(self) {
                return;
            }
            self.tick();
        }
        panic!("never happened: {what}");
    }

    pub fn leader(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|node| {
            self.nodes[*node].member.is_some() && self.status(*node).role == Role::Leader
        })
    }

    pub fn isolate(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.cut.extend([(node, other), (other, node)]);
        }
    }

    /// Delivers until nobody has anything to do.
    pub fn settle(&mut self) {
        while (0..self.nodes.len()).any(|node| self.turn(node)) {}
    }

    fn turn(&mut self, node: usize) -> bool {
        let this = &mut self.nodes[node];
        let Some(member) = &mut this.member else {
            return false;
        };
        let mut busy = !this.inbox.is_empty();
        let outputs = member.driver.turn(&mut this.inbox.drain(..));
        busy |= !outputs.is_empty();
        for output in outputs {
            self.route(node, output);
        }
        busy | self.run_log(node) | self.run_applier(node)
    }

    fn run_log(&mut self, node: usize) -> bool {
        let this = &mut self.nodes[node];
        let Some(member) = this.member.as_mut().filter(|_| !this.log_held) else {
            return false;
        };
        let inputs = std::mem::take(&mut this.log);
        let busy = !inputs.is_empty();
        let outputs = member.writer.run(inputs);
        this.inbox.extend(outputs.into_iter().map(DriverInput::Log));
        busy
    }

    fn run_applier(&mut self, node: usize) -> bool {
        let this = &mut self.nodes[node];
        let Some(member) = &mut this.member else {
            return false;
        };
        let Some(output) = member.applier.work() else {
            return false;
        };
        if let Some(view) = output.view {
            member.view = view;
        }
        this.feed.extend(output.feed);
        this.inbox.extend(output.driver);
        true
    }

    fn route(&mut self, node: usize, output: DriverOutput) {
        let this = &mut self.nodes[node];
        let Some(member) = &mut this.member else {
            return;
        };
        match output {
            DriverOutput::Persist(persist) => this.log.push(LogInput::Persist(persist)),
            DriverOutput::Purge(up_to) => this.log.push(LogInput::Purge(up_to)),
            DriverOutput::Send(message) => self.send(node, message),
            DriverOutput::Fill { message, range } => {
                if let Some(message) = fill(&member.reader, message, &range) {
                    self.send(node, message);
                }
            }
            DriverOutput::SendSnapshot(message) => self.send_snapshot(node, message),
            DriverOutput::SendReport { to, report } => self.send_report(node, to, report),
            DriverOutput::Apply(entries) => member.applier.push(ApplierInput::Apply(entries)),
            DriverOutput::Install(last) => member.applier.push(ApplierInput::Install(last)),
            DriverOutput::HoldImage => member.applier.push(ApplierInput::HoldImage),
            DriverOutput::WriteSnapshot(held) => {
                let written = write_snapshot(&member.snapshots, &this.identity, &held);
                let result = written.map_err(|error| error.to_string());
                let last = held.last;
                this.inbox
                    .push_back(DriverInput::SnapshotWritten { last, result });
            }
            DriverOutput::Durable(index) => this.feed.push(FeedInput::Durable(index)),
            DriverOutput::Answer(ticket, answer) => self.answered(node, ticket, answer),
            DriverOutput::Pin(digest) => {
                let stored = this.dir.as_ref().unwrap().pin(digest);
                let result = stored.map_err(|error| PinError::Refused(error.to_string()));
                this.inbox
                    .push_back(DriverInput::PinStored { digest, result });
            }
            DriverOutput::RequestPin { to, digest } => self.request_pin(node, to, digest),
            DriverOutput::Event(_) => {}
            DriverOutput::Alarm(alarm) => this.alarms.push(alarm),
            DriverOutput::Exit(reason) => {
                this.exit = Some(reason);
                self.kill(node);
            }
        }
    }

    /// Where a member runs; a wiped one runs nowhere.
    fn position(&self, member: MemberId) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.identity.member() == member)
    }

    fn send(&mut self, from: usize, message: Message) {
        let Some(to) = self.position(message.to) else {
            return;
        };
        if !self.cut.contains(&(from, to)) && self.nodes[to].member.is_some() {
            self.nodes[to].inbox.push_back(DriverInput::Peer(message));
        }
    }

    fn send_report(&mut self, from: usize, to: MemberId, report: MemberReport) {
        let Some(to) = self.position(to) else {
            return;
        };
        if !self.cut.contains(&(from, to)) && self.nodes[to].member.is_some() {
            self.nodes[to]
                .inbox
                .push_back(DriverInput::PeerReport(report));
        }
    }

    fn send_snapshot(&mut self, from: usize, mut message: Message) {
        let peer = message.to;
        let Some(to) = self.position(peer) else {
            return;
        };
        let reader = self.nodes[from]
            .member
            .as_ref()
            .unwrap()
            .snapshots
            .newest()
            .unwrap()
            .reader;
        let reader = reader.unwrap();
        let ok = !self.cut.contains(&(from, to)) && self.nodes[to].member.is_some();
        if ok {
            let store = &self.nodes[to].member.as_ref().unwrap().snapshots;
            let mut incoming = store.receive(&reader.info().offer()).unwrap();
            let bytes = reader.read_raw(incoming.offset(), usize::MAX).unwrap();
            incoming
                .write(incoming.offset(), &bytes, crc32c::crc32c(&bytes))
                .unwrap();
            let info = incoming.finish().unwrap();
            if let MessageBody::InstallSnapshot {
                last,
                configuration,
                ..
            } = &mut message.body
            {
                (*last, *configuration) = (info.meta.last, info.meta.configuration);
            }
            self.nodes[to].inbox.push_back(DriverInput::Peer(message));
        }
        self.nodes[from]
            .inbox
            .push_back(DriverInput::SnapshotSent { to: peer, ok });
    }

    fn request_pin(&mut self, from: usize, to: MemberId, digest: PinDigest) {
        let to = self.position(to).unwrap();
        if self.cut.contains(&(from, to)) || self.nodes[to].member.is_none() {
            return;
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.pin_calls.insert(ticket, from);
        // There is a connection, so they have met.
        self.meet(from, to);
        self.meet(to, from);
        self.nodes[to]
            .inbox
            .push_back(DriverInput::PinRequest { ticket, digest });
    }

    /// `node` learns from a handshake what `peer` supports.
    pub fn meet(&mut self, node: usize, peer: usize) {
        let member = self.nodes[peer].identity.member();
        let features = (FeatureLevel::ZERO, FeatureLevel::MAX);
        self.nodes[node]
            .inbox
            .push_back(DriverInput::PeerFeatures { member, features });
    }

    fn answered(&mut self, node: usize, ticket: Ticket, answer: Answer) {
        let Some(asked_by) = self.pin_calls.remove(&ticket) else {
            assert!(
                self.answers.insert(ticket, answer).is_none(),
                "{ticket:?} answered twice"
            );
            return;
        };
        let result = match answer {
            Answer::Pinned => Ok(()),
            other => Err(PinError::Refused(format!("{other:?}"))),
        };
        let from = self.nodes[node].identity.member();
        self.nodes[asked_by]
            .inbox
            .push_back(DriverInput::PinReply { from, result });
    }
}

impl Node {
    fn format(number: u32) -> Self {
        Self::format_as(number, DirectoryId(u128::from(number) << 64))
    }

    fn format_as(number: u32, directory: DirectoryId) -> Self {
        let disk = SimDisk::new(number.into());
        let identity = Identity {
            cluster_id: "dmq".into(),
            incarnation: dmq_log::Incarnation {
                number: 1,
                nonce: 0,
            },
            node: NodeId(number),
            directory,
        };
        let options = FormatOptions {
            segment_bytes: 64 << 10,
            ..FormatOptions::default()
        };
        DataDir::format(&disk, Path::new("/node"), &identity, &options).unwrap();
        Self {
            disk,
            identity,
            member: None,
            dir: None,
            inbox: VecDeque::new(),
            log: Vec::new(),
            feed: Vec::new(),
            alarms: Vec::new(),
            exit: None,
            log_held: false,
        }
    }
}

/// A command as a client sends it.
pub(crate) fn envelope(command: Command) -> Envelope {
    Envelope {
        request_id: RequestId::default(),
        principal: Principal::anonymous(),
        idempotency: None,
        log_time: LogTime::default(),
        wall_clock: WallTime(0),
        seed: 1,
        command,
    }
}

/// A broker on this host.
pub(crate) fn register(broker: u32, host: &str) -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(broker),
        cluster_id: None,
        incarnation: None,
        host: Host::parse(host).unwrap(),
        port: 9_000,
        rack: None,
    })
}
