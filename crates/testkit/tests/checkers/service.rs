//! A metadata service that works, in one process: it answers calls as a quorum would and keeps the log, so that histories
//! of it are good by construction.

use std::sync::Arc;

use dmq_metadata::{
    BrokerEpoch, BrokerId, BrokerSession, ClusterId, Command, CreateTopic, DeleteTopic, Election,
    Envelope, FeatureLevel, Fingerprint, Host, Idempotency, IdempotencyKey, Image, IsrMember,
    LeaderEpoch, LeaderRecovery, LogTime, MetadataIndex, PartitionEpoch, PartitionId, Principal,
    Rack, RegisterBroker, Reply, RequestId, TopicConfigs, TopicId, TopicLayout, TopicName,
    TopicRef, UpdateLeader, UpdatePartition, WallTime,
};
use dmq_raft::{Entry, EntryKind, LogIndex, Term};
use dmq_testkit::chaos::operation::{Call, Moment, Operation, Outcome, REPLICAS};
use dmq_testkit::checkers::{CommittedLog, shown};
use serde_json::to_string;
use uuid::Uuid;

/// JSON of a shape.
macro_rules! text {
    ($shape:expr) => {
        to_string($shape).unwrap()
    };
}

/// The service: every state that it has had, and its log.
pub(crate) struct Service {
    /// By index.
    pub(crate) images: Vec<Image>,
    pub(crate) entries: Vec<Entry>,
    /// The stamp of the next entry.
    pub(crate) log_time: LogTime,
    term: u64,
}

impl Service {
    /// With all brokers registered and unfenced; the registrations are the first operations of `history`.
    pub(crate) fn new(history: &mut Vec<Operation>) -> Self {
        let mut service = Self {
            images: vec![Image::new(cluster())],
            entries: Vec::new(),
            log_time: LogTime(0),
            term: 1,
        };
        service.elect();
        service
            .apply(&controller(Command::SetFeatureLevel(FeatureLevel::MAX)))
            .unwrap();
        for (nth, id) in (0..).zip(REPLICAS) {
            let call = Call::RegisterBroker {
                id,
                mark: u64::from(id),
            };
            let key: Arc<str> = format!("broker-{id}").into();
            let outcome = service.write(&call, Some(&key));
            let epoch = BrokerEpoch(service.last());
            let session = BrokerSession {
                broker_id: BrokerId(id),
                epoch,
            };
            history.push(operation(
                u32::MAX,
                call,
                Some(&key),
                2 * nth,
                2 * nth + 1,
                outcome,
            ));
            service
                .apply(&controller(Command::UnfenceBroker(session)))
                .unwrap();
        }
        service
    }

    /// Index of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The state now.
    pub(crate) fn image(&self) -> &Image {
        self.images.last().unwrap()
    }

    /// A new term begins with an entry that says nothing.
    pub(crate) fn elect(&mut self) {
        self.term += 1;
        let index = self.append(EntryKind::Noop, Vec::new().into());
        let mut image = self.image().clone();
        dmq_metadata::advance(&mut image, index).unwrap();
        self.images.push(image);
    }

    /// Does what is asked and says so.
    pub(crate) fn write(&mut self, call: &Call, key: Option<&Arc<str>>) -> Outcome {
        let envelope = self.envelope(call, key);
        let outcome = self.apply(&envelope);
        let (index, term) = (self.last(), self.term);
        match outcome {
            Ok(reply) => Outcome::Done {
                index,
                term,
                body: self.body(call, &reply).into(),
            },
            Err(rejection) => Outcome::Refused {
                code: dmq_api::status::Code::from(rejection.code).as_str().into(),
                detail: rejection.message.into(),
                at: Some((index, term)),
            },
        }
    }

    /// What a read of the state at an index shows.
    pub(crate) fn read(&self, call: &Call, index: u64) -> Outcome {
        let image = &self.images[usize::try_from(index).unwrap()];
        let term = index
            .checked_sub(1)
            .map_or(0, |at| self.entries[usize::try_from(at).unwrap()].term.0);
        let (code, body) = match call {
            Call::GetTopic { topic, .. } => (
                "UNKNOWN_TOPIC_OR_PARTITION",
                shown::topic(image, topic).map(|topic| text!(&topic)),
            ),
            Call::ListTopics { prefix, .. } => ("", Some(text!(&shown::list(image, prefix)))),
            Call::GetBroker { id, .. } => {
                let broker = image.broker(BrokerId(*id));
                (
                    "BROKER_ID_NOT_REGISTERED",
                    broker.map(|row| text!(&shown::broker(row))),
                )
            }
            _ => panic!("{call:?} is no read"),
        };
        match body {
            Some(body) => Outcome::Done {
                index,
                term,
                body: body.into(),
            },
            None => Outcome::Refused {
                code: code.into(),
                detail: "".into(),
                at: Some((index, term)),
            },
        }
    }

    /// What lies on the disks of the members.
    pub(crate) fn log(&self) -> CommittedLog {
        let mut log = CommittedLog::default();
        self.entries.iter().for_each(|entry| log.push(entry));
        log
    }

