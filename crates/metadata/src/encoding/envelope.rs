//! Envelopes to and from the payload of a log entry.

use bytes::Bytes;
use prost::Message;

use super::read::{bad_name, broken, brokers, port, present, recovery, u128, uuid};
use super::rows::{
    configs_from_wire, configs_to_wire, incarnation_from_wire, rack_from_wire, recovery_to_wire,
};
use super::{DecodeError, FORMAT, wire};
use crate::command::{
    BrokerSession, Command, CreateTopic, DeleteTopic, Election, Envelope, IsrMember,
    RegisterBroker, TopicLayout, TopicRef, UpdateLeader, UpdatePartition,
};
use crate::dedup::{Fingerprint, Idempotency};
use crate::ids::{
    BrokerEpoch, BrokerId, FeatureLevel, LeaderEpoch, LogTime, PartitionEpoch, PartitionId,
    RequestId, TopicId, WallTime,
};
use crate::names::{ClusterId, Host, IdempotencyKey, Principal, Rack, TopicName};

impl Envelope {
    /// The bytes of an entry's payload.
    pub fn encode(&self) -> Bytes {
        let idempotency = self.idempotency.as_ref();
        let fingerprint = idempotency.map(|given| given.fingerprint.0.to_be_bytes().to_vec());
        let message = wire::Envelope {
            format: FORMAT,
            request_id: self.request_id.0.into(),
            principal: self.principal.to_string(),
            idempotency_key: idempotency.map(|given| given.key.to_string()),
            fingerprint: fingerprint.unwrap_or_default(),
            log_time_ms: self.log_time.0,
            wall_clock_ms: self.wall_clock.0,
            seed: self.seed,
            command: Some(command_to_wire(&self.command)),
        };
        message.encode_to_vec().into()
    }

    /// Reads an entry's payload.
    ///
    /// # Errors
    /// See [`DecodeError`]: the caller stops before the entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = wire::Envelope::decode(bytes).map_err(broken("entry"))?;
        if message.format != FORMAT {
            return Err(DecodeError::UnknownEntry(format!(
                "format {}",
                message.format
            )));
        }
        let unknown = || DecodeError::UnknownEntry("a command of unknown kind".to_owned());
        Ok(Self {
            request_id: RequestId(uuid("request id", &message.request_id)?),
            principal: Principal::parse(&message.principal).map_err(bad_name("entry"))?,
            idempotency: idempotency(message.idempotency_key.as_deref(), &message.fingerprint)?,
            log_time: LogTime(message.log_time_ms),
            wall_clock: WallTime(message.wall_clock_ms),
            seed: message.seed,
            command: command_from_wire(message.command.ok_or_else(unknown)?)?,
        })
    }
}

fn idempotency(key: Option<&str>, fingerprint: &[u8]) -> Result<Option<Idempotency>, DecodeError> {
    let Some(key) = key else { return Ok(None) };
    let key = IdempotencyKey::parse(key).map_err(bad_name("entry"))?;
    let fingerprint = Fingerprint(u128("fingerprint", fingerprint)?);
    Ok(Some(Idempotency { key, fingerprint }))
}

fn command_to_wire(command: &Command) -> wire::Command {
    match command {
        Command::CreateTopic(create) => wire::Command::CreateTopic(create_to_wire(create)),
        Command::DeleteTopic(delete) => wire::Command::DeleteTopic(topic_to_wire(&delete.topic)),
        Command::UpdatePartition(update) => wire::Command::UpdatePartition(update_to_wire(update)),
        Command::UpdateLeader(update) => wire::Command::UpdateLeader(leader_to_wire(update)),
        Command::RegisterBroker(broker) => wire::Command::RegisterBroker(broker_to_wire(broker)),
        Command::FenceBroker(session) => wire::Command::FenceBroker(session_to_wire(*session)),
        Command::UnfenceBroker(session) => wire::Command::UnfenceBroker(session_to_wire(*session)),
        Command::SetFeatureLevel(level) => wire::Command::SetFeatureLevel(level.0),
    }
}

