//! Checks that need no state: what may be refused before the log (DESIGN 6.6). Apply makes them again.

use std::collections::BTreeSet;
use std::fmt::Display;

use uuid::Uuid;

use crate::command::{
    Command, CreateTopic, PARTITIONS_PER_COMMAND_MAX, REPLICAS_PER_COMMAND_MAX, RegisterBroker,
    TopicLayout, UpdatePartition,
};
use crate::ids::{BrokerId, FeatureLevel};
use crate::outcome::{Rejection, RejectionCode};

/// Ids that Kafka keeps for itself: nil, and the one of its metadata topic.
const RESERVED_TOPIC_IDS: [Uuid; 2] = [Uuid::nil(), Uuid::from_u128(1)];

/// Checks sizes, ranges and contradictions within a command.
///
/// # Errors
/// The first rule that is broken.
pub fn check(command: &Command) -> Result<(), Rejection> {
    match command {
        Command::CreateTopic(create) => check_create(create),
        Command::UpdatePartition(update) => check_isr(update),
        Command::RegisterBroker(register) => check_registration(register),
        Command::SetFeatureLevel(level) => check_level(*level),
        Command::DeleteTopic(_)
        | Command::UpdateLeader(_)
        | Command::FenceBroker(_)
        | Command::UnfenceBroker(_) => Ok(()),
    }
}

/// Checks the number of partitions and replicas that one command may create.
///
/// # Errors
/// `INVALID_PARTITIONS`, `INVALID_REPLICATION_FACTOR`.
pub fn check_size(partitions: u32, replication_factor: u32) -> Result<(), Rejection> {
    check_size_of(
        ["numPartitions", "replicationFactor"],
        partitions,
        replication_factor,
    )
}

/// Checks the two numbers; the fields are those that the caller gave them by.
fn check_size_of(
    [partitions_field, factor_field]: [&str; 2],
    partitions: u32,
    replication_factor: u32,
) -> Result<(), Rejection> {
    if !(1..=PARTITIONS_PER_COMMAND_MAX).contains(&partitions) {
        let rule = format!("one command creates 1 to {PARTITIONS_PER_COMMAND_MAX} partitions");
        let code = RejectionCode::InvalidPartitions;
        return Err(Rejection::new(code, partitions_field, partitions, &rule));
    }
    let refuse = |rule: &str| {
        let code = RejectionCode::InvalidReplicationFactor;
        Err(Rejection::new(code, factor_field, replication_factor, rule))
    };
    if replication_factor == 0 {
        return refuse("a partition has at least 1 replica");
    }
    if partitions.saturating_mul(replication_factor) > REPLICAS_PER_COMMAND_MAX {
        return refuse(&format!(
            "one command creates at most {REPLICAS_PER_COMMAND_MAX} replicas"
        ));
    }
    Ok(())
}

fn check_create(create: &CreateTopic) -> Result<(), Rejection> {
    if RESERVED_TOPIC_IDS.contains(&create.topic_id.0) {
        let rule = "this id is reserved";
        let code = RejectionCode::InvalidRequest;
        return Err(Rejection::new(code, "topicId", create.topic_id, rule));
    }
    match &create.layout {
        TopicLayout::Automatic {
            partitions,
            replication_factor,
        } => check_size(*partitions, *replication_factor),
        TopicLayout::Assigned(assigned) => check_assigned(assigned),
    }
}

/// Every partition has the same number of replicas, at least one, on different brokers.
fn check_assigned(assigned: &[Vec<BrokerId>]) -> Result<(), Rejection> {
    let factor = assigned.first().map_or(1, Vec::len);
    let field = "assignments";
    check_size_of([field; 2], count(assigned.len()), count(factor))?;
    let code = RejectionCode::InvalidReplicaAssignment;
    for (partition, replicas) in assigned.iter().enumerate() {
        if replicas.len() != factor {
            let value = format!("{} replicas for partition {partition}", replicas.len());
            let rule = format!("every partition has as many replicas as the first one, {factor}");
            return Err(Rejection::new(code, field, value, &rule));
        }
        if let Some(broker) = twice(replicas.iter().copied()) {
            let rule = format!("the broker appears twice in partition {partition}");
            return Err(Rejection::new(code, field, broker, &rule));
        }
    }
    Ok(())
}

fn check_isr(update: &UpdatePartition) -> Result<(), Rejection> {
    let code = RejectionCode::InvalidRequest;
    if update.new_isr.is_empty() {
        return Err(Rejection::new(
            code,
            "isr",
            "[]",
            "it has at least one member, the leader",
        ));
    }
    twice(update.new_isr.iter().map(|member| member.broker_id)).map_or(Ok(()), |broker| {
        Err(Rejection::new(
            code,
            "isr",
            broker,
            "the broker appears twice",
        ))
    })
}

fn check_registration(register: &RegisterBroker) -> Result<(), Rejection> {
    if register.port == 0 {
        let rule = "a port from 1 to 65535";
        return Err(Rejection::new(
            RejectionCode::InvalidRegistration,
            "port",
            0,
            rule,
        ));
    }
    Ok(())
}

fn check_level(level: FeatureLevel) -> Result<(), Rejection> {
    if level > FeatureLevel::MAX {
        let rule = format!("this version supports levels up to {}", FeatureLevel::MAX);
        let code = RejectionCode::UnsupportedVersion;
        return Err(Rejection::new(code, "featureLevel", level, &rule));
    }
    Ok(())
}

/// The first item that came before.
fn twice<T: Ord + Copy + Display>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
