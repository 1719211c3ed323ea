//! Rows to and from their messages.

use super::DecodeError;
use super::read::{bad_name, brokers, malformed, port, present, recovery, u128, uuid};
use super::wire;
use crate::broker::Broker;
use crate::config::TopicConfigs;
use crate::dedup::{DedupEntry, DedupKey, Fingerprint};
use crate::ids::{
    BrokerEpoch, BrokerId, BrokerIncarnation, FeatureLevel, LeaderEpoch, LogTime, MetadataIndex,
    PartitionEpoch, PartitionId, TopicId, WallTime,
};
use crate::names::{Host, IdempotencyKey, Principal, Rack, TopicName};
use crate::partition::{LeaderRecovery, Partition};
use crate::row::Settings;
use crate::topic::Topic;

impl From<&Settings> for wire::Settings {
    fn from(row: &Settings) -> Self {
        Self {
            feature_level: row.feature_level.0,
            log_time_ms: row.log_time.0,
        }
    }
}

impl From<wire::Settings> for Settings {
    fn from(message: wire::Settings) -> Self {
        Self {
            feature_level: FeatureLevel(message.feature_level),
            log_time: LogTime(message.log_time_ms),
        }
    }
}

impl From<&Topic> for wire::Topic {
    fn from(row: &Topic) -> Self {
        Self {
            id: row.id.0.into(),
            name: row.name.to_string(),
            partition_count: row.partition_count,
            replication_factor: row.replication_factor,
            created_at_ms: row.created_at.0,
            created_index: row.created_index.0,
            configs: configs_to_wire(&row.configs),
        }
    }
}

impl TryFrom<wire::Topic> for Topic {
    type Error = DecodeError;

    fn try_from(message: wire::Topic) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TopicId(uuid("topic id", &message.id)?),
            name: TopicName::parse(&message.name).map_err(bad_name("topic"))?,
            partition_count: message.partition_count,
            replication_factor: message.replication_factor,
            created_at: WallTime(message.created_at_ms),
            created_index: MetadataIndex(message.created_index),
            configs: configs_from_wire(&message.configs)?,
        })
    }
}

impl From<&Partition> for wire::Partition {
    fn from(row: &Partition) -> Self {
        Self {
            topic_id: row.topic_id.0.into(),
            id: row.partition_id.0,
            replicas: row.replicas.iter().map(|broker| broker.0).collect(),
            isr: row.isr.iter().map(|broker| broker.0).collect(),
            leader: row.leader.map(|broker| broker.0),
            leader_epoch: row.leader_epoch.0,
            epoch: row.partition_epoch.0,
            recovery: recovery_to_wire(row.recovery),
        }
    }
}

impl TryFrom<wire::Partition> for Partition {
    type Error = DecodeError;

    fn try_from(message: wire::Partition) -> Result<Self, DecodeError> {
        Ok(Self {
            topic_id: TopicId(uuid("topic id of a partition", &message.topic_id)?),
            partition_id: PartitionId(message.id),
            replicas: brokers(message.replicas),
            isr: brokers(message.isr),
            leader: message.leader.map(BrokerId),
            leader_epoch: LeaderEpoch(message.leader_epoch),
            partition_epoch: PartitionEpoch(message.epoch),
            recovery: recovery(message.recovery)?,
        })
    }
}

impl From<&Broker> for wire::Broker {
    fn from(row: &Broker) -> Self {
        Self {
            id: row.id.0,
            epoch: row.epoch.0,
            incarnation: row.incarnation.map(|incarnation| incarnation.0.into()),
            host: row.host.to_string(),
            port: u32::from(row.port),
            rack: row.rack.as_ref().map(Rack::to_string),
            fenced: row.fenced,
            registered_at_ms: row.registered_at.0,
            registered_index: row.registered_index.0,
        }
    }
}

impl TryFrom<wire::Broker> for Broker {
    type Error = DecodeError;

    fn try_from(message: wire::Broker) -> Result<Self, DecodeError> {
        Ok(Self {
            id: BrokerId(message.id),
            epoch: BrokerEpoch(message.epoch),
            incarnation: incarnation_from_wire(message.incarnation.as_deref())?,
            host: Host::parse(&message.host).map_err(bad_name("broker"))?,
            port: port(message.port)?,
            rack: rack_from_wire(message.rack.as_deref())?,
            fenced: message.fenced,
            registered_at: WallTime(message.registered_at_ms),
            registered_index: MetadataIndex(message.registered_index),
        })
    }
}

impl From<&DedupKey> for wire::DedupKey {
    fn from(key: &DedupKey) -> Self {
        Self {
            principal: key.principal.to_string(),
            key: key.key.to_string(),
        }
    }
}

impl TryFrom<wire::DedupKey> for DedupKey {
    type Error = DecodeError;

    fn try_from(message: wire::DedupKey) -> Result<Self, DecodeError> {
        Ok(Self {
            principal: Principal::parse(&message.principal).map_err(bad_name("answer"))?,
            key: IdempotencyKey::parse(&message.key).map_err(bad_name("answer"))?,
        })
    }
}

impl From<&DedupEntry> for wire::Dedup {
    fn from(row: &DedupEntry) -> Self {
        Self {
            key: Some((&row.key).into()),
            fingerprint: row.fingerprint.0.to_be_bytes().to_vec(),
            index: row.index.0,
            log_time_ms: row.log_time.0,
            outcome: Some((&row.outcome).into()),
        }
    }
}

impl TryFrom<wire::Dedup> for DedupEntry {
    type Error = DecodeError;

    fn try_from(message: wire::Dedup) -> Result<Self, DecodeError> {
        Ok(Self {
            key: present("key of an answer", message.key)?.try_into()?,
            fingerprint: Fingerprint(u128("fingerprint of an answer", &message.fingerprint)?),
            index: MetadataIndex(message.index),
            log_time: LogTime(message.log_time_ms),
            outcome: super::outcome::from_wire(present("outcome of an answer", message.outcome)?)?,
        })
    }
}

/// Settings in the order of their names.
pub(super) fn configs_to_wire(configs: &TopicConfigs) -> Vec<wire::Config> {
    let config = |(name, value): (&str, &str)| wire::Config {
        name: name.into(),
        value: value.into(),
    };
    configs.iter().map(config).collect()
}

/// Settings that this version knows; any other is from a newer one, or damage.
pub(super) fn configs_from_wire(configs: &[wire::Config]) -> Result<TopicConfigs, DecodeError> {
    let pairs = configs
        .iter()
        .map(|config| (config.name.as_str(), config.value.as_str()));
    TopicConfigs::parse(pairs).map_err(bad_name("topic settings"))
}

/// 0 recovered, 1 recovering.
pub(super) fn recovery_to_wire(recovery: LeaderRecovery) -> u32 {
    match recovery {
        LeaderRecovery::Recovered => 0,
        LeaderRecovery::Recovering => 1,
    }
}

/// The run of a broker, if it told one.
pub(super) fn incarnation_from_wire(
    bytes: Option<&[u8]>,
) -> Result<Option<BrokerIncarnation>, DecodeError> {
    bytes
        .map(|bytes| uuid("broker incarnation", bytes).map(BrokerIncarnation))
        .transpose()
}

/// The rack of a broker, if it has one.
pub(super) fn rack_from_wire(text: Option<&str>) -> Result<Option<Rack>, DecodeError> {
    let parse = |text| Rack::parse(text).map_err(|refusal| malformed("broker", refusal.message));
    text.map(parse).transpose()
}
