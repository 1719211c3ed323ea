//! Stories of brokers.

use uuid::Uuid;

use super::fixtures::{World, assigned, register, registration, standing, unclean_topic};
use crate::RejectionCode::{
    BrokerIdNotRegistered, DuplicateBrokerRegistration, InconsistentClusterId, InvalidRegistration,
    StaleBrokerEpoch,
};
use crate::command::{BrokerSession, Command, RegisterBroker};
use crate::{BrokerEpoch, BrokerId, BrokerIncarnation, ClusterId, Reply};

fn another_run(id: u32) -> RegisterBroker {
    let incarnation = Some(BrokerIncarnation(Uuid::from_u128(99)));
    RegisterBroker {
        incarnation,
        ..registration(id)
    }
}

fn java(id: u32) -> RegisterBroker {
    RegisterBroker {
        incarnation: None,
        ..registration(id)
    }
}

#[test]
fn a_registration_starts_fenced_with_its_index_as_epoch() {
    let mut world = World::new();
    let Reply::BrokerRegistered(row) = world.expect(register(1)) else {
        unreachable!()
    };
    assert!(row.fenced);
    assert_eq!(row.epoch.0, world.image.index().0);
    assert_eq!(row.registered_index, world.image.index());
    assert_eq!(world.image.counts().fenced_brokers, 1);
    world.unfence(1);
    assert!(!world.broker(1).fenced);
    let counts = world.image.counts();
    assert_eq!((counts.fenced_brokers, counts.active_brokers), (0, 1));
}

#[test]
fn the_same_run_amends_its_registration_and_keeps_epoch_and_session() {
    let mut world = World::with_brokers(1);
    let before = world.broker(1);
    let moved = RegisterBroker {
        port: 9999,
        ..registration(1)
    };
    world.expect(Command::RegisterBroker(moved));
    let after = world.broker(1);
    assert_eq!(
        (after.epoch, after.fenced, after.port),
        (before.epoch, false, 9999)
    );
    assert_eq!(after.registered_index, world.image.index());
}

#[test]
fn the_same_registration_again_changes_nothing() {
    let mut world = World::with_brokers(1);
    let before = world.image.state_hash();
    let Reply::BrokerRegistered(row) = world.expect(register(1)) else {
        unreachable!()
    };
    assert_eq!(row, world.broker(1));
    assert_eq!(world.image.state_hash(), before);
}

#[test]
fn another_run_registers_only_once_the_one_before_is_fenced() {
    let mut world = World::with_brokers(1);
    let before = world.broker(1);
    let another = Command::RegisterBroker(another_run(1));
    world.expect_refusal(another.clone(), DuplicateBrokerRegistration, "brokerId");
    world.fence(1);
    world.expect(another);
    let after = world.broker(1);
    assert_eq!(after.epoch.0, world.image.index().0);
    assert!(after.fenced && after.epoch > before.epoch);
    let old = BrokerSession {
        broker_id: BrokerId(1),
        epoch: before.epoch,
    };
    world.expect_refusal(Command::UnfenceBroker(old), StaleBrokerEpoch, "brokerEpoch");
}

#[test]
fn a_broker_without_incarnation_is_known_by_its_address() {
    let mut world = World::new();
    world.expect(Command::RegisterBroker(java(1)));
    world.unfence(1);
    let before = world.broker(1);
    world.expect(Command::RegisterBroker(java(1)));
    assert_eq!(world.broker(1), before);
    let elsewhere = Command::RegisterBroker(RegisterBroker { port: 1, ..java(1) });
    world.expect_refusal(elsewhere.clone(), DuplicateBrokerRegistration, "brokerId");
    world.expect_refusal(register(1), DuplicateBrokerRegistration, "brokerId");
    world.fence(1);
    world.expect(elsewhere);
    assert!(world.broker(1).epoch > before.epoch);
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let mut world = World::new();
    let of = |id: &str| {
        let cluster_id = Some(ClusterId::parse(id).unwrap());
        Command::RegisterBroker(RegisterBroker {
            cluster_id,
            ..registration(1)
        })
    };
    world.expect_refusal(of("other"), InconsistentClusterId, "clusterId");
    world.expect(of("dmq"));
}

