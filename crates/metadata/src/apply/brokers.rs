//! `REGISTER_BROKER`, `FENCE_BROKER` and `UNFENCE_BROKER`: who serves, and what becomes of its partitions.

use std::sync::Arc;

use super::context::{Context, Decision};
use crate::broker::Broker;
use crate::changes::Change;
use crate::command::{BrokerSession, RegisterBroker};
use crate::election::{Standing, elect, revise, without_broker};
use crate::ids::{BrokerEpoch, BrokerId};
use crate::image::Image;
use crate::outcome::{Rejection, RejectionCode, Reply};
use crate::partition::Partition;

/// Registers a broker, fenced. The same run of it amends its registration and keeps its epoch; another run gets a
/// new epoch, but only once the one before is fenced.
pub(super) fn register(
    context: &Context<'_>,
    register: &RegisterBroker,
) -> Result<Decision, Rejection> {
    check_cluster(context.image, register)?;
    let existing = context.image.broker(register.broker_id);
    let row = match existing {
        Some(existing) if is_same_run(existing, register) => amended(context, existing, register),
        Some(existing) if !existing.fenced => return Err(duplicate(existing, register)),
        Some(_) | None => Arc::new(registration(context, register)),
    };
    let changed = existing != Some(&row);
    let changes = if changed {
        vec![Change::PutBroker(Arc::clone(&row))]
    } else {
        Vec::new()
    };
    Ok(Decision::new(Reply::BrokerRegistered(row), changes))
}

/// Ends the broker's session: it leads nothing and leaves every ISR of which it is not the last member.
pub(super) fn fence(context: &Context<'_>, session: BrokerSession) -> Result<Decision, Rejection> {
    let broker = context.broker(session.broker_id, session.epoch)?;
    let changes = if broker.fenced {
        Vec::new()
    } else {
        fence_changes(context.image, broker)
    };
    let BrokerSession { broker_id, epoch } = session;
    let partitions_changed = partitions_among(&changes);
    Ok(Decision::new(
        Reply::BrokerFenced {
            broker_id,
            epoch,
            partitions_changed,
        },
        changes,
    ))
}

/// Begins the broker's session: partitions that waited for it get a leader.
pub(super) fn unfence(
    context: &Context<'_>,
    session: BrokerSession,
) -> Result<Decision, Rejection> {
    let broker = context.broker(session.broker_id, session.epoch)?;
    let changes = if broker.fenced {
        unfence_changes(context.image, broker)
    } else {
        Vec::new()
    };
    let BrokerSession { broker_id, epoch } = session;
    let partitions_changed = partitions_among(&changes);
    Ok(Decision::new(
        Reply::BrokerUnfenced {
            broker_id,
            epoch,
            partitions_changed,
        },
        changes,
    ))
}

fn check_cluster(image: &Image, register: &RegisterBroker) -> Result<(), Rejection> {
    match &register.cluster_id {
        Some(id) if id != image.cluster_id() => {
            let rule = format!("this is cluster {}", image.cluster_id());
            let code = RejectionCode::InconsistentClusterId;
            Err(Rejection::new(code, "clusterId", id, &rule))
        }
        Some(_) | None => Ok(()),
    }
}

/// A broker that knows no incarnations is taken for the same run as long as it comes from the same address.
fn is_same_run(existing: &Broker, register: &RegisterBroker) -> bool {
    match (existing.incarnation, register.incarnation) {
        (Some(old), Some(new)) => old == new,
        (None, None) => existing.host == register.host && existing.port == register.port,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The registration with the fields that the broker gives now; the row that exists if they are the same.
fn amended(
    context: &Context<'_>,
    existing: &Arc<Broker>,
    register: &RegisterBroker,
) -> Arc<Broker> {
    let mut row = Broker::clone(existing);
    row.host = register.host.clone();
    row.port = register.port;
    row.rack.clone_from(&register.rack);
    if row == **existing {
        return Arc::clone(existing);
    }
    row.registered_index = context.index;
    Arc::new(row)
}

fn registration(context: &Context<'_>, register: &RegisterBroker) -> Broker {
    Broker {
        id: register.broker_id,
        epoch: BrokerEpoch(context.index.0),
        incarnation: register.incarnation,
        host: register.host.clone(),
        port: register.port,
        rack: register.rack.clone(),
        fenced: true,
        registered_at: context.envelope.wall_clock,
        registered_index: context.index,
    }
}

fn duplicate(existing: &Broker, register: &RegisterBroker) -> Rejection {
    let rule = format!(
        "another run of this broker is alive, at {} with epoch {}; it must be fenced first",
        existing.address(),
        existing.epoch
    );
    Rejection::new(
        RejectionCode::DuplicateBrokerRegistration,
        "brokerId",
        register.broker_id,
        &rule,
    )
}

fn fence_changes(image: &Image, broker: &Broker) -> Vec<Change> {
    let is_active = |id: BrokerId| id != broker.id && image.is_active(id);
    let concerned = |row: &&Arc<Partition>| {
        row.leader == Some(broker.id) || (row.is_in_sync(broker.id) && row.isr.len() > 1)
    };
    let moved = |old: &Arc<Partition>| {
        let rest = without_broker(old, broker.id);
        let standing = match rest.leader {
            Some(_) => Standing::of(&rest),
            None => elect(&rest, is_active, allows_unclean(image, old)),
        };
        revise(old, standing).map(Change::PutPartition)
    };
    let mut changes = vec![fenced(broker, true)];
    changes.extend(
        image
            .partitions_on(broker.id)
            .filter(concerned)
            .filter_map(moved),
    );
    changes
}

fn unfence_changes(image: &Image, broker: &Broker) -> Vec<Change> {
    let is_active = |id: BrokerId| id == broker.id || image.is_active(id);
    let waited = |row: &&Arc<Partition>| row.is_replica(broker.id);
    let led = |old: &Arc<Partition>| {
        revise(old, elect(old, is_active, allows_unclean(image, old))).map(Change::PutPartition)
    };
    let mut changes = vec![fenced(broker, false)];
    changes.extend(image.offline_partitions().filter(waited).filter_map(led));
    changes
}

fn fenced(broker: &Broker, fenced: bool) -> Change {
    Change::PutBroker(Arc::new(Broker {
        fenced,
        ..broker.clone()
    }))
}

fn allows_unclean(image: &Image, partition: &Partition) -> bool {
    let topic = image.topic_by_id(partition.topic_id);
    topic.is_some_and(|topic| topic.configs.unclean_leader_election())
}

fn partitions_among(changes: &[Change]) -> u32 {
    let partitions = changes
        .iter()
        .filter(|change| matches!(change, Change::PutPartition(_)));
    u32::try_from(partitions.count()).unwrap_or(u32::MAX)
}
