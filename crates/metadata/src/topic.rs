//! The row of a topic.

use crate::config::TopicConfigs;
use crate::ids::{MetadataIndex, TopicId, WallTime};
use crate::names::TopicName;

/// A topic without its partitions, which are rows of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// UUID of the topic; never used again.
    pub id: TopicId,
    /// Name, unique among the topics that exist.
    pub name: TopicName,
    /// Number of partitions; their ids run from 0.
    pub partition_count: u32,
    /// Replicas of every partition at creation.
    pub replication_factor: u32,
    /// When the controller stamped the command. For people.
    pub created_at: WallTime,
    /// Index of the entry that created the topic.
    pub created_index: MetadataIndex,
    /// Settings that differ from the defaults.
    pub configs: TopicConfigs,
}

impl Topic {
    /// Number of the last partition.
    pub fn last_partition(&self) -> u32 {
        self.partition_count.saturating_sub(1)
    }
}
