//! Numbers that gauges show, kept with every change instead of counted at every scrape.

/// How many there are of what. Names follow Kafka's controller metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Topics (`GlobalTopicCount`).
    pub topics: usize,
    /// Partitions (`GlobalPartitionCount`).
    pub partitions: usize,
    /// Partitions without a leader (`OfflinePartitionsCount`).
    pub offline_partitions: usize,
    /// Partitions that the first replica does not lead (`PreferredReplicaImbalanceCount`).
    pub preferred_leader_imbalance: usize,
    /// Brokers that serve (`ActiveBrokerCount`).
    pub active_brokers: usize,
    /// Brokers that are fenced (`FencedBrokerCount`).
    pub fenced_brokers: usize,
    /// Answers remembered for deduplication.
    pub dedup_entries: usize,
}
