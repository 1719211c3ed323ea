//! Outcomes to and from their message, as deduplication keeps them.

use std::sync::Arc;

use prost::Message;

use super::DecodeError;
use super::read::{bad_name, broken, uuid};
use super::wire::{self, OutcomeKind};
use crate::ids::{BrokerEpoch, BrokerId, FeatureLevel, TopicId};
use crate::names::TopicName;
use crate::outcome::{Outcome, Rejection, RejectionCode, Reply};

/// Bytes of an outcome, as the deduplication row keeps it in SQL.
pub fn encode_outcome(outcome: &Outcome) -> Vec<u8> {
    wire::Outcome::from(outcome).encode_to_vec()
}

/// Reads an outcome.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    from_wire(wire::Outcome::decode(bytes).map_err(broken("outcome"))?)
}

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let kind = match outcome {
            Ok(reply) => reply_to_wire(reply),
            Err(rejection) => OutcomeKind::Rejected(wire::Rejection {
                code: rejection.code.as_str().to_owned(),
                message: rejection.message.clone(),
                field: rejection.field.clone(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

fn reply_to_wire(reply: &Reply) -> OutcomeKind {
    match reply {
        Reply::TopicCreated {
            topic_id,
            name,
            partition_count,
            replication_factor,
        } => OutcomeKind::TopicCreated(wire::TopicSummary {
            topic_id: topic_id.0.into(),
            name: name.to_string(),
            partition_count: *partition_count,
            replication_factor: *replication_factor,
        }),
        Reply::TopicDeleted { topic_id, name } => OutcomeKind::TopicDeleted(wire::TopicSummary {
            topic_id: topic_id.0.into(),
            name: name.to_string(),
            ..wire::TopicSummary::default()
        }),
        Reply::PartitionUpdated(row) => OutcomeKind::PartitionUpdated(row.as_ref().into()),
        Reply::LeaderElected(row) => OutcomeKind::LeaderElected(row.as_ref().into()),
        Reply::BrokerRegistered(row) => OutcomeKind::BrokerRegistered(row.as_ref().into()),
        Reply::BrokerFenced {
            broker_id,
            epoch,
            partitions_changed,
        } => OutcomeKind::BrokerFenced(fencing(*broker_id, *epoch, *partitions_changed)),
        Reply::BrokerUnfenced {
            broker_id,
            epoch,
            partitions_changed,
        } => OutcomeKind::BrokerUnfenced(fencing(*broker_id, *epoch, *partitions_changed)),
        Reply::FeatureLevelSet(level) => OutcomeKind::FeatureLevelSet(level.0),
    }
}

fn fencing(id: BrokerId, epoch: BrokerEpoch, partitions_changed: u32) -> wire::FencingSummary {
    wire::FencingSummary {
        broker_id: id.0,
        epoch: epoch.0,
        partitions_changed,
    }
}

/// The outcome that a message means.
pub(super) fn from_wire(message: wire::Outcome) -> Result<Outcome, DecodeError> {
    let unknown = || DecodeError::UnknownEntry("an outcome of unknown kind".to_owned());
    match message.kind.ok_or_else(unknown)? {
        OutcomeKind::Rejected(rejection) => rejection_from_wire(rejection).map(Err),
        reply => reply_from_wire(reply).map(Ok),
    }
}

fn rejection_from_wire(message: wire::Rejection) -> Result<Rejection, DecodeError> {
    let unknown = || DecodeError::UnknownEntry(format!("rejection code {:?}", message.code));
    let code = RejectionCode::from_name(&message.code).ok_or_else(unknown)?;
    Ok(Rejection {
        code,
        message: message.message,
        field: message.field,
    })
}

fn reply_from_wire(kind: OutcomeKind) -> Result<Reply, DecodeError> {
    Ok(match kind {
        OutcomeKind::TopicCreated(topic) => Reply::TopicCreated {
            topic_id: TopicId(uuid("topic id", &topic.topic_id)?),
            name: TopicName::parse(&topic.name).map_err(bad_name("outcome"))?,
            partition_count: topic.partition_count,
            replication_factor: topic.replication_factor,
        },
        OutcomeKind::TopicDeleted(topic) => Reply::TopicDeleted {
            topic_id: TopicId(uuid("topic id", &topic.topic_id)?),
            name: TopicName::parse(&topic.name).map_err(bad_name("outcome"))?,
        },
        OutcomeKind::PartitionUpdated(row) => Reply::PartitionUpdated(Arc::new(row.try_into()?)),
        OutcomeKind::LeaderElected(row) => Reply::LeaderElected(Arc::new(row.try_into()?)),
        OutcomeKind::BrokerRegistered(row) => Reply::BrokerRegistered(Arc::new(row.try_into()?)),
        OutcomeKind::BrokerFenced(broker) => Reply::BrokerFenced {
            broker_id: BrokerId(broker.broker_id),
            epoch: BrokerEpoch(broker.epoch),
            partitions_changed: broker.partitions_changed,
        },
        OutcomeKind::BrokerUnfenced(broker) => Reply::BrokerUnfenced {
            broker_id: BrokerId(broker.broker_id),
            epoch: BrokerEpoch(broker.epoch),
            partitions_changed: broker.partitions_changed,
        },
        OutcomeKind::FeatureLevelSet(level) => Reply::FeatureLevelSet(FeatureLevel(level)),
        OutcomeKind::Rejected(_) => {
            return Err(super::read::malformed("outcome", "a rejection is no reply"));
        }
    })
}
