//! The image: the whole metadata state at one index, in persistent maps, so that a clone costs nothing.

mod absorb;
mod counts;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

pub use self::counts::Counts;
use crate::broker::Broker;
use crate::command::TopicRef;
use crate::dedup::{DedupEntry, DedupKey};
use crate::hash::row_hash;
use crate::ids::{BrokerId, FeatureLevel, LogTime, MetadataIndex, PartitionId, TopicId};
use crate::names::{ClusterId, TopicName};
use crate::partition::{Partition, PartitionKey};
use crate::row::{Row, Settings, StateHash};
use crate::topic::Topic;

/// The metadata state after the entry at [`Image::index`]. Only [`crate::apply`] moves it forward.
#[derive(Clone, Debug)]
pub struct Image {
    cluster_id: ClusterId,
    index: MetadataIndex,
    settings: Settings,
    topics: OrdMap<TopicId, Arc<Topic>>,
    partitions: OrdMap<PartitionKey, Arc<Partition>>,
    brokers: OrdMap<BrokerId, Arc<Broker>>,
    dedup: OrdMap<DedupKey, Arc<DedupEntry>>,
    indexes: Indexes,
    counts: Counts,
    hash: StateHash,
}

/// Ways into the rows, derived from them.
#[derive(Clone, Debug, Default)]
struct Indexes {
    topics_by_name: OrdMap<TopicName, TopicId>,
    /// Names that hold `.` or `_`, with every `.` as `_`.
    topics_by_collision_form: OrdMap<String, TopicId>,
    partitions_by_broker: OrdSet<(BrokerId, PartitionKey)>,
    offline_partitions: OrdSet<PartitionKey>,
    /// Log time never falls, so the order by index is the order of expiry.
    dedup_by_index: OrdMap<MetadataIndex, DedupKey>,
}

impl Image {
    /// The image before the first entry of a cluster.
    pub fn new(cluster_id: ClusterId) -> Self {
        let mut image = Self {
            cluster_id,
            index: MetadataIndex::default(),
            settings: Settings::default(),
            topics: OrdMap::new(),
            partitions: OrdMap::new(),
            brokers: OrdMap::new(),
            dedup: OrdMap::new(),
            indexes: Indexes::default(),
            counts: Counts::default(),
            hash: StateHash::default(),
        };
        image.hash = image.rehash();
        image
    }

    /// The cluster whose state this is.
    pub fn cluster_id(&self) -> &ClusterId {
        &self.cluster_id
    }

    /// Index of the last entry that was applied.
    pub fn index(&self) -> MetadataIndex {
        self.index
    }

    /// Log time after that entry.
    pub fn log_time(&self) -> LogTime {
        self.settings.log_time
    }

    /// The version of command semantics in force.
    pub fn feature_level(&self) -> FeatureLevel {
        self.settings.feature_level
    }

    /// The row of settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Hash of all rows, kept up with every change. Two members at one index have the same.
    pub fn state_hash(&self) -> StateHash {
        self.hash
    }

    /// The same hash computed from scratch: O(rows). For audits and tests.
    pub fn rehash(&self) -> StateHash {
        let level = self.feature_level();
        self.rows().map(|row| row_hash(row, level)).sum()
    }

    /// Numbers for gauges, kept up with every change.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// A topic by name.
    pub fn topic_by_name(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        self.topic_by_id(*self.indexes.topics_by_name.get(name)?)
    }

    /// A topic by either.
    pub fn topic(&self, topic: &TopicRef) -> Option<&Arc<Topic>> {
        match topic {
            TopicRef::Name(name) => self.topic_by_name(name),
            TopicRef::Id(id) => self.topic_by_id(*id),
        }
    }

    /// The topic whose name collides with this one: equal, or equal once `.` reads `_`.
    pub fn colliding_topic(&self, name: &TopicName) -> Option<&Arc<Topic>> {
        if !name.can_collide() {
            return self.topic_by_name(name);
        }
        let id = self
            .indexes
            .topics_by_collision_form
            .get(&name.collision_form())?;
        self.topic_by_id(*id)
    }

