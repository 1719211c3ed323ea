//! All metadata in one document, in the shape that brokers pull.

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::brokers::BrokerStatus;
use dmq_api::rest::controller::{
    ClusterBroker, ClusterPartition, ClusterResponse, ClusterTopic, ClusterTopicConfig,
    ControllerInfo, MetadataNode, ReplicaBroker,
};
use dmq_api::rest::query::ReadQuery;
use dmq_metadata::{Broker, BrokerId, Image, Partition, Topic, TopicConfigs};

use super::error::ApiError;
use super::extract::Params;
use super::large::LARGE_ANSWERS;
use super::topics::freshness;
use super::{convert, respond};
use crate::handle::{Handle, MemberStatus, NodeStatus};

/// A member is healthy if it was heard of within this time.
const HEALTHY_WITHIN_MS: u128 = 10_000;

/// All brokers, topics and partitions, and the quorum.
#[utoipa::path(
    get, path = "/api/v1/metadata/cluster", tag = "cluster", operation_id = "getCluster",
    params(ReadQuery),
    responses(
        (status = 200, description = "The metadata", body = ClusterResponse),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_cluster(
    State(handle): State<Handle>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let view = handle.read(freshness(&query)?).await?;
    let status = handle.status();
    let build = move || {
        let document = cluster(&view.image, &status, convert::now_ms());
        respond::viewed(&view, &document)
    };
    LARGE_ANSWERS.build(build).await
}

/// The document of an image and a status at a time.
pub(super) fn cluster(image: &Image, status: &NodeStatus, now: i64) -> ClusterResponse {
    ClusterResponse {
        version: image.index().0,
        cluster_id: image.cluster_id().to_string(),
        brokers: image.brokers().map(|row| broker(row)).collect(),
        topics: image
            .topics_by_name(None)
            .map(|row| topic(image, row))
            .collect(),
        timestamp: now,
        controller_leader_id: status.leader.map(|leader| leader.0),
        total_partitions: image.counts().partitions as u64,
        controller_info: ControllerInfo {
            controller_id: status.leader.map(|leader| leader.0),
            controller_url: status.leader_url.clone(),
            controller_term: status.term.0,
            timestamp: now,
        },
        active_metadata_nodes: status
            .members()
            .map(|member| node(status, member, now))
            .collect(),
    }
}

fn broker(broker: &Broker) -> ClusterBroker {
    ClusterBroker {
        broker: convert::broker(broker),
        alive: !broker.fenced,
    }
}

fn topic(image: &Image, topic: &Topic) -> ClusterTopic {
    let partitions = image.partitions_of(topic.id);
    ClusterTopic {
        topic_name: topic.name.to_string(),
        partition_count: topic.partition_count,
        replication_factor: topic.replication_factor,
        created_at: topic.created_at.0,
        partitions: partitions
            .filter_map(|row| partition(image, topic, row))
            .collect(),
        config: config(&topic.configs),
    }
}

/// Brokers stumble over a partition without a leader: an offline one names its first in-sync replica.
fn partition(image: &Image, topic: &Topic, partition: &Partition) -> Option<ClusterPartition> {
    let leader = partition
        .leader
        .or_else(|| partition.isr.first().copied())?;
    let replicas = |ids: &[BrokerId]| ids.iter().map(|&id| replica(image, id)).collect();
    Some(ClusterPartition {
        topic_name: topic.name.to_string(),
        partition_id: partition.partition_id.0,
        leader: replica(image, leader),
        leader_epoch: partition.leader_epoch.0,
        replicas: replicas(&partition.replicas),
        isr: replicas(&partition.isr),
        start_offset: 0,
        end_offset: 0,
    })
}

fn replica(image: &Image, id: BrokerId) -> ReplicaBroker {
    let broker = image.broker(id);
    let online = image.is_active(id);
    ReplicaBroker {
        broker_id: id.0,
        host: broker.map(|broker| broker.host.to_string()),
        port: broker.map(|broker| broker.port),
        status: if online {
            BrokerStatus::Online
        } else {
            BrokerStatus::Offline
        },
        address: broker.map(|broker| broker.address()),
    }
}

/// Values are checked when they are set, so that a number is always one; should one not be, its default of
/// "no limit" harms least.
fn config(configs: &TopicConfigs) -> ClusterTopicConfig {
    let text = |name| configs.get(name).unwrap_or_default();
    let number = |name| text(name).parse().unwrap_or(-1);
    ClusterTopicConfig {
        retention_ms: number("retention.ms"),
        retention_bytes: number("retention.bytes"),
        segment_bytes: number("segment.bytes"),
        compression_type: text("compression.type").to_owned(),
        min_insync_replicas: i64::from(configs.min_insync_replicas()),
    }
}

fn node(status: &NodeStatus, member: &MemberStatus, now: i64) -> MetadataNode {
    let is_self = member.id == status.node;
    let silence = match &member.progress {
        _ if is_self => Some(0),
        Some(progress) => progress.last_contact.map(|contact| contact.as_millis()),
        None => None,
    };
    let is_known = is_self || member.progress.is_some();
    MetadataNode {
        id: member.id.0,
        url: if is_self {
            Some(status.url.clone())
        } else {
            member.url.clone()
        },
        is_leader: status.leader == Some(member.id),
        healthy: is_known.then(|| silence.is_some_and(|silence| silence <= HEALTHY_WITHIN_MS)),
        last_seen: silence.and_then(|silence| now.checked_sub(i64::try_from(silence).ok()?)),
    }
}
