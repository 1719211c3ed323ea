//! What a decision sees and what it is: the image, the entry; a reply and the changes to make.

use std::sync::Arc;

use crate::broker::Broker;
use crate::changes::Change;
use crate::command::{Envelope, TopicRef};
use crate::ids::{BrokerEpoch, BrokerId, FeatureLevel, MetadataIndex, PartitionId};
use crate::image::Image;
use crate::outcome::{Rejection, RejectionCode, Reply};
use crate::partition::Partition;
use crate::topic::Topic;

/// What a decision sees.
pub(super) struct Context<'a> {
    /// The rows before the entry.
    pub(super) image: &'a Image,
    /// Index of the entry.
    pub(super) index: MetadataIndex,
    /// The entry.
    pub(super) envelope: &'a Envelope,
}

/// What a command does: all of it, or none if it was rejected.
pub(super) struct Decision {
    /// The answer.
    pub(super) reply: Reply,
    /// Rows to write and delete, in order.
    pub(super) changes: Vec<Change>,
    /// The feature level to set, if any.
    pub(super) feature_level: Option<FeatureLevel>,
}

impl Decision {
    /// A decision that changes these rows.
    pub(super) fn new(reply: Reply, changes: Vec<Change>) -> Self {
        Self {
            reply,
            changes,
            feature_level: None,
        }
    }
}

impl<'a> Context<'a> {
    /// The topic that the command names.
    pub(super) fn topic(&self, topic: &TopicRef) -> Result<&'a Arc<Topic>, Rejection> {
        self.image.topic(topic).ok_or_else(|| match topic {
            TopicRef::Name(name) => Rejection::new(
                RejectionCode::UnknownTopicOrPartition,
                "topicName",
                name,
                "there is no such topic",
            ),
            TopicRef::Id(id) => Rejection::new(
                RejectionCode::UnknownTopicId,
                "topicId",
                id,
                "there is no topic of that id",
            ),
        })
    }

    /// The partition of that number.
    pub(super) fn partition(
        &self,
        topic: &Topic,
        partition: PartitionId,
    ) -> Result<&'a Arc<Partition>, Rejection> {
        self.image.partition(topic.id, partition).ok_or_else(|| {
            let rule = format!(
                "topic {} has partitions 0 to {}",
                topic.name,
                topic.last_partition()
            );
            Rejection::new(
                RejectionCode::UnknownTopicOrPartition,
                "partitionId",
                partition,
                &rule,
            )
        })
    }

    /// The registration of that number and epoch.
    pub(super) fn broker(
        &self,
        id: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<&'a Arc<Broker>, Rejection> {
        let broker = self.image.broker(id).ok_or_else(|| {
            let rule = "no broker of that number is registered";
            Rejection::new(RejectionCode::BrokerIdNotRegistered, "brokerId", id, rule)
        })?;
        if broker.epoch == epoch {
            return Ok(broker);
        }
        let rule = format!(
            "the registration of broker {id} in force has epoch {}",
            broker.epoch
        );
        Err(Rejection::new(
            RejectionCode::StaleBrokerEpoch,
            "brokerEpoch",
            epoch,
            &rule,
        ))
    }
}
