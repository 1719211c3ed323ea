//! Which brokers hold the replicas of a new topic, by the rules of Kafka's `StripedReplicaPlacer`: the leader is not
//! fenced, no broker holds two replicas of a partition, replicas spread over racks first, brokers that are not fenced
//! go before fenced ones, and the start is random.
//!
//! Leaders go round a ring of all brokers that are not fenced, racks interleaved, so that the brokers lead equally
//! many partitions, or one more. Followers are those with the fewest replicas so far; among equals the one that will
//! lead last, so that the round ends with equal shares. After each round the ring is shuffled, so that the
//! followers of a broker are not always the same.

use std::collections::BTreeMap;

use crate::ids::BrokerId;
use crate::names::Rack;
use crate::outcome::{Rejection, RejectionCode};
use crate::validate;

/// A broker as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Number of the broker.
    pub id: BrokerId,
    /// Its failure domain; brokers without one share one.
    pub rack: Option<Rack>,
    /// A fenced broker may follow, never lead.
    pub fenced: bool,
}

/// The replicas of each partition, the leader first. `candidates` are in the order of their numbers, none twice.
///
/// # Errors
/// `INVALID_PARTITIONS`, `INVALID_REPLICATION_FACTOR` if a number is out of range or there are too few brokers.
pub fn place(
    seed: u64,
    candidates: &[Candidate],
    partitions: u32,
    replication_factor: u32,
) -> Result<Vec<Vec<BrokerId>>, Rejection> {
    validate::check_size(partitions, replication_factor)?;
    check_brokers(candidates, replication_factor)?;
    let mut placer = Placer::new(seed, candidates);
    Ok((0..partitions)
        .map(|_| placer.place(replication_factor))
        .collect())
}

fn check_brokers(candidates: &[Candidate], replication_factor: u32) -> Result<(), Rejection> {
    let refuse = |rule: &str| {
        let code = RejectionCode::InvalidReplicationFactor;
        Err(Rejection::new(
            code,
            "replicationFactor",
            replication_factor,
            rule,
        ))
    };
    if (candidates.len() as u64) < u64::from(replication_factor) {
        return refuse(&format!(
            "only {} broker(s) are registered",
            candidates.len()
        ));
    }
    if candidates.iter().all(|broker| broker.fenced) {
        return refuse("all brokers are fenced, so that none can lead");
    }
    Ok(())
}

/// The brokers in a ring, and how much each has got so far.
struct Placer {
    random: Random,
    racks: Vec<Vec<Slot>>,
    ring: Vec<Slot>,
    /// Position of the next leader in the ring.
    next: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    id: BrokerId,
    rack: usize,
    fenced: bool,
    replicas: u32,
}

impl Placer {
    fn new(seed: u64, candidates: &[Candidate]) -> Self {
        let mut by_rack: BTreeMap<Option<&Rack>, Vec<&Candidate>> = BTreeMap::new();
        for broker in candidates {
            by_rack
                .entry(broker.rack.as_ref())
                .or_default()
                .push(broker);
        }
        let slot = |rack: usize, broker: &Candidate| Slot {
            id: broker.id,
            rack,
            fenced: broker.fenced,
            replicas: 0,
        };
        let racks = by_rack.into_values().enumerate();
        let racks = racks.map(|(rack, brokers)| {
            brokers
                .into_iter()
                .map(|broker| slot(rack, broker))
                .collect()
        });
        let mut placer = Self {
            random: Random(seed),
            racks: racks.collect(),
            ring: Vec::new(),
            next: 0,
        };
        placer.shuffle();
        placer
    }

    /// The replicas of the next partition.
    fn place(&mut self, replication_factor: u32) -> Vec<BrokerId> {
        let leader = self.next_leader();
        let mut used_racks = vec![0_u32; self.racks.len()];
        let mut replicas = vec![self.take(leader, &mut used_racks)];
        for _ in 1..replication_factor {
            if let Some(follower) = self.best_follower(leader, &replicas, &used_racks) {
                replicas.push(self.take(follower, &mut used_racks));
            }
        }
        replicas
    }

    /// Position of the next broker in the ring that is not fenced; at the end of the ring a new round begins.
    fn next_leader(&mut self) -> usize {
        loop {
            if self.next == self.ring.len() {
                self.collect_racks();
                self.shuffle();
            }
            let position = self.next;
            self.next += 1;
            if !self.ring[position].fenced {
                return position;
            }
        }
    }

    fn best_follower(
        &self,
        leader: usize,
        replicas: &[BrokerId],
        used_racks: &[u32],
    ) -> Option<usize> {
        let length = self.ring.len();
        let free = (0..length).filter(|at| !replicas.contains(&self.ring[*at].id));
        free.min_by_key(|at| {
            let slot = &self.ring[*at];
            let behind_leader = (leader + length - at) % length;
            (
                used_racks[slot.rack],
                slot.fenced,
                slot.replicas,
                behind_leader,
            )
        })
    }

    fn take(&mut self, position: usize, used_racks: &mut [u32]) -> BrokerId {
        let slot = &mut self.ring[position];
        slot.replicas += 1;
        used_racks[slot.rack] += 1;
        slot.id
    }

    /// Takes the ring apart into racks again, with what the brokers have got.
    fn collect_racks(&mut self) {
        self.racks.iter_mut().for_each(Vec::clear);
        for slot in self.ring.drain(..) {
            self.racks[slot.rack].push(slot);
        }
    }

    /// A new ring: racks in random order, one broker of each in turn, brokers of a rack in random order.
    fn shuffle(&mut self) {
        let mut racks = self.racks.clone();
        self.random.shuffle(&mut racks);
        for rack in &mut racks {
            self.random.shuffle(rack);
        }
        let longest = racks.iter().map(Vec::len).max().unwrap_or(0);
        let turn = |turn: usize| racks.iter().filter_map(move |rack| rack.get(turn).copied());
        self.ring = (0..longest).flat_map(turn).collect();
        self.next = 0;
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): the same numbers from the same seed in every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0. The bias of a 64-bit remainder does not matter here.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests;
