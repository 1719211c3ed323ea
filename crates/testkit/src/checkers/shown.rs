//! How an image has to look through REST: written a second time, so that the server's own rendering is checked too.

use std::collections::BTreeMap;

use dmq_api::rest::brokers::{BrokerResponse, BrokerStatus};
use dmq_api::rest::topics::{
    PartitionResponse, RecoveryState, TopicList, TopicResponse, TopicSummary,
};
use dmq_metadata::{Broker, Image, LeaderRecovery, Partition, TopicName};

use crate::chaos::operation::PAGE;

/// The answer to `GET /topics/{name}`, if there is such a topic.
pub fn topic(image: &Image, name: &str) -> Option<TopicResponse> {
    let topic = image.topic_by_name(&TopicName::parse(name).ok()?)?;
    let configs = topic
        .configs
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(TopicResponse {
        topic_name: name.to_owned(),
        topic_id: topic.id.0,
        num_partitions: topic.partition_count,
        replication_factor: topic.replication_factor,
        created_at: topic.created_at.0,
        created_index: topic.created_index.0,
        configs: configs.collect::<BTreeMap<_, _>>(),
        partitions: image
            .partitions_of(topic.id)
            .map(|row| partition(row))
            .collect(),
    })
}

/// A partition as every answer shows it.
pub fn partition(row: &Partition) -> PartitionResponse {
    PartitionResponse {
        partition_id: row.partition_id.0,
        leader_id: row.leader.map(|leader| leader.0),
        leader_epoch: row.leader_epoch.0,
        partition_epoch: row.partition_epoch.0,
        replicas: row.replicas.iter().map(|id| id.0).collect(),
        isr: row.isr.iter().map(|id| id.0).collect(),
        leader_recovery_state: match row.recovery {
            LeaderRecovery::Recovered => RecoveryState::Recovered,
            LeaderRecovery::Recovering => RecoveryState::Recovering,
        },
    }
}

/// A broker as every answer shows it.
pub fn broker(row: &Broker) -> BrokerResponse {
    BrokerResponse {
        id: row.id.0,
        host: row.host.to_string(),
        port: row.port,
        rack: row.rack.as_ref().map(ToString::to_string),
        status: if row.fenced {
            BrokerStatus::Offline
        } else {
            BrokerStatus::Online
        },
        address: format!("{}:{}", row.host, row.port),
        registered_at: row.registered_at.0,
        broker_epoch: row.epoch.0,
        incarnation_id: row.incarnation.map(|incarnation| incarnation.0),
        fenced: row.fenced,
    }
}

/// The first page of the topics with a prefix.
pub fn list(image: &Image, prefix: &str) -> TopicList {
    // Everything with the prefix lies behind the prefix without its last character.
    let shorter = prefix.get(..prefix.len().saturating_sub(1));
    let before = shorter.and_then(|name| TopicName::parse(name).ok());
    let matching = || {
        let topics = image.topics_by_name(before.as_ref());
        let behind = topics.skip_while(|topic| topic.name.as_str() < prefix);
        behind.take_while(|topic| topic.name.as_str().starts_with(prefix))
    };
    let topics: Vec<TopicSummary> = matching()
        .take(PAGE as usize)
        .map(|topic| TopicSummary {
            topic_name: topic.name.to_string(),
            topic_id: topic.id.0,
            num_partitions: topic.partition_count,
            replication_factor: topic.replication_factor,
        })
        .collect();
    let more = matching().nth(PAGE as usize).is_some();
    let next = topics
        .last()
        .filter(|_| more)
        .map(|topic| topic.topic_name.clone());
    TopicList {
        topics,
        next,
        total: image.topics().count() as u64,
    }
}
