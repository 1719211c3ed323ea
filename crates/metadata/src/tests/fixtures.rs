//! A small world to tell stories in: an image, its next entry, and shortcuts for commands.

use std::sync::Arc;

use uuid::Uuid;

use crate::command::{
    BrokerSession, Command, CreateTopic, DeleteTopic, Election, Envelope, IsrMember,
    RegisterBroker, TopicLayout, TopicRef, UpdateLeader, UpdatePartition,
};
use crate::{
    Applied, Broker, BrokerEpoch, BrokerId, BrokerIncarnation, ClusterId, FeatureLevel,
    Fingerprint, Host, Idempotency, IdempotencyKey, Image, LeaderEpoch, LeaderRecovery, LogTime,
    Outcome, Partition, PartitionEpoch, PartitionId, Principal, Rack, Rejection, RejectionCode,
    Reply, RequestId, Topic, TopicConfigs, TopicId, TopicName, WallTime, apply,
};

/// An image and the clock of its controller.
pub(crate) struct World {
    pub(crate) image: Image,
    pub(crate) log_time: u64,
    pub(crate) seed: u64,
}

impl World {
    /// Level 0, nothing registered.
    pub(crate) fn empty() -> Self {
        let image = Image::new(ClusterId::parse("dmq").unwrap());
        Self {
            image,
            log_time: 0,
            seed: 7,
        }
    }

    /// Level 1, nothing registered.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty();
        world.expect(Command::SetFeatureLevel(FeatureLevel::MAX));
        world
    }

    /// Level 1 with brokers 1 to `count`, unfenced.
    pub(crate) fn with_brokers(count: u32) -> Self {
        let mut world = Self::new();
        for id in 1..=count {
            world.start_broker(id);
        }
        world
    }

    /// Registers and unfences a broker.
    pub(crate) fn start_broker(&mut self, id: u32) {
        self.expect(register(id));
        self.unfence(id);
    }

    pub(crate) fn envelope(&self, command: Command) -> Envelope {
        Envelope {
            request_id: RequestId(Uuid::from_u128(1)),
            principal: Principal::anonymous(),
            idempotency: None,
            log_time: LogTime(self.log_time),
            wall_clock: WallTime(1_700_000_000_000),
            seed: self.seed,
            command,
        }
    }

    pub(crate) fn apply(&mut self, envelope: &Envelope) -> Applied {
        let index = self.image.index().next();
        apply(&mut self.image, index, envelope).unwrap()
    }

    pub(crate) fn run(&mut self, command: Command) -> Outcome {
        let envelope = self.envelope(command);
        self.apply(&envelope).outcome
    }

    pub(crate) fn expect(&mut self, command: Command) -> Reply {
        self.run(command).unwrap()
    }

    /// Runs a command that must be refused, and checks that it left nothing but the index behind.
    pub(crate) fn refuse(&mut self, command: Command) -> Rejection {
        let before = self.image.clone();
        let rejection = self.run(command).unwrap_err();
        assert_eq!(
            self.image.rehash(),
            before.rehash(),
            "a rejection changed rows"
        );
        assert_eq!(self.image.counts(), before.counts());
        rejection
    }

    /// Runs a command that must be refused with this code on this field.
    pub(crate) fn expect_refusal(&mut self, command: Command, code: RejectionCode, field: &str) {
        let rejection = self.refuse(command);
        assert_eq!(
            (rejection.code, rejection.field.as_deref()),
            (code, Some(field)),
            "{rejection}"
        );
        assert!(
            rejection.message.starts_with(&format!("{field} is '")),
            "{rejection}"
        );
    }

    pub(crate) fn keyed(&mut self, key: &str, fingerprint: u128, command: Command) -> Applied {
        let key = IdempotencyKey::parse(key).unwrap();
        let fingerprint = Fingerprint(fingerprint);
        let mut envelope = self.envelope(command);
        envelope.idempotency = Some(Idempotency { key, fingerprint });
        self.apply(&envelope)
    }

    pub(crate) fn broker(&self, id: u32) -> Arc<Broker> {
        Arc::clone(self.image.broker(BrokerId(id)).unwrap())
    }

    pub(crate) fn session(&self, id: u32) -> BrokerSession {
        BrokerSession {
            broker_id: BrokerId(id),
            epoch: self.broker(id).epoch,
        }
    }

    pub(crate) fn fence(&mut self, id: u32) -> Reply {
        self.expect(Command::FenceBroker(self.session(id)))
    }

    pub(crate) fn unfence(&mut self, id: u32) -> Reply {
        self.expect(Command::UnfenceBroker(self.session(id)))
    }

    pub(crate) fn topic(&self, name: &str) -> Arc<Topic> {
        Arc::clone(self.image.topic_by_name(&topic_name(name)).unwrap())
    }

    pub(crate) fn partition(&self, topic: &str, partition: u32) -> Arc<Partition> {
        let id = self.topic(topic).id;
        Arc::clone(self.image.partition(id, PartitionId(partition)).unwrap())
    }

    /// The proposal that the leader of the partition makes of this ISR, with all the right epochs.
    pub(crate) fn isr_proposal(&self, topic: &str, partition: u32, isr: &[u32]) -> UpdatePartition {
        let row = self.partition(topic, partition);
        let leader = row.leader.unwrap_or(BrokerId(0));
        UpdatePartition {
            topic: by_name(topic),
            partition_id: row.partition_id,
            broker_id: leader,
            broker_epoch: self
                .image
                .broker(leader)
                .map_or(BrokerEpoch(0), |broker| broker.epoch),
            leader_epoch: row.leader_epoch,
            partition_epoch: row.partition_epoch,
            new_isr: isr.iter().map(|id| member(*id)).collect(),
            recovery: LeaderRecovery::Recovered,
        }
    }

    pub(crate) fn set_isr(&mut self, topic: &str, partition: u32, isr: &[u32]) {
        let proposal = self.isr_proposal(topic, partition, isr);
        self.expect(Command::UpdatePartition(proposal));
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName::parse(name).unwrap()
}

