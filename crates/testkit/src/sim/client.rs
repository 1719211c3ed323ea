//! Clients: they create topics, change partitions and read, each one thing at a time, and try again under
//! the same idempotency key until they know the outcome.

use dmq_metadata::{
    BrokerEpoch, BrokerId, Command, CreateTopic, DeleteTopic, Envelope, Fingerprint, Host,
    Idempotency, IdempotencyKey, IsrMember, LeaderRecovery, LogTime, Principal, RegisterBroker,
    Reply, RequestId, TopicConfigs, TopicId, TopicLayout, TopicName, TopicRef, UpdatePartition,
    WallTime,
};
use dmq_raft::{LogIndex, NodeId};
use dmq_replica::{Ack, Answer, RequestError, View};
use uuid::Uuid;

use super::params::{MS, Pace, Params};
use super::rng::Rng;

/// Brokers that the simulation plays; clients beyond them write topics.
pub(super) const BROKERS: usize = 3;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    /// Its number.
    pub(super) number: usize,
    rng: Rng,
    keys: u64,
    /// What it is doing.
    pub(super) task: Option<Task>,
    /// Who it believes to lead, as a position in the world.
    pub(super) leader: Option<usize>,
    /// Tasks that are done.
    pub(super) done: u64,
    /// Counts what was scheduled for it: only the newest counts.
    pub(super) turn: u32,
    /// How long it does nothing after an answer.
    think: (u64, u64),
    /// How long after a heartbeat it sends the next one, if it is a broker.
    beat: u64,
    /// The registration of its broker, once it knows of it. Nobody takes it back in a run.
    pub(super) registered: Option<BrokerEpoch>,
}

/// One thing that a client wants.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// A write, the same in every attempt.
    Write {
        /// Under this key.
        key: IdempotencyKey,
        /// What to do.
        command: Box<Command>,
        /// What the answer waits for.
        ack: Ack,
    },
    /// A linearizable read.
    Read,
    /// A read that waits for what the client knows.
    ReadOwn,
    /// A sign of life of a broker.
    Heartbeat(BrokerId),
}

/// What a client does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The task is done.
    Done,
    /// Try again; the attempt is certainly void.
    RetryVoid,
    /// Try again; the attempt may have happened.
    RetryUnknown,
    /// Never expected from a correct member.
    Wrong,
}

impl Client {
    /// A client with randomness of its own.
    pub(super) fn new(number: usize, params: &Params, rng: Rng) -> Self {
        let beat = match params.pace {
            Pace::Busy => 500 * MS,
            Pace::Quiet => 3_000 * MS,
        };
        Self {
            turn: 0,
            think: params.think,
            beat,
            number,
            rng,
            keys: 0,
            task: None,
            leader: None,
            done: 0,
            registered: None,
        }
    }

    /// Whether it plays a broker.
    pub(super) fn is_broker(&self) -> bool {
        self.number < BROKERS
    }

    /// Picks the next task, from what a node shows at the moment.
    pub(super) fn choose(&mut self, view: Option<&View>) -> Task {
        if self.is_broker() {
            return Task::Heartbeat(self.broker());
        }
        match self.rng.between(0, 9) {
            0..=2 => self.create(),
            3..=5 => view
                .and_then(|view| self.update(view))
                .unwrap_or_else(|| self.create()),
            6..=7 => view
                .and_then(|view| self.delete(view))
                .unwrap_or_else(|| self.create()),
            8 => Task::Read,
            _ => Task::ReadOwn,
        }
    }

    /// The broker of a client that plays one.
    pub(super) fn broker(&self) -> BrokerId {
        BrokerId(u32::try_from(self.number).unwrap_or(0) + 1)
    }

    /// A broker that is not registered registers.
    pub(super) fn register(&mut self) -> Task {
        self.write(Command::RegisterBroker(RegisterBroker {
            broker_id: self.broker(),
            cluster_id: None,
            incarnation: None,
            host: Host::parse("localhost").expect("a legal host"),
            port: 9_000,
            rack: None,
        }))
    }

    fn create(&mut self) -> Task {
        let name = format!("topic-{}-{}", self.number, self.keys);
        let command = CreateTopic {
            topic_id: TopicId(Uuid::from_u128(self.rng.next_u128() | 2)),
            name: TopicName::parse(&name).expect("a legal name"),
            layout: TopicLayout::Automatic {
                partitions: u32::try_from(self.rng.between(1, 4)).unwrap_or(1),
                replication_factor: u32::try_from(self.rng.between(1, 3)).unwrap_or(1),
            },
            configs: TopicConfigs::default(),
        };
        self.write(Command::CreateTopic(command))
    }

