//! A roll that nobody disturbs, and one whose operator dies after every single write: each pod is replaced once,
//! leadership moves once.

use std::collections::BTreeSet;

use super::model::{Log, World};
use super::scene::steady;
use crate::plan::Stage;

/// Rolls a new configuration out; the operator dies after so many writes of the pass, every time there is one.
fn roll(replicas: i32, writes: usize, log: &mut Log) -> World {
    let mut world = steady(replicas);
    world.configure("new");
    world.watch.restarts.clear();
    world.watch.elections = 0;
    for second in 0..400 {
        let sight = world.look(&BTreeSet::new());
        // Every third pass gets through, or nothing ever would.
        let allowed = if second % 3 == 2 { usize::MAX } else { writes };
        let made = world.act(&sight, allowed, true, log);
        assert_eq!(world.watch.violation, None);
        let done = made.report.updated == replicas && made.report.stage == Stage::Steady;
        if done && made.report.progress.is_none() && allowed == usize::MAX {
            return world;
        }
        world.tick();
    }
    panic!("the roll of {replicas} did not end, dying after {writes} writes");
}

#[test]
fn every_pod_is_replaced_once_and_leadership_moves_once() {
    for replicas in [1, 3, 5, 7] {
        let world = roll(replicas, usize::MAX, &mut Log::default());
        let counts: Vec<u32> = world.watch.restarts.values().copied().collect();
        assert_eq!(
            counts,
            vec![1; usize::try_from(replicas).expect("small")],
            "{replicas} replicas"
        );
        let moves = u32::from(replicas > 1);
        assert_eq!(world.watch.transfers, moves, "{replicas} replicas");
        assert_eq!(
            world.watch.elections,
            moves.max(u32::from(replicas == 1)),
            "{replicas} replicas"
        );
    }
}

#[test]
fn an_operator_that_dies_after_any_write_changes_nothing_of_that() {
    for replicas in [1, 3, 5] {
        for writes in 0..8 {
            let world = roll(replicas, writes, &mut Log::default());
            for (ordinal, restarts) in &world.watch.restarts {
                assert_eq!(
                    *restarts, 1,
                    "meta-{ordinal} of {replicas}, dying after {writes} writes"
                );
            }
            assert!(
                world.watch.elections <= 1,
                "{replicas}, dying after {writes} writes"
            );
        }
    }
}

#[test]
fn a_bootstrap_whose_operator_dies_after_any_write_ends_in_one_quorum() {
    for replicas in [1, 3, 5] {
        for writes in 0..6 {
            let mut world = World::new(replicas);
            let mut log = Log::default();
            for second in 0..100 {
                let sight = world.look(&BTreeSet::new());
                let allowed = if second % 3 == 2 { usize::MAX } else { writes };
                world.act(&sight, allowed, true, &mut log);
                world.tick();
            }
            assert_eq!(world.watch.violation, None);
            assert!(
                world.leader.is_some(),
                "{replicas} replicas, dying after {writes} writes"
            );
            assert_eq!(world.watch.elections, 1);
        }
    }
}