fn command_from_wire(command: wire::Command) -> Result<Command, DecodeError> {
    Ok(match command {
        wire::Command::CreateTopic(create) => Command::CreateTopic(create_from_wire(create)?),
        wire::Command::DeleteTopic(topic) => Command::DeleteTopic(DeleteTopic {
            topic: topic_from_wire(Some(topic))?,
        }),
        wire::Command::UpdatePartition(update) => {
            Command::UpdatePartition(update_from_wire(update)?)
        }
        wire::Command::UpdateLeader(update) => Command::UpdateLeader(leader_from_wire(update)?),
        wire::Command::RegisterBroker(broker) => {
            Command::RegisterBroker(broker_from_wire(&broker)?)
        }
        wire::Command::FenceBroker(session) => Command::FenceBroker(session_from_wire(&session)),
        wire::Command::UnfenceBroker(session) => {
            Command::UnfenceBroker(session_from_wire(&session))
        }
        wire::Command::SetFeatureLevel(level) => Command::SetFeatureLevel(FeatureLevel(level)),
    })
}

fn create_to_wire(create: &CreateTopic) -> wire::CreateTopic {
    let (partitions, replication_factor, assigned) = match &create.layout {
        TopicLayout::Automatic {
            partitions,
            replication_factor,
        } => (*partitions, *replication_factor, None),
        TopicLayout::Assigned(assigned) => (0, 0, Some(assigned_to_wire(assigned))),
    };
    wire::CreateTopic {
        topic_id: create.topic_id.0.into(),
        name: create.name.to_string(),
        partitions,
        replication_factor,
        assigned,
        configs: configs_to_wire(&create.configs),
    }
}

fn assigned_to_wire(assigned: &[Vec<BrokerId>]) -> wire::Assignments {
    let replicas = |brokers: &Vec<BrokerId>| wire::Replicas {
        brokers: brokers.iter().map(|broker| broker.0).collect(),
    };
    wire::Assignments {
        partitions: assigned.iter().map(replicas).collect(),
    }
}

fn create_from_wire(message: wire::CreateTopic) -> Result<CreateTopic, DecodeError> {
    let (partitions, replication_factor) = (message.partitions, message.replication_factor);
    let assigned = |assigned: wire::Assignments| {
        let replicas = assigned
            .partitions
            .into_iter()
            .map(|replicas| brokers(replicas.brokers));
        TopicLayout::Assigned(replicas.collect())
    };
    let automatic = TopicLayout::Automatic {
        partitions,
        replication_factor,
    };
    Ok(CreateTopic {
        topic_id: TopicId(uuid("topic id", &message.topic_id)?),
        name: TopicName::parse(&message.name).map_err(bad_name("CREATE_TOPIC"))?,
        layout: message.assigned.map_or(automatic, assigned),
        configs: configs_from_wire(&message.configs)?,
    })
}

fn topic_to_wire(topic: &TopicRef) -> wire::TopicRef {
    let key = match topic {
        TopicRef::Name(name) => wire::TopicKey::Name(name.to_string()),
        TopicRef::Id(id) => wire::TopicKey::Id(id.0.into()),
    };
    wire::TopicRef { topic: Some(key) }
}

fn topic_from_wire(message: Option<wire::TopicRef>) -> Result<TopicRef, DecodeError> {
    match present("topic", message.and_then(|message| message.topic))? {
        wire::TopicKey::Name(name) => TopicName::parse(&name)
            .map(TopicRef::Name)
            .map_err(bad_name("topic")),
        wire::TopicKey::Id(id) => Ok(TopicRef::Id(TopicId(uuid("topic id", &id)?))),
    }
}

