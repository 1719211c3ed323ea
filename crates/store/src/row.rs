//! Between SQL's plain values and the newtypes of the domain, for both SQL backends.

use dmq_metadata::encoding::{decode_outcome, encode_outcome};
use dmq_metadata::{
    Broker, BrokerEpoch, BrokerId, ClusterId, DedupEntry, DedupKey, DirectoryId, FeatureLevel,
    Fingerprint, Host, IdempotencyKey, Incarnation, LeaderEpoch, LeaderRecovery, LogTime,
    MetadataIndex, NodeId, Outcome, Partition, PartitionEpoch, PartitionId, Principal, Rack,
    StateHash, Term, Topic, TopicConfigs, TopicId, TopicName, WallTime,
};
use uuid::Uuid;

use crate::{Checkpoint, Owner, StoredConfiguration};

/// A row that came back from SQL and is no valid metadata; says which and why.
pub(crate) type Damage = String;

/// `topics`, with the rows of `topic_configs`.
pub(crate) struct TopicColumns {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) partition_count: i64,
    pub(crate) replication_factor: i64,
    pub(crate) created_at_ms: i64,
    pub(crate) created_index: i64,
    pub(crate) configs: Vec<(String, String)>,
}

/// `partitions`.
pub(crate) struct PartitionColumns {
    pub(crate) topic_id: Uuid,
    pub(crate) partition_id: i64,
    pub(crate) replicas: Vec<i64>,
    pub(crate) isr: Vec<i64>,
    pub(crate) leader: Option<i64>,
    pub(crate) leader_epoch: i64,
    pub(crate) partition_epoch: i64,
    pub(crate) recovering: bool,
}

/// `brokers`.
pub(crate) struct BrokerColumns {
    pub(crate) id: i64,
    pub(crate) epoch: i64,
    pub(crate) incarnation: Option<Uuid>,
    pub(crate) host: String,
    pub(crate) port: i64,
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
    pub(crate) registered_at_ms: i64,
    pub(crate) registered_index: i64,
}

/// `request_dedup`.
pub(crate) struct DedupColumns {
    pub(crate) principal: String,
    pub(crate) key: String,
    pub(crate) fingerprint: String,
    pub(crate) index: i64,
    pub(crate) log_time_ms: i64,
    pub(crate) outcome: Vec<u8>,
}

/// Identity columns of `node_meta`, the same in every schema version.
pub(crate) struct OwnerColumns {
    pub(crate) cluster_id: String,
    pub(crate) incarnation: i64,
    pub(crate) nonce: String,
    pub(crate) node: i64,
    pub(crate) directory: Uuid,
}

/// The other columns of `node_meta`.
pub(crate) struct CheckpointColumns {
    pub(crate) index: i64,
    pub(crate) term: i64,
    pub(crate) config: Option<Vec<u8>>,
    pub(crate) config_index: Option<i64>,
    pub(crate) feature_level: i64,
    pub(crate) log_time_ms: i64,
    pub(crate) state_hash: String,
    pub(crate) snapshot_index: i64,
}

/// 64-bit numbers keep their bits: SQL has no unsigned ones, and real indexes, epochs and times
/// stay positive.
pub(crate) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// Takes [`signed`] back.
pub(crate) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// 16 hex digits for 64 random bits.
pub(crate) fn nonce_text(nonce: u64) -> String {
    format!("{nonce:016x}")
}

/// 32 hex digits for a fingerprint.
pub(crate) fn fingerprint_text(fingerprint: Fingerprint) -> String {
    format!("{:032x}", fingerprint.0)
}

/// Bytes of an answer.
pub(crate) fn outcome_bytes(outcome: &Outcome) -> Vec<u8> {
    encode_outcome(outcome)
}

impl TopicColumns {
    pub(crate) fn into_row(self) -> Result<Topic, Damage> {
        let damage = |what: &str| format!("topics: topic {}: {what}", self.id);
        let pairs = self
            .configs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Topic {
            id: TopicId(self.id),
            name: TopicName::parse(&self.name).map_err(|error| damage(&error.message))?,
            partition_count: small(self.partition_count).ok_or_else(|| damage("count"))?,
            replication_factor: small(self.replication_factor)
                .ok_or_else(|| damage("replication factor"))?,
            created_at: WallTime(self.created_at_ms),
            created_index: MetadataIndex(unsigned(self.created_index)),
            configs: TopicConfigs::parse(pairs).map_err(|error| damage(&error.message))?,
        })
    }
}

