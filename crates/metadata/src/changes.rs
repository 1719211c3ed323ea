//! What an applied entry did to the rows: all that a store must write.

use std::sync::Arc;

use crate::broker::Broker;
use crate::dedup::{DedupEntry, DedupKey};
use crate::ids::{BrokerId, FeatureLevel, LogTime, TopicId};
use crate::partition::Partition;
use crate::topic::Topic;

/// The effect of one entry. Replayed in order on the rows before it, it gives the rows after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows written and deleted, in order.
    pub rows: Vec<Change>,
    /// Log time after the entry.
    pub log_time: LogTime,
    /// Feature level after the entry.
    pub feature_level: FeatureLevel,
}

/// One row written or deleted. `Put` writes the whole row, new or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a topic.
    PutTopic(Arc<Topic>),
    /// Deletes a topic; its partitions went before.
    DeleteTopic(TopicId),
    /// Writes a partition.
    PutPartition(Arc<Partition>),
    /// Deletes all partitions of a topic.
    DeletePartitions(TopicId),
    /// Writes a broker.
    PutBroker(Arc<Broker>),
    /// Deletes a broker.
    DeleteBroker(BrokerId),
    /// Writes an answer to be remembered.
    PutDedup(Arc<DedupEntry>),
    /// Deletes an answer.
    DeleteDedup(DedupKey),
}