#[test]
fn port_zero_is_refused() {
    let mut world = World::new();
    let bad = Command::RegisterBroker(RegisterBroker {
        port: 0,
        ..registration(1)
    });
    world.expect_refusal(bad, InvalidRegistration, "port");
}

#[test]
fn fencing_moves_leaders_and_shrinks_isrs_but_keeps_the_last_member() {
    let mut world = World::with_brokers(3);
    world.expect(assigned("orders", &[&[1, 2], &[2, 1], &[1, 3], &[2, 3]]));
    world.set_isr("orders", 2, &[1]);
    let reply = world.fence(1);
    assert!(
        matches!(
            reply,
            Reply::BrokerFenced {
                partitions_changed: 3,
                ..
            }
        ),
        "{reply:?}"
    );
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 2 isr [2] epochs 1/1"
    );
    assert_eq!(
        standing(&world.partition("orders", 1)),
        "leader 2 isr [2] epochs 0/1"
    );
    assert_eq!(
        standing(&world.partition("orders", 2)),
        "leader none isr [1] epochs 1/2"
    );
    assert_eq!(
        standing(&world.partition("orders", 3)),
        "leader 2 isr [2, 3] epochs 0/0"
    );
    let counts = world.image.counts();
    assert_eq!(
        (counts.offline_partitions, counts.preferred_leader_imbalance),
        (1, 2)
    );
}

#[test]
fn fencing_elects_uncleanly_where_the_topic_allows_it() {
    let mut world = World::with_brokers(3);
    world.expect(unclean_topic("orders", &[&[1, 2, 3]]));
    world.set_isr("orders", 0, &[1]);
    world.fence(2);
    world.fence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 3 isr [3] epochs 1/2 recovering"
    );
}

#[test]
fn unfencing_gives_waiting_partitions_their_leader() {
    let mut world = World::with_brokers(2);
    world.expect(assigned("orders", &[&[1, 2], &[2, 1]]));
    world.set_isr("orders", 0, &[1]);
    world.set_isr("orders", 1, &[2]);
    world.fence(1);
    world.fence(2);
    assert_eq!(world.image.counts().offline_partitions, 2);
    let reply = world.unfence(2);
    assert!(
        matches!(
            reply,
            Reply::BrokerUnfenced {
                partitions_changed: 1,
                ..
            }
        ),
        "{reply:?}"
    );
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader none isr [1] epochs 1/2"
    );
    assert_eq!(
        standing(&world.partition("orders", 1)),
        "leader 2 isr [2] epochs 2/3"
    );
    world.unfence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1] epochs 2/3"
    );
    assert_eq!(world.image.counts().offline_partitions, 0);
}

#[test]
fn a_new_run_of_the_last_member_leads_again_once_unfenced() {
    let mut world = World::with_brokers(1);
    world.expect(assigned("orders", &[&[1]]));
    world.fence(1);
    world.expect(Command::RegisterBroker(another_run(1)));
    assert_eq!(world.partition("orders", 0).leader, None);
    world.unfence(1);
    assert_eq!(
        standing(&world.partition("orders", 0)),
        "leader 1 isr [1] epochs 2/2"
    );
}

#[test]
fn fencing_twice_is_no_change() {
    let mut world = World::with_brokers(1);
    world.expect(assigned("orders", &[&[1]]));
    world.fence(1);
    let before = world.image.state_hash();
    world.fence(1);
    assert_eq!(world.image.state_hash(), before);
    world.unfence(1);
    let before = world.image.state_hash();
    world.unfence(1);
    assert_eq!(world.image.state_hash(), before);
}

#[test]
fn sessions_of_nobody_are_refused() {
    let mut world = World::with_brokers(1);
    let nobody = BrokerSession {
        broker_id: BrokerId(9),
        epoch: BrokerEpoch(1),
    };
    world.expect_refusal(
        Command::FenceBroker(nobody),
        BrokerIdNotRegistered,
        "brokerId",
    );
    let stale = BrokerSession {
        epoch: BrokerEpoch(1),
        ..world.session(1)
    };
    world.expect_refusal(Command::FenceBroker(stale), StaleBrokerEpoch, "brokerEpoch");
}