    /// All topics by id.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// Topics in the order of their names (bytes), those after `after` if it is given: for paging.
    pub fn topics_by_name(&self, after: Option<&TopicName>) -> impl Iterator<Item = &Arc<Topic>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, |name| Excluded(name.clone()));
        let ids = self
            .indexes
            .topics_by_name
            .range((start, Unbounded))
            .map(|(_, id)| *id);
        ids.filter_map(|id| self.topic_by_id(id))
    }

    /// A partition by topic and number.
    pub fn partition(&self, topic: TopicId, partition: PartitionId) -> Option<&Arc<Partition>> {
        self.partitions.get(&(topic, partition))
    }

    /// All partitions by topic id and number.
    pub fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.values()
    }

    /// The partitions of a topic by number.
    pub fn partitions_of(&self, topic: TopicId) -> impl Iterator<Item = &Arc<Partition>> {
        let range = (topic, PartitionId(0))..=(topic, PartitionId(u32::MAX));
        self.partitions.range(range).map(|(_, partition)| partition)
    }

    /// The partitions that a broker holds a replica of.
    pub fn partitions_on(&self, broker: BrokerId) -> impl Iterator<Item = &Arc<Partition>> {
        let last = (TopicId(uuid::Uuid::max()), PartitionId(u32::MAX));
        let range = (broker, PartitionKey::default())..=(broker, last);
        let keys = self.indexes.partitions_by_broker.range(range);
        keys.filter_map(|(_, key)| self.partitions.get(key))
    }

    /// The partitions without a leader.
    pub fn offline_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.indexes
            .offline_partitions
            .iter()
            .filter_map(|key| self.partitions.get(key))
    }

    /// A broker by number.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// All brokers by number.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// Whether the broker is registered and not fenced.
    pub fn is_active(&self, broker: BrokerId) -> bool {
        self.broker(broker).is_some_and(|broker| !broker.fenced)
    }

    /// What a keyed request was answered, as long as the row is there, expired or not.
    pub fn dedup(&self, key: &DedupKey) -> Option<&Arc<DedupEntry>> {
        self.dedup.get(key)
    }

    /// All remembered answers by principal and key.
    pub fn dedup_entries(&self) -> impl Iterator<Item = &Arc<DedupEntry>> {
        self.dedup.values()
    }

    /// The remembered answers, the oldest first.
    pub fn dedup_by_age(&self) -> impl Iterator<Item = &Arc<DedupEntry>> {
        self.indexes
            .dedup_by_index
            .values()
            .filter_map(|key| self.dedup.get(key))
    }

    /// Every row in canonical order: by kind, then by key.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        std::iter::once(Row::Settings(&self.settings))
            .chain(self.topics.values().map(|topic| Row::Topic(topic)))
            .chain(
                self.partitions
                    .values()
                    .map(|partition| Row::Partition(partition)),
            )
            .chain(self.brokers.values().map(|broker| Row::Broker(broker)))
            .chain(self.dedup.values().map(|entry| Row::Dedup(entry)))
    }
}

#[cfg(test)]
impl Image {
    /// Entries in the ways to topics: by name, and by the form in which names collide.
    pub(crate) fn topic_index_sizes(&self) -> (usize, usize) {
        let indexes = &self.indexes;
        (
            indexes.topics_by_name.len(),
            indexes.topics_by_collision_form.len(),
        )
    }
}

impl PartialEq for Image {
    /// Equal rows at an equal index; what is derived from them follows.
    fn eq(&self, other: &Self) -> bool {
        self.cluster_id == other.cluster_id
            && self.index == other.index
            && self.settings == other.settings
            && self.topics == other.topics
            && self.partitions == other.partitions
            && self.brokers == other.brokers
            && self.dedup == other.dedup
    }
}

impl Eq for Image {}
