//! The protobuf messages. Numbers are for ever: fields are only added, and never change their meaning.

use prost::Message;

/// Payload of a log entry.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Envelope {
    #[prost(uint32, tag = "1")]
    pub(crate) format: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) request_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) principal: String,
    #[prost(string, optional, tag = "4")]
    pub(crate) idempotency_key: Option<String>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) fingerprint: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub(crate) log_time_ms: u64,
    #[prost(int64, tag = "7")]
    pub(crate) wall_clock_ms: i64,
    #[prost(fixed64, tag = "8")]
    pub(crate) seed: u64,
    #[prost(oneof = "Command", tags = "16, 17, 18, 19, 20, 21, 22, 23")]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Command {
    #[prost(message, tag = "16")]
    CreateTopic(CreateTopic),
    #[prost(message, tag = "17")]
    DeleteTopic(TopicRef),
    #[prost(message, tag = "18")]
    UpdatePartition(UpdatePartition),
    #[prost(message, tag = "19")]
    UpdateLeader(UpdateLeader),
    #[prost(message, tag = "20")]
    RegisterBroker(RegisterBroker),
    #[prost(message, tag = "21")]
    FenceBroker(BrokerSession),
    #[prost(message, tag = "22")]
    UnfenceBroker(BrokerSession),
    #[prost(uint32, tag = "23")]
    SetFeatureLevel(u32),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateTopic {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) topic_id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// With `replication_factor`: the automatic layout. Absent if there are assignments.
    #[prost(uint32, tag = "3")]
    pub(crate) partitions: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) replication_factor: u32,
    #[prost(message, optional, tag = "5")]
    pub(crate) assigned: Option<Assignments>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) configs: Vec<Config>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Assignments {
    #[prost(message, repeated, tag = "1")]
    pub(crate) partitions: Vec<Replicas>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Replicas {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) brokers: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Config {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TopicRef {
    #[prost(oneof = "TopicKey", tags = "1, 2")]
    pub(crate) topic: Option<TopicKey>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum TopicKey {
    #[prost(string, tag = "1")]
    Name(String),
    #[prost(bytes, tag = "2")]
    Id(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdatePartition {
    #[prost(message, optional, tag = "1")]
    pub(crate) topic: Option<TopicRef>,
    #[prost(uint32, tag = "2")]
    pub(crate) partition_id: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) broker_id: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) broker_epoch: u64,
    #[prost(uint32, tag = "5")]
    pub(crate) leader_epoch: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) partition_epoch: u32,
    #[prost(message, repeated, tag = "7")]
    pub(crate) new_isr: Vec<IsrMember>,
    #[prost(uint32, tag = "8")]
    pub(crate) recovery: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IsrMember {
    #[prost(uint32, tag = "1")]
    pub(crate) broker_id: u32,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) broker_epoch: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateLeader {
    #[prost(message, optional, tag = "1")]
    pub(crate) topic: Option<TopicRef>,
    #[prost(uint32, tag = "2")]
    pub(crate) partition_id: u32,
    /// 1 preferred, 2 unclean, 3 designated.
    #[prost(uint32, tag = "3")]
    pub(crate) election: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) designated: u32,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) leader_epoch: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) partition_epoch: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterBroker {
    #[prost(uint32, tag = "1")]
    pub(crate) broker_id: u32,
    #[prost(string, optional, tag = "2")]
    pub(crate) cluster_id: Option<String>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) incarnation: Option<Vec<u8>>,
    #[prost(string, tag = "4")]
    pub(crate) host: String,
    #[prost(uint32, tag = "5")]
    pub(crate) port: u32,
    #[prost(string, optional, tag = "6")]
    pub(crate) rack: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BrokerSession {
    #[prost(uint32, tag = "1")]
    pub(crate) broker_id: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
}

/// A row of the image, or the first and last record of a snapshot.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Record {
    #[prost(oneof = "RecordKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) kind: Option<RecordKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum RecordKind {
    #[prost(message, tag = "1")]
    Header(SnapshotHeader),
    #[prost(message, tag = "2")]
    Settings(Settings),
    #[prost(message, tag = "3")]
    Topic(Topic),
    #[prost(message, tag = "4")]
    Partition(Partition),
    #[prost(message, tag = "5")]
    Broker(Broker),
    #[prost(message, tag = "6")]
    Dedup(Dedup),
    #[prost(message, tag = "7")]
    End(SnapshotEnd),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SnapshotHeader {
    #[prost(uint32, tag = "1")]
    pub(crate) format: u32,
    #[prost(string, tag = "2")]
    pub(crate) cluster_id: String,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) feature_level: u32,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) state_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SnapshotEnd {
    /// Rows between header and end.
    #[prost(uint64, tag = "1")]
    pub(crate) rows: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Settings {
    #[prost(uint32, tag = "1")]
    pub(crate) feature_level: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) log_time_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Topic {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(uint32, tag = "3")]
    pub(crate) partition_count: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) replication_factor: u32,
    #[prost(int64, tag = "5")]
    pub(crate) created_at_ms: i64,
    #[prost(uint64, tag = "6")]
    pub(crate) created_index: u64,
    #[prost(message, repeated, tag = "7")]
    pub(crate) configs: Vec<Config>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Partition {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) topic_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) id: u32,
    #[prost(uint32, repeated, tag = "3")]
    pub(crate) replicas: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) isr: Vec<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) leader: Option<u32>,
    #[prost(uint32, tag = "6")]
    pub(crate) leader_epoch: u32,
    #[prost(uint32, tag = "7")]
    pub(crate) epoch: u32,
    #[prost(uint32, tag = "8")]
    pub(crate) recovery: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Broker {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) incarnation: Option<Vec<u8>>,
    #[prost(string, tag = "4")]
    pub(crate) host: String,
    #[prost(uint32, tag = "5")]
    pub(crate) port: u32,
    #[prost(string, optional, tag = "6")]
    pub(crate) rack: Option<String>,
    #[prost(bool, tag = "7")]
    pub(crate) fenced: bool,
    #[prost(int64, tag = "8")]
    pub(crate) registered_at_ms: i64,
    #[prost(uint64, tag = "9")]
    pub(crate) registered_index: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DedupKey {
    #[prost(string, tag = "1")]
    pub(crate) principal: String,
    #[prost(string, tag = "2")]
    pub(crate) key: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dedup {
    #[prost(message, optional, tag = "1")]
    pub(crate) key: Option<DedupKey>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) fingerprint: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) log_time_ms: u64,
    #[prost(message, optional, tag = "5")]
    pub(crate) outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Outcome {
    #[prost(oneof = "OutcomeKind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    pub(crate) kind: Option<OutcomeKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum OutcomeKind {
    #[prost(message, tag = "1")]
    Rejected(Rejection),
    #[prost(message, tag = "2")]
    TopicCreated(TopicSummary),
    #[prost(message, tag = "3")]
    TopicDeleted(TopicSummary),
    #[prost(message, tag = "4")]
    PartitionUpdated(Partition),
    #[prost(message, tag = "5")]
    LeaderElected(Partition),
    #[prost(message, tag = "6")]
    BrokerRegistered(Broker),
    #[prost(message, tag = "7")]
    BrokerFenced(FencingSummary),
    #[prost(message, tag = "8")]
    BrokerUnfenced(FencingSummary),
    #[prost(uint32, tag = "9")]
    FeatureLevelSet(u32),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rejection {
    #[prost(string, tag = "1")]
    pub(crate) code: String,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(string, optional, tag = "3")]
    pub(crate) field: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TopicSummary {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) topic_id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(uint32, tag = "3")]
    pub(crate) partition_count: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) replication_factor: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FencingSummary {
    #[prost(uint32, tag = "1")]
    pub(crate) broker_id: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) partitions_changed: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Changes {
    #[prost(uint32, tag = "1")]
    pub(crate) format: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) settings: Option<Settings>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) rows: Vec<Change>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Change {
    #[prost(oneof = "ChangeKind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub(crate) kind: Option<ChangeKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ChangeKind {
    #[prost(message, tag = "1")]
    PutTopic(Topic),
    #[prost(bytes, tag = "2")]
    DeleteTopic(Vec<u8>),
    #[prost(message, tag = "3")]
    PutPartition(Partition),
    #[prost(bytes, tag = "4")]
    DeletePartitions(Vec<u8>),
    #[prost(message, tag = "5")]
    PutBroker(Broker),
    #[prost(uint32, tag = "6")]
    DeleteBroker(u32),
    #[prost(message, tag = "7")]
    PutDedup(Dedup),
    #[prost(message, tag = "8")]
    DeleteDedup(DedupKey),
}
