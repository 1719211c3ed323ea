//! Many change sets as one: the last write of every row, in the order that a transaction may
//! execute them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dmq_metadata::{
    Broker, BrokerId, Change, Changes, DedupEntry, DedupKey, Partition, PartitionId, PartitionKey,
    Topic, TopicId,
};

/// The net effect of consecutive change sets. Deletes come first, then puts; no row is put twice,
/// since `ON CONFLICT` refuses a second write of one key in one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Topics to delete, with their settings.
    pub deleted_topics: BTreeSet<TopicId>,
    /// Topics whose partitions are to be deleted.
    pub deleted_partitions: BTreeSet<TopicId>,
    /// Brokers to delete.
    pub deleted_brokers: BTreeSet<BrokerId>,
    /// Answers to forget.
    pub deleted_dedup: BTreeSet<DedupKey>,
    /// Topics to write.
    pub topics: BTreeMap<TopicId, Arc<Topic>>,
    /// Partitions to write.
    pub partitions: BTreeMap<PartitionKey, Arc<Partition>>,
    /// Brokers to write.
    pub brokers: BTreeMap<BrokerId, Arc<Broker>>,
    /// Answers to write.
    pub dedup: BTreeMap<DedupKey, Arc<DedupEntry>>,
}

impl RowChanges {
    /// The net effect of `changes`, given in log order.
    pub fn coalesce<'a>(changes: impl IntoIterator<Item = &'a Changes>) -> Self {
        let mut net = Self::default();
        for change in changes.into_iter().flat_map(|changes| &changes.rows) {
            net.push(change);
        }
        net
    }

    /// Adds one change behind all before it.
    pub fn push(&mut self, change: &Change) {
        match change {
            Change::PutTopic(row) => {
                self.topics.insert(row.id, Arc::clone(row));
            }
            Change::DeleteTopic(id) => {
                self.topics.remove(id);
                self.deleted_topics.insert(*id);
            }
            Change::PutPartition(row) => {
                self.partitions.insert(row.key(), Arc::clone(row));
            }
            Change::DeletePartitions(topic) => {
                self.drop_partitions_of(*topic);
                self.deleted_partitions.insert(*topic);
            }
            Change::PutBroker(row) => {
                self.brokers.insert(row.id, Arc::clone(row));
            }
            Change::DeleteBroker(id) => {
                self.brokers.remove(id);
                self.deleted_brokers.insert(*id);
            }
            Change::PutDedup(row) => {
                self.dedup.insert(row.key.clone(), Arc::clone(row));
            }
            Change::DeleteDedup(key) => {
                self.dedup.remove(key);
                self.deleted_dedup.insert(key.clone());
            }
        }
    }

    fn drop_partitions_of(&mut self, topic: TopicId) {
        let range = (topic, PartitionId(0))..=(topic, PartitionId(u32::MAX));
        let keys: Vec<PartitionKey> = self.partitions.range(range).map(|(key, _)| *key).collect();
        for key in keys {
            self.partitions.remove(&key);
        }
    }

    /// Rows that a transaction with these changes touches, at least; for batch limits and metrics.
    pub fn len(&self) -> usize {
        let puts =
            self.topics.len() + self.partitions.len() + self.brokers.len() + self.dedup.len();
        let deletes = self.deleted_topics.len()
            + self.deleted_partitions.len()
            + self.deleted_brokers.len()
            + self.deleted_dedup.len();
        puts + deletes
    }

    /// Whether there is nothing to write: no-ops and refused commands.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use dmq_metadata::{
        IdempotencyKey, LeaderEpoch, LeaderRecovery, MetadataIndex, PartitionEpoch, Principal,
        TopicConfigs, TopicName, WallTime,
    };
    use uuid::Uuid;

    use super::*;

    const FIRST: TopicId = TopicId(Uuid::from_u128(1));
    const SECOND: TopicId = TopicId(Uuid::from_u128(2));

    fn topic(id: TopicId, partition_count: u32) -> Change {
        Change::PutTopic(Arc::new(Topic {
            id,
            name: TopicName::parse("orders").unwrap(),
            partition_count,
            replication_factor: 1,
            created_at: WallTime(0),
            created_index: MetadataIndex(1),
            configs: TopicConfigs::default(),
        }))
    }

    fn partition(topic_id: TopicId, number: u32, epoch: u32) -> Change {
        Change::PutPartition(Arc::new(Partition {
            topic_id,
            partition_id: PartitionId(number),
            replicas: vec![BrokerId(1)],
            isr: vec![BrokerId(1)],
            leader: None,
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: PartitionEpoch(epoch),
            recovery: LeaderRecovery::Recovered,
        }))
    }

    fn coalesced(changes: &[Change]) -> RowChanges {
        let sets: Vec<Changes> = changes
            .iter()
            .map(|change| Changes {
                rows: vec![change.clone()],
                ..Changes::default()
            })
            .collect();
        RowChanges::coalesce(&sets)
    }

    #[test]
    fn the_last_write_of_a_row_wins() {
        let net = coalesced(&[
            topic(FIRST, 1),
            partition(FIRST, 0, 1),
            partition(FIRST, 0, 2),
        ]);
        let epochs: Vec<u32> = net
            .partitions
            .values()
            .map(|row| row.leader_epoch.0)
            .collect();
        assert_eq!((epochs, net.len()), (vec![2], 2));
    }

    #[test]
    fn a_deletion_takes_the_writes_before_it_and_leaves_those_after_it() {
        let net = coalesced(&[
            topic(FIRST, 1),
            partition(FIRST, 0, 1),
            partition(FIRST, u32::MAX, 1),
            partition(SECOND, 0, 1),
            Change::DeletePartitions(FIRST),
            Change::DeleteTopic(FIRST),
            partition(FIRST, 7, 2),
        ]);
        let keys: Vec<PartitionKey> = net.partitions.keys().copied().collect();
        assert_eq!(keys, [(FIRST, PartitionId(7)), (SECOND, PartitionId(0))]);
        assert!(net.topics.is_empty());
        assert_eq!(net.deleted_topics, [FIRST].into());
        assert_eq!(net.deleted_partitions, [FIRST].into());
    }

    #[test]
    fn a_row_deleted_and_written_anew_is_both() {
        let key = DedupKey {
            principal: Principal::anonymous(),
            key: IdempotencyKey::parse("k").unwrap(),
        };
        let net = coalesced(&[
            Change::DeleteTopic(FIRST),
            topic(FIRST, 2),
            Change::DeleteBroker(BrokerId(1)),
            Change::DeleteDedup(key.clone()),
        ]);
        assert_eq!((net.topics.len(), net.deleted_topics.len()), (1, 1));
        assert_eq!(
            (net.deleted_brokers.len(), net.deleted_dedup),
            (1, [key].into())
        );
        assert!(coalesced(&[]).is_empty());
    }
}