impl PartitionColumns {
    pub(crate) fn into_row(self) -> Result<Partition, Damage> {
        let key = format!("partitions: {} {}", self.topic_id, self.partition_id);
        self.convert()
            .ok_or_else(|| format!("{key}: a number is out of range"))
    }

    fn convert(self) -> Option<Partition> {
        let leader = match self.leader {
            Some(leader) => Some(BrokerId(small(leader)?)),
            None => None,
        };
        let recovery = if self.recovering {
            LeaderRecovery::Recovering
        } else {
            LeaderRecovery::Recovered
        };
        Some(Partition {
            topic_id: TopicId(self.topic_id),
            partition_id: PartitionId(small(self.partition_id)?),
            replicas: brokers(self.replicas)?,
            isr: brokers(self.isr)?,
            leader,
            leader_epoch: LeaderEpoch(small(self.leader_epoch)?),
            partition_epoch: PartitionEpoch(small(self.partition_epoch)?),
            recovery,
        })
    }
}

impl BrokerColumns {
    pub(crate) fn into_row(self) -> Result<Broker, Damage> {
        let damage = |what: &str| format!("brokers: broker {}: {what}", self.id);
        let rack = self.rack.as_deref().map(Rack::parse).transpose();
        Ok(Broker {
            id: BrokerId(small(self.id).ok_or_else(|| damage("id"))?),
            epoch: BrokerEpoch(unsigned(self.epoch)),
            incarnation: self.incarnation.map(dmq_metadata::BrokerIncarnation),
            host: Host::parse(&self.host).map_err(|error| damage(&error.message))?,
            port: u16::try_from(self.port).map_err(|_| damage("port"))?,
            rack: rack.map_err(|error| damage(&error.message))?,
            fenced: self.fenced,
            registered_at: WallTime(self.registered_at_ms),
            registered_index: MetadataIndex(unsigned(self.registered_index)),
        })
    }
}

impl DedupColumns {
    pub(crate) fn into_row(self) -> Result<DedupEntry, Damage> {
        let damage = |what: &str| format!("request_dedup: {} {}: {what}", self.principal, self.key);
        let bits = u128::from_str_radix(&self.fingerprint, 16);
        Ok(DedupEntry {
            key: DedupKey {
                principal: Principal::parse(&self.principal).map_err(|e| damage(&e.message))?,
                key: IdempotencyKey::parse(&self.key).map_err(|e| damage(&e.message))?,
            },
            fingerprint: Fingerprint(bits.map_err(|_| damage("fingerprint"))?),
            index: MetadataIndex(unsigned(self.index)),
            log_time: LogTime(unsigned(self.log_time_ms)),
            outcome: decode_outcome(&self.outcome).map_err(|e| damage(&e.to_string()))?,
        })
    }
}

impl OwnerColumns {
    /// `None` if the columns are not ours to understand.
    pub(crate) fn into_owner(self) -> Option<Owner> {
        let nonce = u64::from_str_radix(&self.nonce, 16).ok()?;
        Some(Owner {
            cluster_id: ClusterId::parse(&self.cluster_id).ok()?,
            incarnation: Incarnation {
                number: unsigned(self.incarnation),
                nonce,
            },
            node: NodeId(small(self.node)?),
            directory: DirectoryId(self.directory),
        })
    }
}

impl CheckpointColumns {
    /// `None` if a value makes no sense.
    pub(crate) fn into_checkpoint(self) -> Option<Checkpoint> {
        let configuration = match (self.config, self.config_index) {
            (Some(bytes), Some(index)) => Some(StoredConfiguration {
                index: MetadataIndex(unsigned(index)),
                bytes,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(Checkpoint {
            index: MetadataIndex(unsigned(self.index)),
            term: Term(unsigned(self.term)),
            log_time: LogTime(unsigned(self.log_time_ms)),
            feature_level: FeatureLevel(small(self.feature_level)?),
            state_hash: StateHash(u128::from_str_radix(&self.state_hash, 16).ok()?),
            configuration,
            snapshot_index: MetadataIndex(unsigned(self.snapshot_index)),
        })
    }
}

fn small(number: i64) -> Option<u32> {
    u32::try_from(number).ok()
}

fn brokers(numbers: Vec<i64>) -> Option<Vec<BrokerId>> {
    numbers
        .into_iter()
        .map(|number| small(number).map(BrokerId))
        .collect()
}
