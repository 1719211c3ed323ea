//! `CREATE_TOPIC` and `DELETE_TOPIC`.

use std::sync::Arc;

use super::context::{Context, Decision};
use crate::changes::Change;
use crate::command::{CreateTopic, DeleteTopic, TopicLayout};
use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionId};
use crate::image::Image;
use crate::mutant;
use crate::outcome::{Rejection, RejectionCode, Reply};
use crate::partition::{LeaderRecovery, Partition};
use crate::placement::{self, Candidate};
use crate::topic::Topic;

/// Creates the topic and all its partitions in one entry.
pub(super) fn create(context: &Context<'_>, create: &CreateTopic) -> Result<Decision, Rejection> {
    check_free(context.image, create)?;
    let replicas = lay_out(context, &create.layout)?;
    let topic = new_topic(context, create, &replicas);
    let reply = Reply::TopicCreated {
        topic_id: topic.id,
        name: topic.name.clone(),
        partition_count: topic.partition_count,
        replication_factor: topic.replication_factor,
    };
    let mut changes = vec![Change::PutTopic(Arc::new(topic))];
    for (partition_id, replicas) in (0..).map(PartitionId).zip(replicas) {
        let partition = new_partition(context.image, create, partition_id, replicas)?;
        changes.push(Change::PutPartition(Arc::new(partition)));
    }
    Ok(Decision::new(reply, changes))
}

/// Deletes the topic, its settings and all its partitions.
pub(super) fn delete(context: &Context<'_>, delete: &DeleteTopic) -> Result<Decision, Rejection> {
    let topic = context.topic(&delete.topic)?;
    let reply = Reply::TopicDeleted {
        topic_id: topic.id,
        name: topic.name.clone(),
    };
    let changes = vec![
        Change::DeletePartitions(topic.id),
        Change::DeleteTopic(topic.id),
    ];
    Ok(Decision::new(reply, changes))
}

/// Neither id nor name may be taken, and the name may not collide in metric names.
fn check_free(image: &Image, create: &CreateTopic) -> Result<(), Rejection> {
    let exists = RejectionCode::TopicAlreadyExists;
    if let Some(topic) = image.topic_by_name(&create.name) {
        let rule = format!("the topic exists, with id {}", topic.id);
        return Err(Rejection::new(exists, "topicName", &create.name, &rule));
    }
    if let Some(topic) = image.colliding_topic(&create.name) {
        let rule = format!(
            "it collides with topic '{}': '.' and '_' count as the same",
            topic.name
        );
        return Err(Rejection::new(
            RejectionCode::InvalidTopic,
            "topicName",
            &create.name,
            &rule,
        ));
    }
    if let Some(topic) = image.topic_by_id(create.topic_id) {
        let rule = format!("topic '{}' has that id", topic.name);
        return Err(Rejection::new(exists, "topicId", create.topic_id, &rule));
    }
    Ok(())
}

/// The replicas of each partition.
fn lay_out(context: &Context<'_>, layout: &TopicLayout) -> Result<Vec<Vec<BrokerId>>, Rejection> {
    match layout {
        TopicLayout::Assigned(assigned) => {
            check_registered(context.image, assigned)?;
            Ok(assigned.clone())
        }
        TopicLayout::Automatic {
            partitions,
            replication_factor,
        } => {
            let candidates: Vec<Candidate> = context.image.brokers().map(candidate).collect();
            let mut seed = context.envelope.seed;
            if mutant::is("apply-not-deterministic") {
                seed ^= std::ptr::from_ref(context.image).addr() as u64;
            }
            placement::place(seed, &candidates, *partitions, *replication_factor)
        }
    }
}

fn candidate(broker: &Arc<crate::Broker>) -> Candidate {
    Candidate {
        id: broker.id,
        rack: broker.rack.clone(),
        fenced: broker.fenced,
    }
}

fn check_registered(image: &Image, assigned: &[Vec<BrokerId>]) -> Result<(), Rejection> {
    let unknown = assigned
        .iter()
        .flatten()
        .find(|broker| image.broker(**broker).is_none());
    unknown.map_or(Ok(()), |broker| {
        let rule = "no broker of that number is registered";
        Err(Rejection::new(
            RejectionCode::InvalidReplicaAssignment,
            "assignments",
            broker,
            rule,
        ))
    })
}

fn new_topic(context: &Context<'_>, create: &CreateTopic, replicas: &[Vec<BrokerId>]) -> Topic {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Topic {
        id: create.topic_id,
        name: create.name.clone(),
        partition_count: count(replicas.len()),
        replication_factor: count(replicas.first().map_or(0, Vec::len)),
        created_at: context.envelope.wall_clock,
        created_index: context.index,
        configs: create.configs.clone(),
    }
}

/// In sync from the start are the replicas on brokers that are not fenced; the first of them leads.
fn new_partition(
    image: &Image,
    create: &CreateTopic,
    partition_id: PartitionId,
    replicas: Vec<BrokerId>,
) -> Result<Partition, Rejection> {
    let isr: Vec<BrokerId> = replicas
        .iter()
        .copied()
        .filter(|broker| image.is_active(*broker))
        .collect();
    if isr.is_empty() {
        let rule = format!("all brokers of partition {partition_id} are fenced");
        let given = format!(
            "{:?}",
            replicas.iter().map(|broker| broker.0).collect::<Vec<_>>()
        );
        let code = RejectionCode::InvalidReplicaAssignment;
        return Err(Rejection::new(code, "assignments", given, &rule));
    }
    Ok(Partition {
        topic_id: create.topic_id,
        partition_id,
        replicas,
        leader: isr.first().copied(),
        isr,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        recovery: LeaderRecovery::Recovered,
    })
}
