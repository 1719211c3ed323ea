//! Properties of placement: what holds for every fleet, and what holds for fleets of equal racks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Candidate, place};
use crate::ids::BrokerId;
use crate::names::Rack;

fn broker(id: u32, rack: Option<u32>, fenced: bool) -> Candidate {
    let rack = rack.map(|rack| Rack::parse(&format!("rack-{rack}")).unwrap());
    Candidate {
        id: BrokerId(id),
        rack,
        fenced,
    }
}

/// `racks` racks of `size` live brokers each.
fn equal_racks(racks: u32, size: u32) -> Vec<Candidate> {
    (0..racks * size)
        .map(|id| broker(id, Some(id % racks), false))
        .collect()
}

/// Any fleet with at least one live broker: up to 4 racks, some brokers in none.
fn fleet() -> impl Strategy<Value = Vec<Candidate>> {
    let kind = (prop::option::of(0_u32..4), any::<bool>());
    prop::collection::vec(kind, 1..12).prop_map(|kinds| {
        let brokers = (0..)
            .zip(kinds)
            .map(|(id, (rack, fenced))| broker(id, rack, fenced && id > 0));
        brokers.collect()
    })
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

/// The difference between the most and the least that any of the brokers got.
fn spread(fleet: &[Candidate], chosen: impl Iterator<Item = BrokerId>) -> usize {
    let counts = count(chosen);
    let of = |broker: &Candidate| counts.get(&broker.id).copied().unwrap_or(0);
    let most = fleet.iter().map(of).max().unwrap_or(0);
    most - fleet.iter().map(of).min().unwrap_or(0)
}

proptest! {
    #[test]
    fn every_partition_is_led_by_a_live_broker_and_no_broker_comes_twice(
        fleet in fleet(), seed: u64, partitions in 1_u32..60, factor in 1_u32..6,
    ) {
        let factor = factor.min(u32::try_from(fleet.len()).unwrap());
        for replicas in place(seed, &fleet, partitions, factor).unwrap() {
            prop_assert_eq!(replicas.len(), factor as usize);
            prop_assert!(!fleet[replicas[0].0 as usize].fenced);
            prop_assert!(count(replicas.iter()).values().all(|times| *times == 1));
        }
    }

    #[test]
    fn a_partition_uses_as_many_racks_as_it_can(
        fleet in fleet(), seed: u64, partitions in 1_u32..60, factor in 1_u32..6,
    ) {
        let factor = factor.min(u32::try_from(fleet.len()).unwrap());
        let racks = count(fleet.iter().map(|broker| &broker.rack)).len();
        for replicas in place(seed, &fleet, partitions, factor).unwrap() {
            let used = count(replicas.iter().map(|id| &fleet[id.0 as usize].rack)).len();
            prop_assert_eq!(used, racks.min(factor as usize));
        }
    }

    #[test]
    fn live_brokers_lead_equally_many_partitions_or_one_more(
        fleet in fleet(), seed: u64, partitions in 1_u32..60,
    ) {
        let live: Vec<Candidate> = fleet.iter().filter(|broker| !broker.fenced).cloned().collect();
        let placed = place(seed, &fleet, partitions, 1).unwrap();
        prop_assert!(spread(&live, placed.iter().map(|replicas| replicas[0])) <= 1);
    }

    #[test]
    fn without_racks_brokers_hold_equally_many_replicas_or_one_more(
        brokers in 1_u32..12, seed: u64, partitions in 1_u32..60, factor in 1_u32..6,
    ) {
        let factor = factor.min(brokers);
        let fleet = equal_racks(1, brokers);
        let placed = place(seed, &fleet, partitions, factor).unwrap();
        prop_assert!(spread(&fleet, placed.into_iter().flatten()) <= 1);
    }

    #[test]
    fn in_equal_racks_brokers_hold_equally_many_replicas_or_one_more(
        racks in 2_u32..5, size in 1_u32..5, seed: u64, partitions in 1_u32..60, factor in 1_u32..6,
    ) {
        let factor = factor.min(racks * size);
        let fleet = equal_racks(racks, size);
        let placed = place(seed, &fleet, partitions, factor).unwrap();
        prop_assert!(spread(&fleet, placed.into_iter().flatten()) <= 1);
    }

    #[test]
    fn within_a_rack_brokers_hold_equally_many_replicas_or_two_more(
        racks in prop::collection::vec(0_u32..4, 1..12), seed: u64, partitions in 1_u32..60, factor in 1_u32..6,
    ) {
        let fleet: Vec<Candidate> =
            (0..).zip(&racks).map(|(id, rack)| broker(id, Some(*rack), false)).collect();
        let factor = factor.min(u32::try_from(fleet.len()).unwrap());
        let placed = place(seed, &fleet, partitions, factor).unwrap();
        for rack in 0..4 {
            let name = broker(0, Some(rack), false).rack;
            let rack: Vec<Candidate> =
                fleet.iter().filter(|broker| broker.rack == name).cloned().collect();
            prop_assert!(spread(&rack, placed.iter().flatten().copied()) <= 2);
        }
    }

    #[test]
    fn fenced_brokers_are_left_out_while_live_ones_suffice(
        live in 1_u32..6, fenced in 1_u32..6, seed: u64, partitions in 1_u32..30, factor in 1_u32..6,
    ) {
        let factor = factor.min(live);
        let fleet: Vec<Candidate> =
            (0..live + fenced).map(|id| broker(id, None, id >= live)).collect();
        let placed = place(seed, &fleet, partitions, factor).unwrap();
        prop_assert!(placed.iter().flatten().all(|broker| broker.0 < live));
        let live = &fleet[..live as usize];
        prop_assert!(spread(live, placed.into_iter().flatten()) <= 1);
    }
}

#[test]
fn rounds_pair_leaders_with_different_followers() {
    let fleet = equal_racks(1, 10);
    let placed = place(3, &fleet, 200, 2).unwrap();
    let followers_of_0 = placed.iter().filter(|replicas| replicas[0] == BrokerId(0));
    assert!(count(followers_of_0.map(|replicas| replicas[1])).len() >= 6);
}

#[test]
fn the_layout_of_a_seed_is_for_ever() {
    let placed = place(42, &equal_racks(2, 2), 4, 2).unwrap();
    let layout: Vec<Vec<u32>> = placed
        .iter()
        .map(|replicas| replicas.iter().map(|broker| broker.0).collect())
        .collect();
    assert_eq!(layout, [[0, 1], [3, 2], [2, 3], [1, 0]]);
}
