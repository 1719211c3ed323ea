//! Who leads a partition: the rules of elections, and what changes with a leader or an ISR.

use std::sync::Arc;

use crate::ids::BrokerId;
use crate::mutant;
use crate::partition::{LeaderRecovery, Partition};

/// The part of a partition that elections and ISR changes set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Who leads.
    pub(crate) leader: Option<BrokerId>,
    /// Who is in sync, in the order of the replicas.
    pub(crate) isr: Vec<BrokerId>,
    /// Whether the leader has to recover.
    pub(crate) recovery: LeaderRecovery,
}

/// The row with this standing and the epochs that it takes; `None` if it is the one it has.
pub(crate) fn revise(old: &Partition, standing: Standing) -> Option<Arc<Partition>> {
    if standing == Standing::of(old) {
        return None;
    }
    let changed = standing.leader != old.leader;
    Some(Arc::new(Partition {
        topic_id: old.topic_id,
        partition_id: old.partition_id,
        replicas: old.replicas.clone(),
        isr: standing.isr,
        leader: standing.leader,
        leader_epoch: if changed {
            old.leader_epoch.next()
        } else {
            old.leader_epoch
        },
        partition_epoch: old.partition_epoch.next(),
        recovery: standing.recovery,
    }))
}

/// The standing after an election without a wish: the first in-sync replica that is active leads; else, if `unclean`
/// elections are allowed, the first active replica, which must recover then; else nobody.
pub(crate) fn elect(
    partition: &Partition,
    is_active: impl Fn(BrokerId) -> bool,
    unclean: bool,
) -> Standing {
    let mut active = partition
        .replicas
        .iter()
        .copied()
        .filter(|broker| is_active(*broker));
    let eligible = |broker| partition.is_in_sync(broker) || mutant::is("leader-out-of-sync");
    let in_sync = active.clone().find(|broker| eligible(*broker));
    match (in_sync, active.next().filter(|_| unclean)) {
        (Some(leader), _) => Standing {
            leader: Some(leader),
            ..Standing::of(partition)
        },
        (None, Some(leader)) => Standing {
            leader: Some(leader),
            isr: vec![leader],
            recovery: LeaderRecovery::Recovering,
        },
        (None, None) => Standing {
            leader: None,
            ..Standing::of(partition)
        },
    }
}

/// The partition as it is when the broker's session has ended: out of the ISR unless it is the last member,
/// and without the leadership.
pub(crate) fn without_broker(partition: &Partition, broker: BrokerId) -> Partition {
    let mut rest = partition.clone();
    if rest.isr != [broker] {
        rest.isr.retain(|member| *member != broker);
    }
    rest.leader = rest.leader.filter(|leader| *leader != broker);
    rest
}

impl Standing {
    /// The standing of a row.
    pub(crate) fn of(partition: &Partition) -> Self {
        Self {
            leader: partition.leader,
            isr: partition.isr.clone(),
            recovery: partition.recovery,
        }
    }
}