fn update_to_wire(update: &UpdatePartition) -> wire::UpdatePartition {
    let member = |member: &IsrMember| wire::IsrMember {
        broker_id: member.broker_id.0,
        broker_epoch: member.broker_epoch.map(|epoch| epoch.0),
    };
    wire::UpdatePartition {
        topic: Some(topic_to_wire(&update.topic)),
        partition_id: update.partition_id.0,
        broker_id: update.broker_id.0,
        broker_epoch: update.broker_epoch.0,
        leader_epoch: update.leader_epoch.0,
        partition_epoch: update.partition_epoch.0,
        new_isr: update.new_isr.iter().map(member).collect(),
        recovery: recovery_to_wire(update.recovery),
    }
}

fn update_from_wire(message: wire::UpdatePartition) -> Result<UpdatePartition, DecodeError> {
    let member = |member: wire::IsrMember| IsrMember {
        broker_id: BrokerId(member.broker_id),
        broker_epoch: member.broker_epoch.map(BrokerEpoch),
    };
    Ok(UpdatePartition {
        topic: topic_from_wire(message.topic)?,
        partition_id: PartitionId(message.partition_id),
        broker_id: BrokerId(message.broker_id),
        broker_epoch: BrokerEpoch(message.broker_epoch),
        leader_epoch: LeaderEpoch(message.leader_epoch),
        partition_epoch: PartitionEpoch(message.partition_epoch),
        new_isr: message.new_isr.into_iter().map(member).collect(),
        recovery: recovery(message.recovery)?,
    })
}

fn leader_to_wire(update: &UpdateLeader) -> wire::UpdateLeader {
    let (election, designated) = match update.election {
        Election::Preferred => (1, 0),
        Election::Unclean => (2, 0),
        Election::Designated(broker) => (3, broker.0),
    };
    wire::UpdateLeader {
        topic: Some(topic_to_wire(&update.topic)),
        partition_id: update.partition_id.0,
        election,
        designated,
        leader_epoch: update.leader_epoch.map(|epoch| epoch.0),
        partition_epoch: update.partition_epoch.map(|epoch| epoch.0),
    }
}

fn leader_from_wire(message: wire::UpdateLeader) -> Result<UpdateLeader, DecodeError> {
    let election = match message.election {
        1 => Election::Preferred,
        2 => Election::Unclean,
        3 => Election::Designated(BrokerId(message.designated)),
        other => return Err(DecodeError::UnknownEntry(format!("election rule {other}"))),
    };
    Ok(UpdateLeader {
        topic: topic_from_wire(message.topic)?,
        partition_id: PartitionId(message.partition_id),
        election,
        leader_epoch: message.leader_epoch.map(LeaderEpoch),
        partition_epoch: message.partition_epoch.map(PartitionEpoch),
    })
}

fn broker_to_wire(register: &RegisterBroker) -> wire::RegisterBroker {
    wire::RegisterBroker {
        broker_id: register.broker_id.0,
        cluster_id: register.cluster_id.as_ref().map(ClusterId::to_string),
        incarnation: register.incarnation.map(|incarnation| incarnation.0.into()),
        host: register.host.to_string(),
        port: u32::from(register.port),
        rack: register.rack.as_ref().map(Rack::to_string),
    }
}

fn broker_from_wire(message: &wire::RegisterBroker) -> Result<RegisterBroker, DecodeError> {
    let cluster_id = message
        .cluster_id
        .as_deref()
        .map(ClusterId::parse)
        .transpose();
    Ok(RegisterBroker {
        broker_id: BrokerId(message.broker_id),
        cluster_id: cluster_id.map_err(bad_name("REGISTER_BROKER"))?,
        incarnation: incarnation_from_wire(message.incarnation.as_deref())?,
        host: Host::parse(&message.host).map_err(bad_name("REGISTER_BROKER"))?,
        port: port(message.port)?,
        rack: rack_from_wire(message.rack.as_deref())?,
    })
}

fn session_to_wire(session: BrokerSession) -> wire::BrokerSession {
    wire::BrokerSession {
        broker_id: session.broker_id.0,
        epoch: session.epoch.0,
    }
}

fn session_from_wire(message: &wire::BrokerSession) -> BrokerSession {
    BrokerSession {
        broker_id: BrokerId(message.broker_id),
        epoch: BrokerEpoch(message.epoch),
    }
}
