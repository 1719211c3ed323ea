//! The row of a partition and small questions about it.

use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionId, TopicId};

/// Key of a partition; sorts by topic, then by number.
pub type PartitionKey = (TopicId, PartitionId);

/// Whether the leader may have lost acknowledged records (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaderRecovery {
    /// The leader came from the in-sync replicas, or has recovered since.
    #[default]
    Recovered,
    /// The leader was elected uncleanly and has not reported recovery yet.
    Recovering,
}

/// State of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The topic it belongs to.
    pub topic_id: TopicId,
    /// Its number within the topic.
    pub partition_id: PartitionId,
    /// The brokers that hold a copy, the preferred leader first. Never empty, none twice.
    pub replicas: Vec<BrokerId>,
    /// The in-sync replicas, in the order of `replicas`. Never empty.
    pub isr: Vec<BrokerId>,
    /// The broker that serves the partition; `None` while it is offline.
    pub leader: Option<BrokerId>,
    /// Grows whenever `leader` changes.
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change of this row.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader has to recover from an unclean election.
    pub recovery: LeaderRecovery,
}

impl Partition {
    /// The key of this row.
    pub fn key(&self) -> PartitionKey {
        (self.topic_id, self.partition_id)
    }

    /// The replica that should lead: the first one.
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().copied()
    }

    /// Whether the replica that should lead does so.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader.is_some() && self.leader == self.preferred_leader()
    }

    /// Whether the broker holds a copy.
    pub fn is_replica(&self, broker: BrokerId) -> bool {
        self.replicas.contains(&broker)
    }

    /// Whether the broker's copy is in sync.
    pub fn is_in_sync(&self, broker: BrokerId) -> bool {
        self.isr.contains(&broker)
    }
}
