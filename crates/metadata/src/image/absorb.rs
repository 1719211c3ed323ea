//! How decided changes enter the image: rows, the ways into them, numbers and hash together.

use std::sync::Arc;

use super::Image;
use crate::broker::Broker;
use crate::changes::Change;
use crate::dedup::{DedupEntry, DedupKey};
use crate::hash::row_hash;
use crate::ids::{BrokerId, FeatureLevel, LogTime, MetadataIndex, TopicId};
use crate::mutant;
use crate::partition::{Partition, PartitionKey};
use crate::row::{Row, Settings};
use crate::topic::Topic;

impl Image {
    /// Moves to the next index.
    pub(crate) fn set_index(&mut self, index: MetadataIndex) {
        self.index = index;
    }

    /// Sets the time. The caller sees to it that it does not fall.
    pub(crate) fn set_log_time(&mut self, log_time: LogTime) {
        if log_time != self.settings.log_time {
            self.put_settings(Settings {
                log_time,
                ..self.settings
            });
        }
    }

    /// Sets the feature level. The level defines the hashed bytes, so the hash starts afresh.
    pub(crate) fn set_feature_level(&mut self, feature_level: FeatureLevel) {
        self.settings.feature_level = feature_level;
        self.hash = self.rehash();
    }

    /// Takes one decided change in.
    pub(crate) fn absorb(&mut self, change: &Change) {
        match change {
            Change::PutTopic(topic) => self.put_topic(topic),
            Change::DeleteTopic(id) => self.delete_topic(*id),
            Change::PutPartition(partition) => self.put_partition(partition),
            Change::DeletePartitions(topic) => self.delete_partitions(*topic),
            Change::PutBroker(broker) => self.put_broker(broker),
            Change::DeleteBroker(id) => self.delete_broker(*id),
            Change::PutDedup(entry) => self.put_dedup(entry),
            Change::DeleteDedup(key) => self.delete_dedup(key),
        }
    }

    fn put_settings(&mut self, settings: Settings) {
        let old = std::mem::replace(&mut self.settings, settings);
        self.unhash(Row::Settings(&old));
        self.hash_in(Row::Settings(&settings));
    }

    fn put_topic(&mut self, topic: &Arc<Topic>) {
        self.hash_in(Row::Topic(topic));
        if let Some(old) = self.topics.insert(topic.id, Arc::clone(topic)) {
            self.forget_topic(&old);
        }
        self.indexes
            .topics_by_name
            .insert(topic.name.clone(), topic.id);
        if topic.name.can_collide() {
            self.indexes
                .topics_by_collision_form
                .insert(topic.name.collision_form(), topic.id);
        }
        self.counts.topics = self.topics.len();
    }

    fn delete_topic(&mut self, id: TopicId) {
        if let Some(old) = self.topics.remove(&id) {
            self.forget_topic(&old);
        }
        self.counts.topics = self.topics.len();
    }

    fn forget_topic(&mut self, old: &Topic) {
        if !mutant::is("deleted-row-stays-hashed") {
            self.unhash(Row::Topic(old));
        }
        self.indexes.topics_by_name.remove(&old.name);
        if old.name.can_collide() {
            self.indexes
                .topics_by_collision_form
                .remove(&old.name.collision_form());
        }
    }

    fn put_partition(&mut self, partition: &Arc<Partition>) {
        self.hash_in(Row::Partition(partition));
        let old = self
            .partitions
            .insert(partition.key(), Arc::clone(partition));
        if let Some(old) = &old {
            self.unhash(Row::Partition(old));
        }
        self.index_replicas(old.as_deref(), Some(partition));
        self.index_leader(old.as_deref(), Some(partition));
        self.counts.partitions = self.partitions.len();
    }

    fn delete_partitions(&mut self, topic: TopicId) {
        let keys: Vec<PartitionKey> = self.partitions_of(topic).map(|row| row.key()).collect();
        for key in keys {
            if let Some(old) = self.partitions.remove(&key) {
                self.unhash(Row::Partition(&old));
                self.index_replicas(Some(&old), None);
                self.index_leader(Some(&old), None);
            }
        }
        self.counts.partitions = self.partitions.len();
    }

    /// Keeps the partitions of each broker. Most changes leave the replicas alone and cost nothing here.
    fn index_replicas(&mut self, old: Option<&Partition>, new: Option<&Partition>) {
        let replicas_old = old.map_or(&[][..], |row| &row.replicas);
        let replicas_new = new.map_or(&[][..], |row| &row.replicas);
        if replicas_old == replicas_new {
            return;
        }
        let Some(key) = old.or(new).map(Partition::key) else {
            return;
        };
        for broker in replicas_old {
            self.indexes.partitions_by_broker.remove(&(*broker, key));
        }
        for broker in replicas_new {
            self.indexes.partitions_by_broker.insert((*broker, key));
        }
    }

    /// Keeps the partitions without a leader and the count of those that another than the first replica leads.
    fn index_leader(&mut self, old: Option<&Partition>, new: Option<&Partition>) {
        let offline = |row: &Partition| row.leader.is_none();
        match (
            old.filter(|row| offline(row)),
            new.filter(|row| offline(row)),
        ) {
            (None, Some(row)) => drop(self.indexes.offline_partitions.insert(row.key())),
            (Some(row), None) => drop(self.indexes.offline_partitions.remove(&row.key())),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.counts.offline_partitions = self.indexes.offline_partitions.len();
        let astray = |row: Option<&Partition>| {
            usize::from(row.is_some_and(|row| !row.has_preferred_leader()))
        };
        self.counts.preferred_leader_imbalance += astray(new);
        self.counts.preferred_leader_imbalance -= astray(old);
    }

    fn put_broker(&mut self, broker: &Arc<Broker>) {
        self.hash_in(Row::Broker(broker));
        *self.broker_count(broker.fenced) += 1;
        if let Some(old) = self.brokers.insert(broker.id, Arc::clone(broker)) {
            self.forget_broker(&old);
        }
    }

    fn delete_broker(&mut self, id: BrokerId) {
        if let Some(old) = self.brokers.remove(&id) {
            self.forget_broker(&old);
        }
    }

    fn forget_broker(&mut self, old: &Broker) {
        self.unhash(Row::Broker(old));
        *self.broker_count(old.fenced) -= 1;
    }

    fn broker_count(&mut self, fenced: bool) -> &mut usize {
        if fenced {
            &mut self.counts.fenced_brokers
        } else {
            &mut self.counts.active_brokers
        }
    }

    fn put_dedup(&mut self, entry: &Arc<DedupEntry>) {
        self.hash_in(Row::Dedup(entry));
        if let Some(old) = self.dedup.insert(entry.key.clone(), Arc::clone(entry)) {
            self.forget_dedup(&old);
        }
        self.indexes
            .dedup_by_index
            .insert(entry.index, entry.key.clone());
        self.counts.dedup_entries = self.dedup.len();
    }

    fn delete_dedup(&mut self, key: &DedupKey) {
        if let Some(old) = self.dedup.remove(key) {
            self.forget_dedup(&old);
        }
        self.counts.dedup_entries = self.dedup.len();
    }

    fn forget_dedup(&mut self, old: &DedupEntry) {
        self.unhash(Row::Dedup(old));
        self.indexes.dedup_by_index.remove(&old.index);
    }

    fn hash_in(&mut self, row: Row<'_>) {
        self.hash += row_hash(row, self.feature_level());
    }

    fn unhash(&mut self, row: Row<'_>) {
        self.hash -= row_hash(row, self.feature_level());
    }
}
