//! From rows of the domain to shapes of the wire.

use dmq_api::rest::brokers::{BrokerResponse, BrokerStatus};
use dmq_api::rest::controller::NodeState as WireState;
use dmq_api::rest::membership::Membership;
use dmq_api::rest::quorum::{SnapshotResponse, VoterBody};
use dmq_api::rest::topics::{PartitionResponse, RecoveryState, TopicResponse, TopicSummary};
use dmq_metadata::{Broker, BrokerId, Image, LeaderRecovery, Partition, Topic};

use crate::handle::{self, NodeState, SnapshotInfo, Voter};

/// A topic with the partitions that the image has.
pub(super) fn topic(image: &Image, topic: &Topic) -> TopicResponse {
    TopicResponse {
        topic_name: topic.name.to_string(),
        topic_id: topic.id.0,
        num_partitions: topic.partition_count,
        replication_factor: topic.replication_factor,
        created_at: topic.created_at.0,
        created_index: topic.created_index.0,
        configs: topic
            .configs
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        partitions: image
            .partitions_of(topic.id)
            .map(|row| partition(row))
            .collect(),
    }
}

/// A line of the list of topics.
pub(super) fn topic_summary(topic: &Topic) -> TopicSummary {
    TopicSummary {
        topic_name: topic.name.to_string(),
        topic_id: topic.id.0,
        num_partitions: topic.partition_count,
        replication_factor: topic.replication_factor,
    }
}

/// A partition.
pub(super) fn partition(partition: &Partition) -> PartitionResponse {
    PartitionResponse {
        partition_id: partition.partition_id.0,
        leader_id: partition.leader.map(|leader| leader.0),
        leader_epoch: partition.leader_epoch.0,
        partition_epoch: partition.partition_epoch.0,
        replicas: ids(&partition.replicas),
        isr: ids(&partition.isr),
        leader_recovery_state: match partition.recovery {
            LeaderRecovery::Recovered => RecoveryState::Recovered,
            LeaderRecovery::Recovering => RecoveryState::Recovering,
        },
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<u32> {
    brokers.iter().map(|broker| broker.0).collect()
}

/// A broker.
pub(super) fn broker(broker: &Broker) -> BrokerResponse {
    BrokerResponse {
        id: broker.id.0,
        host: broker.host.to_string(),
        port: broker.port,
        rack: broker.rack.as_ref().map(ToString::to_string),
        status: if broker.fenced {
            BrokerStatus::Offline
        } else {
            BrokerStatus::Online
        },
        address: broker.address(),
        registered_at: broker.registered_at.0,
        broker_epoch: broker.epoch.0,
        incarnation_id: broker.incarnation.map(|incarnation| incarnation.0),
        fenced: broker.fenced,
    }
}

/// A node's role.
pub(super) const fn state(state: NodeState) -> WireState {
    match state {
        NodeState::Uninitialized => WireState::Uninitialized,
        NodeState::Follower => WireState::Follower,
        NodeState::PreCandidate => WireState::PreCandidate,
        NodeState::Candidate => WireState::Candidate,
        NodeState::Leader => WireState::Leader,
        NodeState::Observer => WireState::Observer,
    }
}

/// A snapshot.
pub(super) fn snapshot(snapshot: &SnapshotInfo) -> SnapshotResponse {
    SnapshotResponse {
        index: snapshot.index.0,
        term: snapshot.term.0,
        size_bytes: snapshot.size_bytes,
        state_hash: snapshot.state_hash.to_string(),
        feature_level: snapshot.feature_level.0,
    }
}

/// A voter.
pub(super) const fn voter(voter: &Voter) -> VoterBody {
    VoterBody {
        id: voter.id.0,
        directory_id: voter.directory.0,
    }
}

/// A configuration.
pub(super) fn membership(membership: &handle::Membership) -> Membership {
    Membership {
        membership_index: membership.index.0,
        voters: membership.voters.iter().map(voter).collect(),
        observers: membership.observers.iter().map(voter).collect(),
    }
}

/// Milliseconds since 1970-01-01 UTC by this node's clock, for people.
pub(super) fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