    /// A change of some partition's ISR, as its leader would propose it.
    fn update(&mut self, view: &View) -> Option<Task> {
        let image = &view.image;
        let partitions: Vec<_> = image.partitions().collect();
        let partition = *self.rng.pick(&partitions)?;
        let leader = partition.leader?;
        let epoch = image.broker(leader)?.epoch;
        let others = partition
            .replicas
            .iter()
            .filter(|replica| **replica != leader);
        let mut isr = vec![leader];
        isr.extend(others.filter(|_| self.rng.chance(500)));
        let member = |broker_id| IsrMember {
            broker_id,
            broker_epoch: None,
        };
        Some(self.write(Command::UpdatePartition(UpdatePartition {
            topic: TopicRef::Id(partition.topic_id),
            partition_id: partition.partition_id,
            broker_id: leader,
            broker_epoch: epoch,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            new_isr: isr.into_iter().map(member).collect(),
            recovery: LeaderRecovery::Recovered,
        })))
    }

    /// Some topic goes away.
    fn delete(&mut self, view: &View) -> Option<Task> {
        let topics: Vec<_> = view.image.topics().collect();
        let id = self.rng.pick(&topics)?.id;
        let topic = TopicRef::Id(id);
        Some(self.write(Command::DeleteTopic(DeleteTopic { topic })))
    }

    fn write(&mut self, command: Command) -> Task {
        self.keys += 1;
        let key = IdempotencyKey::parse(&format!("client-{}-{}", self.number, self.keys));
        let ack = if self.rng.chance(500) {
            Ack::Applied
        } else {
            Ack::Projected
        };
        Task::Write {
            key: key.expect("a legal key"),
            command: Box::new(command),
            ack,
        }
    }

    /// The envelope of one attempt.
    pub(super) fn envelope(&mut self, key: &IdempotencyKey, command: &Command) -> Envelope {
        let fingerprint = Fingerprint::of(&[key.as_str().as_bytes()]);
        Envelope {
            request_id: RequestId(Uuid::from_u128(self.rng.next_u128())),
            principal: Principal::anonymous(),
            idempotency: Some(Idempotency {
                key: key.clone(),
                fingerprint,
            }),
            log_time: LogTime::default(),
            wall_clock: WallTime(0),
            seed: self.rng.next(),
            command: command.clone(),
        }
    }

    /// The node to ask: the believed leader, or any.
    pub(super) fn target(&mut self, nodes: usize) -> usize {
        let any = self.rng.index(nodes);
        match self.task {
            Some(Task::Read | Task::ReadOwn) => any,
            _ => self.leader.unwrap_or(any),
        }
    }

    /// How long it waits before it does something again, in microseconds.
    pub(super) fn pause(&mut self) -> u64 {
        if self.is_broker() {
            self.beat
        } else {
            self.rng.between(self.think.0, self.think.1)
        }
    }

    /// From now on it does not rest for long.
    pub(super) fn hurry(&mut self) {
        self.think = (MS, 60 * MS);
        self.beat = 500 * MS;
    }

    /// Reacts to an answer.
    pub(super) fn react(&mut self, answer: &Answer) -> Next {
        match answer {
            Answer::Failed(error) => self.react_to_failure(error),
            Answer::Committed(write) => {
                if let Ok(Reply::BrokerRegistered(broker)) = &write.outcome {
                    self.registered = Some(broker.epoch);
                }
                Next::Done
            }
            Answer::Heartbeat(beat) if *self.registered.get_or_insert(beat.epoch) != beat.epoch => {
                Next::Wrong
            }
            _ => Next::Done,
        }
    }

    fn react_to_failure(&mut self, error: &RequestError) -> Next {
        let position = |node: &NodeId| usize::try_from(node.0).map_or(0, |node| node - 1);
        match error {
            RequestError::NotController { leader } => {
                self.leader = leader.as_ref().map(position);
                Next::RetryVoid
            }
            RequestError::Uninitialized
            | RequestError::LeaderChanged
            | RequestError::NoQuorum
            | RequestError::Overloaded
            | RequestError::NoSpace
            | RequestError::Transferring
            | RequestError::Stopping
            | RequestError::NotApplied { .. }
            | RequestError::Unavailable(_) => {
                self.leader = None;
                Next::RetryVoid
            }
            RequestError::OutcomeUnknown => {
                self.leader = None;
                Next::RetryUnknown
            }
            // To a broker that is registered, with the epoch that it has, this would be a lie: it stays wrong.
            RequestError::Rejected(_) if self.is_broker() && self.registered.is_none() => {
                self.task = Some(self.register());
                Next::RetryVoid
            }
            RequestError::Rejected(_)
            | RequestError::TooLarge { .. }
            | RequestError::StaleTerm { .. }
            | RequestError::StaleMembership { .. }
            | RequestError::MembershipChanging { .. }
            | RequestError::NotCaughtUp(_)
            | RequestError::UnknownMember(_)
            | RequestError::Undecided(_)
            | RequestError::Conflict(_)
            | RequestError::Invalid(_) => Next::Wrong,
        }
    }
}

/// A request that is on its way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Who waits.
    pub(super) client: usize,
    /// Where it waits.
    pub(super) node: usize,
    /// The attempt of a write.
    pub(super) attempt: Option<RequestId>,
    /// What was known when it began.
    pub(super) told: LogIndex,
    /// When it began.
    pub(super) sent_at: u64,
}
