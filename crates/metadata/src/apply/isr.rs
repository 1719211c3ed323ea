//! `UPDATE_PARTITION`: what a partition's leader may make of its in-sync replicas (KIP-841, KIP-903, KIP-704).

use std::sync::Arc;

use super::context::{Context, Decision};
use crate::changes::Change;
use crate::command::{IsrMember, UpdatePartition};
use crate::election::{Standing, revise};
use crate::ids::BrokerId;
use crate::image::Image;
use crate::mutant;
use crate::outcome::{Rejection, RejectionCode, Reply};
use crate::partition::{LeaderRecovery, Partition};

/// Replaces the ISR. The rules are checked in Kafka's order; the same ISR again is no change.
pub(super) fn update(
    context: &Context<'_>,
    update: &UpdatePartition,
) -> Result<Decision, Rejection> {
    context.broker(update.broker_id, update.broker_epoch)?;
    let topic = context.topic(&update.topic)?;
    let partition = context.partition(topic, update.partition_id)?;
    check_epochs(partition, update)?;
    check_members(partition, update)?;
    check_recovery(partition, update)?;
    for member in &update.new_isr {
        check_eligible(context.image, member)?;
    }
    let proposed = |broker: &BrokerId| update.new_isr.iter().any(|m| m.broker_id == *broker);
    let standing = Standing {
        leader: partition.leader,
        isr: partition
            .replicas
            .iter()
            .copied()
            .filter(proposed)
            .collect(),
        recovery: update.recovery,
    };
    Ok(match revise(partition, standing) {
        None => Decision::new(Reply::PartitionUpdated(Arc::clone(partition)), Vec::new()),
        Some(row) => Decision::new(
            Reply::PartitionUpdated(Arc::clone(&row)),
            vec![Change::PutPartition(row)],
        ),
    })
}

/// A caller that is ahead of us spoke with a newer controller; one that is behind must read again.
fn check_epochs(partition: &Partition, update: &UpdatePartition) -> Result<(), Rejection> {
    let ahead = "the caller is ahead of this controller, whose epoch is";
    if update.partition_epoch > partition.partition_epoch {
        let rule = format!("{ahead} {}", partition.partition_epoch);
        return Err(stale(
            RejectionCode::NotController,
            "partitionEpoch",
            update,
            &rule,
        ));
    }
    if update.leader_epoch > partition.leader_epoch {
        let rule = format!("{ahead} {}", partition.leader_epoch);
        return Err(stale(
            RejectionCode::NotController,
            "leaderEpoch",
            update,
            &rule,
        ));
    }
    if update.leader_epoch < partition.leader_epoch {
        let rule = format!("the leader epoch in force is {}", partition.leader_epoch);
        return Err(stale(
            RejectionCode::FencedLeaderEpoch,
            "leaderEpoch",
            update,
            &rule,
        ));
    }
    if partition.leader != Some(update.broker_id) {
        let leader = partition
            .leader
            .map_or_else(|| "nobody".to_owned(), |id| id.to_string());
        let rule = format!("only the partition's leader may change its ISR, and that is {leader}");
        return Err(invalid("brokerId", update.broker_id, &rule));
    }
    if update.partition_epoch < partition.partition_epoch && !mutant::is("stale-epoch-taken") {
        let rule = format!(
            "the partition epoch in force is {}",
            partition.partition_epoch
        );
        return Err(stale(
            RejectionCode::InvalidUpdateVersion,
            "partitionEpoch",
            update,
            &rule,
        ));
    }
    Ok(())
}

/// The ISR is a subset of the replicas and contains the leader.
fn check_members(partition: &Partition, update: &UpdatePartition) -> Result<(), Rejection> {
    let stranger = update
        .new_isr
        .iter()
        .find(|member| !partition.is_replica(member.broker_id));
    if let Some(member) = stranger {
        let rule = format!("the replicas are {}", list(&partition.replicas));
        return Err(invalid("isr", member.broker_id, &rule));
    }
    let leads = |member: &IsrMember| Some(member.broker_id) == partition.leader;
    if update.new_isr.iter().any(leads) {
        return Ok(());
    }
    let members: Vec<BrokerId> = update
        .new_isr
        .iter()
        .map(|member| member.broker_id)
        .collect();
    let rule = format!("it must contain the leader, {}", update.broker_id);
    Err(invalid("isr", list(&members), &rule))
}

/// A leader that recovers is alone in the ISR, and what is recovered stays so until the next unclean election.
fn check_recovery(partition: &Partition, update: &UpdatePartition) -> Result<(), Rejection> {
    if update.recovery == LeaderRecovery::Recovered {
        return Ok(());
    }
    if partition.recovery == LeaderRecovery::Recovered {
        let rule = "the leader has recovered; only an unclean election begins a recovery";
        return Err(invalid("leaderRecoveryState", "RECOVERING", rule));
    }
    if update.new_isr.len() > 1 {
        let rule = "while the leader recovers, the ISR is the leader alone";
        return Err(invalid("leaderRecoveryState", "RECOVERING", rule));
    }
    Ok(())
}

/// Only a live registration of the epoch that the leader saw may be in sync.
fn check_eligible(image: &Image, member: &IsrMember) -> Result<(), Rejection> {
    let refuse = |rule: &str| {
        Err(Rejection::new(
            RejectionCode::IneligibleReplica,
            "isr",
            member.broker_id,
            rule,
        ))
    };
    match image.broker(member.broker_id) {
        None => refuse("the broker is not registered"),
        Some(broker) if broker.fenced => refuse("the broker is fenced"),
        Some(broker)
            if member
                .broker_epoch
                .is_some_and(|epoch| epoch != broker.epoch) =>
        {
            refuse(&format!("the broker's epoch in force is {}", broker.epoch))
        }
        Some(_) => Ok(()),
    }
}

fn stale(code: RejectionCode, field: &str, update: &UpdatePartition, rule: &str) -> Rejection {
    let epoch = match field {
        "leaderEpoch" => update.leader_epoch.0,
        _ => update.partition_epoch.0,
    };
    Rejection::new(code, field, epoch, rule)
}

fn invalid(field: &str, value: impl std::fmt::Display, rule: &str) -> Rejection {
    Rejection::new(RejectionCode::InvalidRequest, field, value, rule)
}

fn list(brokers: &[BrokerId]) -> String {
    let numbers: Vec<String> = brokers.iter().map(BrokerId::to_string).collect();
    format!("[{}]", numbers.join(", "))
}