pub(crate) fn by_name(name: &str) -> TopicRef {
    TopicRef::Name(topic_name(name))
}

pub(crate) fn member(id: u32) -> IsrMember {
    IsrMember {
        broker_id: BrokerId(id),
        broker_epoch: None,
    }
}

pub(crate) fn brokers(ids: &[u32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// An id that is a function of the name, far from the reserved ones.
pub(crate) fn topic_id(name: &str) -> TopicId {
    TopicId(Uuid::from_u128(
        Fingerprint::of(&[name.as_bytes()]).0 | 1 << 100,
    ))
}

pub(crate) fn create_topic(name: &str, partitions: u32, replication_factor: u32) -> CreateTopic {
    CreateTopic {
        topic_id: topic_id(name),
        name: topic_name(name),
        layout: TopicLayout::Automatic {
            partitions,
            replication_factor,
        },
        configs: TopicConfigs::default(),
    }
}

pub(crate) fn create(name: &str, partitions: u32, replication_factor: u32) -> Command {
    Command::CreateTopic(create_topic(name, partitions, replication_factor))
}

pub(crate) fn create_assigned(name: &str, assigned: &[&[u32]]) -> CreateTopic {
    let layout = TopicLayout::Assigned(assigned.iter().map(|ids| brokers(ids)).collect());
    CreateTopic {
        layout,
        ..create_topic(name, 1, 1)
    }
}

pub(crate) fn assigned(name: &str, assigned: &[&[u32]]) -> Command {
    Command::CreateTopic(create_assigned(name, assigned))
}

pub(crate) fn unclean_topic(name: &str, replicas: &[&[u32]]) -> Command {
    let mut create = create_assigned(name, replicas);
    create.configs = TopicConfigs::parse([("unclean.leader.election.enable", "true")]).unwrap();
    Command::CreateTopic(create)
}

pub(crate) fn delete(name: &str) -> Command {
    Command::DeleteTopic(DeleteTopic {
        topic: by_name(name),
    })
}

pub(crate) fn registration(id: u32) -> RegisterBroker {
    RegisterBroker {
        broker_id: BrokerId(id),
        cluster_id: None,
        incarnation: Some(BrokerIncarnation(Uuid::from_u128(u128::from(id) + 1000))),
        host: Host::parse("localhost").unwrap(),
        port: u16::try_from(9000 + id).unwrap(),
        rack: None,
    }
}

pub(crate) fn register(id: u32) -> Command {
    Command::RegisterBroker(registration(id))
}

pub(crate) fn racked(id: u32, rack: &str) -> Command {
    Command::RegisterBroker(RegisterBroker {
        rack: Some(Rack::parse(rack).unwrap()),
        ..registration(id)
    })
}

pub(crate) fn elect(topic: &str, partition: u32, election: Election) -> Command {
    Command::UpdateLeader(UpdateLeader {
        topic: by_name(topic),
        partition_id: PartitionId(partition),
        election,
        leader_epoch: None,
        partition_epoch: None,
    })
}

/// Leader, ISR, leader epoch and partition epoch in one line.
pub(crate) fn standing(row: &Partition) -> String {
    let leader = row
        .leader
        .map_or_else(|| "none".to_owned(), |leader| leader.to_string());
    let isr: Vec<u32> = row.isr.iter().map(|broker| broker.0).collect();
    let (LeaderEpoch(leader_epoch), PartitionEpoch(epoch)) =
        (row.leader_epoch, row.partition_epoch);
    let recovering = if row.recovery == LeaderRecovery::Recovering {
        " recovering"
    } else {
        ""
    };
    format!("leader {leader} isr {isr:?} epochs {leader_epoch}/{epoch}{recovering}")
}
