//! The commands of the metadata log and the envelope that carries one in each entry.

use crate::config::TopicConfigs;
use crate::dedup::Idempotency;
use crate::ids::{
    BrokerEpoch, BrokerId, BrokerIncarnation, FeatureLevel, LeaderEpoch, LogTime, PartitionEpoch,
    PartitionId, RequestId, TopicId, WallTime,
};
use crate::names::{ClusterId, Host, Principal, Rack, TopicName};
use crate::partition::LeaderRecovery;

/// Most partitions that one command may create, so that one entry stays one SQL transaction.
pub const PARTITIONS_PER_COMMAND_MAX: u32 = 10_000;
/// Most replicas that one command may create: 10 for each of the most partitions. Bounds the work of placement.
pub const REPLICAS_PER_COMMAND_MAX: u32 = 10 * PARTITIONS_PER_COMMAND_MAX;

/// One entry of the metadata log: a command and everything that its outcome depends on besides the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Drawn by the node that took the request.
    pub request_id: RequestId,
    /// Who asked.
    pub principal: Principal,
    /// Present if the client sent an idempotency key.
    pub idempotency: Option<Idempotency>,
    /// The controller's stamp of log time; apply takes the larger of this and the image's.
    pub log_time: LogTime,
    /// The controller's wall clock, for people.
    pub wall_clock: WallTime,
    /// Random bits for every choice that the command leaves open.
    pub seed: u64,
    /// What to do.
    pub command: Command,
}

/// A change that somebody wants. Whether it may happen is decided at apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `CREATE_TOPIC`.
    CreateTopic(CreateTopic),
    /// `DELETE_TOPIC`.
    DeleteTopic(DeleteTopic),
    /// `UPDATE_PARTITION`: the leader of a partition reports its in-sync replicas.
    UpdatePartition(UpdatePartition),
    /// `UPDATE_LEADER`: an election on request.
    UpdateLeader(UpdateLeader),
    /// `REGISTER_BROKER`.
    RegisterBroker(RegisterBroker),
    /// `FENCE_BROKER`: the broker's session timed out.
    FenceBroker(BrokerSession),
    /// `UNFENCE_BROKER`: the broker is alive and has caught up with its registration.
    UnfenceBroker(BrokerSession),
    /// `SET_FEATURE_LEVEL`.
    SetFeatureLevel(FeatureLevel),
}

/// Creates a topic with all its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopic {
    /// Drawn by the node that took the request; neither nil nor Kafka's reserved `..0001`.
    pub topic_id: TopicId,
    /// Name of the topic.
    pub name: TopicName,
    /// How many partitions, and where.
    pub layout: TopicLayout,
    /// Settings that differ from the defaults.
    pub configs: TopicConfigs,
}

/// How the replicas of a new topic get their brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicLayout {
    /// By [`crate::placement`], with the envelope's seed.
    Automatic {
        /// Range: 1 to [`PARTITIONS_PER_COMMAND_MAX`].
        partitions: u32,
        /// Range: 1 to the number of registered brokers.
        replication_factor: u32,
    },
    /// By the caller: the replicas of each partition, the preferred leader first.
    Assigned(Vec<Vec<BrokerId>>),
}

/// Deletes a topic with all its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTopic {
    /// Which topic.
    pub topic: TopicRef,
}

/// A topic by name, or by id when another topic may have taken the name since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// By name.
    Name(TopicName),
    /// By id.
    Id(TopicId),
}

/// A partition leader's proposal of a new ISR (Kafka's `AlterPartition`, KIP-841 and KIP-903).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePartition {
    /// Topic of the partition.
    pub topic: TopicRef,
    /// Number of the partition.
    pub partition_id: PartitionId,
    /// The broker that asks: must be the partition's leader.
    pub broker_id: BrokerId,
    /// Epoch of its registration.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch under which it leads.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the proposal was made from.
    pub partition_epoch: PartitionEpoch,
    /// The proposed in-sync replicas.
    pub new_isr: Vec<IsrMember>,
    /// The recovery state that the leader reports.
    pub recovery: LeaderRecovery,
}

/// A proposed in-sync replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    /// Number of the broker.
    pub broker_id: BrokerId,
    /// Its epoch as the leader saw it when the follower last fetched (KIP-903); `None`: not checked.
    pub broker_epoch: Option<BrokerEpoch>,
}

/// An election for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateLeader {
    /// Topic of the partition.
    pub topic: TopicRef,
    /// Number of the partition.
    pub partition_id: PartitionId,
    /// Which rule picks the leader.
    pub election: Election,
    /// If given, must be the leader epoch in force.
    pub leader_epoch: Option<LeaderEpoch>,
    /// If given, must be the partition epoch in force.
    pub partition_epoch: Option<PartitionEpoch>,
}

/// The rule of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica, if in sync.
    Preferred,
    /// For a partition without a leader: an in-sync replica, else any live one if
    /// `unclean.leader.election.enable` is set on the topic. Acknowledged records may be lost.
    Unclean,
    /// This broker, if in sync.
    Designated(BrokerId),
}

/// A broker that wants to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBroker {
    /// Number of the broker.
    pub broker_id: BrokerId,
    /// The cluster that the broker believes to belong to; `None`: not checked.
    pub cluster_id: Option<ClusterId>,
    /// The run of the process; brokers of the Java system send none.
    pub incarnation: Option<BrokerIncarnation>,
    /// Host that clients connect to.
    pub host: Host,
    /// Port that clients connect to. Range: 1 to 65535.
    pub port: u16,
    /// Failure domain for placement.
    pub rack: Option<Rack>,
}

/// A registration of a broker: number and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerSession {
    /// Number of the broker.
    pub broker_id: BrokerId,
    /// Epoch of the registration.
    pub epoch: BrokerEpoch,
}

impl Command {
    /// The name of the command in the log, for example `CREATE_TOPIC`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateTopic(_) => "CREATE_TOPIC",
            Self::DeleteTopic(_) => "DELETE_TOPIC",
            Self::UpdatePartition(_) => "UPDATE_PARTITION",
            Self::UpdateLeader(_) => "UPDATE_LEADER",
            Self::RegisterBroker(_) => "REGISTER_BROKER",
            Self::FenceBroker(_) => "FENCE_BROKER",
            Self::UnfenceBroker(_) => "UNFENCE_BROKER",
            Self::SetFeatureLevel(_) => "SET_FEATURE_LEVEL",
        }
    }
}