    fn body(&self, call: &Call, reply: &Reply) -> String {
        match reply {
            Reply::TopicCreated { topic_id, name, .. } => {
                let shown = shown::topic(self.image(), name.as_str());
                // A repeated creation of a topic that is gone names what it was.
                let shown = shown.filter(|topic| topic.topic_id == topic_id.0);
                shown.map_or_else(
                    || format!(r#"{{"topicName":"{name}","topicId":"{}"}}"#, topic_id.0),
                    |topic| text!(&topic),
                )
            }
            Reply::TopicDeleted { .. } => String::new(),
            Reply::PartitionUpdated(row) | Reply::LeaderElected(row) => {
                text!(&shown::partition(row))
            }
            Reply::BrokerRegistered(row) => text!(&shown::broker(row)),
            other => panic!("{call:?} was answered with {other:?}"),
        }
    }

    fn apply(&mut self, envelope: &Envelope) -> dmq_metadata::Outcome {
        let index = self.append(EntryKind::Command, envelope.encode());
        let mut image = self.image().clone();
        let applied = dmq_metadata::apply(&mut image, index, envelope).unwrap();
        self.images.push(image);
        applied.outcome
    }

    fn append(&mut self, kind: EntryKind, payload: bytes::Bytes) -> MetadataIndex {
        let index = LogIndex(self.last() + 1);
        self.entries.push(Entry {
            index,
            term: Term(self.term),
            kind,
            payload,
        });
        MetadataIndex(index.0)
    }

    fn envelope(&self, call: &Call, key: Option<&Arc<str>>) -> Envelope {
        let fingerprint = Fingerprint::of(&[format!("{call:?}").as_bytes()]);
        let idempotency = key.map(|key| Idempotency {
            key: IdempotencyKey::parse(key).unwrap(),
            fingerprint,
        });
        Envelope {
            principal: Principal::anonymous(),
            idempotency,
            log_time: self.log_time,
            ..controller(self.command(call))
        }
    }

    fn command(&self, call: &Call) -> Command {
        let named = |topic: &str| TopicRef::Name(TopicName::parse(topic).unwrap());
        match call {
            Call::CreateTopic { topic, mark } => Command::CreateTopic(CreateTopic {
                topic_id: TopicId(Uuid::from_u128(u128::from(self.last()) + 1_000)),
                name: TopicName::parse(topic).unwrap(),
                layout: TopicLayout::Assigned(vec![REPLICAS.map(BrokerId).to_vec()]),
                configs: TopicConfigs::parse([("retention.ms", mark.to_string().as_str())])
                    .unwrap(),
            }),
            Call::DeleteTopic { topic } => Command::DeleteTopic(DeleteTopic {
                topic: named(topic),
            }),
            Call::UpdatePartition {
                topic,
                leader,
                broker_epoch,
                leader_epoch,
                partition_epoch,
                isr,
            } => Command::UpdatePartition(UpdatePartition {
                topic: named(topic),
                partition_id: PartitionId(0),
                broker_id: BrokerId(*leader),
                broker_epoch: BrokerEpoch(*broker_epoch),
                leader_epoch: LeaderEpoch(*leader_epoch),
                partition_epoch: PartitionEpoch(*partition_epoch),
                new_isr: isr
                    .iter()
                    .map(|id| IsrMember {
                        broker_id: BrokerId(*id),
                        broker_epoch: None,
                    })
                    .collect(),
                recovery: LeaderRecovery::Recovered,
            }),
            Call::ElectLeader { topic, broker } => Command::UpdateLeader(UpdateLeader {
                topic: named(topic),
                partition_id: PartitionId(0),
                election: Election::Designated(BrokerId(*broker)),
                leader_epoch: None,
                partition_epoch: None,
            }),
            Call::RegisterBroker { id, mark } => Command::RegisterBroker(RegisterBroker {
                broker_id: BrokerId(*id),
                cluster_id: None,
                incarnation: None,
                host: Host::parse("127.0.0.1").unwrap(),
                port: 9092,
                rack: Some(Rack::parse(&mark.to_string()).unwrap()),
            }),
            Call::GetTopic { .. } | Call::ListTopics { .. } | Call::GetBroker { .. } => {
                panic!("{call:?} is no write")
            }
        }
    }
}

/// The cluster of all histories here.
pub(crate) fn cluster() -> ClusterId {
    ClusterId::parse("dmq").unwrap()
}

/// One attempt.
pub(crate) fn operation(
    client: u32,
    call: Call,
    key: Option<&Arc<str>>,
    invoked: u64,
    returned: u64,
    outcome: Outcome,
) -> Operation {
    let unknown = outcome == Outcome::Unknown;
    Operation {
        client,
        node: 1,
        call,
        key: key.cloned(),
        invoked: Moment(invoked),
        returned: (!unknown).then_some(Moment(returned)),
        outcome,
    }
}

fn controller(command: Command) -> Envelope {
    Envelope {
        request_id: RequestId(Uuid::nil()),
        principal: Principal::controller(),
        idempotency: None,
        log_time: LogTime(0),
        wall_clock: WallTime(0),
        seed: 0,
        command,
    }
}
