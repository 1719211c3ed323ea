//! `UPDATE_LEADER`: elections on request.

use std::sync::Arc;

use super::context::{Context, Decision};
use crate::changes::Change;
use crate::command::{Election, UpdateLeader};
use crate::election::{self, Standing, revise};
use crate::ids::BrokerId;
use crate::image::Image;
use crate::outcome::{Rejection, RejectionCode, Reply};
use crate::partition::Partition;
use crate::topic::Topic;

/// Holds the election and gives the partition its new leader.
pub(super) fn elect(context: &Context<'_>, update: &UpdateLeader) -> Result<Decision, Rejection> {
    let topic = context.topic(&update.topic)?;
    let partition = context.partition(topic, update.partition_id)?;
    check_epochs(partition, update)?;
    let standing = match update.election {
        Election::Preferred => preferred(context.image, partition)?,
        Election::Designated(broker) => designated(context.image, partition, broker)?,
        Election::Unclean => unclean(context.image, topic, partition)?,
    };
    let row = revise(partition, standing).unwrap_or_else(|| Arc::clone(partition));
    let reply = Reply::LeaderElected(Arc::clone(&row));
    Ok(Decision::new(reply, vec![Change::PutPartition(row)]))
}

/// Whoever gives an epoch wants the election only if nothing has happened since.
fn check_epochs(partition: &Partition, update: &UpdateLeader) -> Result<(), Rejection> {
    if let Some(epoch) = update
        .leader_epoch
        .filter(|epoch| *epoch != partition.leader_epoch)
    {
        let rule = format!("the leader epoch in force is {}", partition.leader_epoch);
        let code = RejectionCode::FencedLeaderEpoch;
        return Err(Rejection::new(code, "leaderEpoch", epoch, &rule));
    }
    if let Some(epoch) = update
        .partition_epoch
        .filter(|epoch| *epoch != partition.partition_epoch)
    {
        let rule = format!(
            "the partition epoch in force is {}",
            partition.partition_epoch
        );
        let code = RejectionCode::InvalidUpdateVersion;
        return Err(Rejection::new(code, "partitionEpoch", epoch, &rule));
    }
    Ok(())
}

fn preferred(image: &Image, partition: &Partition) -> Result<Standing, Rejection> {
    let unavailable = |value: String, rule: &str| {
        Rejection::new(
            RejectionCode::PreferredLeaderNotAvailable,
            "type",
            value,
            rule,
        )
    };
    let Some(broker) = partition.preferred_leader() else {
        return Err(unavailable(
            "PREFERRED".to_owned(),
            "the partition has no replicas",
        ));
    };
    if partition.leader == Some(broker) {
        return Err(not_needed("type", "PREFERRED", broker));
    }
    let obstacle = obstacle(image, partition, broker);
    obstacle.map_or_else(
        || Ok(led_by(partition, broker)),
        |obstacle| {
            let rule = format!("the preferred replica, broker {broker}, {obstacle}");
            Err(unavailable("PREFERRED".to_owned(), &rule))
        },
    )
}

fn designated(
    image: &Image,
    partition: &Partition,
    broker: BrokerId,
) -> Result<Standing, Rejection> {
    if partition.leader == Some(broker) {
        return Err(not_needed("brokerId", broker, broker));
    }
    obstacle(image, partition, broker).map_or_else(
        || Ok(led_by(partition, broker)),
        |obstacle| {
            let rule = format!("the broker {obstacle}");
            Err(Rejection::new(
                RejectionCode::IneligibleReplica,
                "brokerId",
                broker,
                &rule,
            ))
        },
    )
}

fn unclean(image: &Image, topic: &Topic, partition: &Partition) -> Result<Standing, Rejection> {
    if let Some(leader) = partition.leader {
        return Err(not_needed("type", "UNCLEAN", leader));
    }
    let allowed = topic.configs.unclean_leader_election();
    let standing = election::elect(partition, |broker| image.is_active(broker), allowed);
    if standing.leader.is_some() {
        return Ok(standing);
    }
    let rule = if allowed {
        "every replica is on a fenced broker"
    } else {
        "no in-sync replica is live, and unclean.leader.election.enable is false on the topic"
    };
    Err(Rejection::new(
        RejectionCode::EligibleLeadersNotAvailable,
        "type",
        "UNCLEAN",
        rule,
    ))
}

/// Why the broker may not lead, if so.
fn obstacle(image: &Image, partition: &Partition, broker: BrokerId) -> Option<&'static str> {
    if !partition.is_replica(broker) {
        Some("holds no replica of the partition")
    } else if !partition.is_in_sync(broker) {
        Some("is not in sync")
    } else if !image.is_active(broker) {
        Some("is fenced")
    } else {
        None
    }
}

fn led_by(partition: &Partition, broker: BrokerId) -> Standing {
    Standing {
        leader: Some(broker),
        ..Standing::of(partition)
    }
}

fn not_needed(field: &str, value: impl std::fmt::Display, leader: BrokerId) -> Rejection {
    let rule = format!("broker {leader} leads the partition already");
    Rejection::new(RejectionCode::ElectionNotNeeded, field, value, &rule)
}
