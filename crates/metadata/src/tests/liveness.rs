//! Stories of sessions.

use super::fixtures::{World, register, registration};
use crate::RejectionCode::{BrokerIdNotRegistered, StaleBrokerEpoch};
use crate::command::{Command, RegisterBroker};
use crate::liveness::{Heartbeat, Sessions};
use crate::{BrokerEpoch, BrokerId, MetadataIndex};

const TIMEOUT: u64 = 9;

fn beat(id: u32) -> Heartbeat {
    Heartbeat {
        broker_id: BrokerId(id),
        epoch: None,
        metadata_index: None,
        want_fence: false,
    }
}

fn silent(sessions: &Sessions, now: u64, world: &World) -> Vec<u32> {
    sessions
        .overdue(now, &world.image)
        .iter()
        .map(|session| session.broker_id.0)
        .collect()
}

#[test]
fn silence_for_the_timeout_ends_a_session() {
    let world = World::with_brokers(3);
    let mut sessions = Sessions::new(TIMEOUT, 100, &world.image);
    sessions.heartbeat(105, &world.image, &beat(2)).unwrap();
    assert_eq!(silent(&sessions, 108, &world), Vec::<u32>::new());
    assert_eq!(silent(&sessions, 109, &world), [1, 3]);
    assert_eq!(silent(&sessions, 114, &world), [1, 2, 3]);
    assert_eq!(sessions.overdue(109, &world.image)[0], world.session(1));
}

#[test]
fn a_new_controller_gives_every_broker_a_fresh_timeout() {
    let world = World::with_brokers(1);
    let sessions = Sessions::new(TIMEOUT, 1_000_000, &world.image);
    assert_eq!(silent(&sessions, 1_000_008, &world), Vec::<u32>::new());
    assert_eq!(silent(&sessions, 1_000_009, &world), [1]);
}

#[test]
fn fenced_brokers_are_not_fenced_again() {
    let mut world = World::with_brokers(2);
    let sessions = Sessions::new(TIMEOUT, 0, &world.image);
    world.fence(1);
    assert_eq!(silent(&sessions, 9, &world), [2]);
}

#[test]
fn a_fenced_broker_is_unfenced_once_it_has_read_its_registration() {
    let mut world = World::new();
    world.expect(register(1));
    let mut sessions = Sessions::new(TIMEOUT, 0, &world.image);
    let registered = world.broker(1).registered_index;
    let at = |index: u64| Heartbeat {
        metadata_index: Some(MetadataIndex(index)),
        ..beat(1)
    };
    let behind = sessions
        .heartbeat(1, &world.image, &at(registered.0 - 1))
        .unwrap();
    assert!(!behind.is_caught_up && behind.is_fenced && behind.propose.is_none());
    let reply = sessions
        .heartbeat(1, &world.image, &at(registered.0))
        .unwrap();
    assert_eq!(
        reply.propose,
        Some(Command::UnfenceBroker(world.session(1)))
    );
    world.expect(reply.propose.unwrap());
    let reply = sessions
        .heartbeat(2, &world.image, &at(registered.0))
        .unwrap();
    assert!(!reply.is_fenced && reply.propose.is_none());
}

#[test]
fn a_broker_may_ask_to_be_fenced() {
    let world = World::with_brokers(1);
    let mut sessions = Sessions::new(TIMEOUT, 0, &world.image);
    let heartbeat = Heartbeat {
        want_fence: true,
        ..beat(1)
    };
    let reply = sessions.heartbeat(1, &world.image, &heartbeat).unwrap();
    assert_eq!(reply.propose, Some(Command::FenceBroker(world.session(1))));
}

#[test]
fn heartbeats_of_strangers_and_older_runs_are_refused() {
    let world = World::with_brokers(1);
    let mut sessions = Sessions::new(TIMEOUT, 0, &world.image);
    let refused = sessions.heartbeat(1, &world.image, &beat(2)).unwrap_err();
    assert_eq!(refused.code, BrokerIdNotRegistered);
    let stale = Heartbeat {
        epoch: Some(BrokerEpoch(1)),
        ..beat(1)
    };
    let refused = sessions.heartbeat(1, &world.image, &stale).unwrap_err();
    assert_eq!(
        (refused.code, refused.field.as_deref()),
        (StaleBrokerEpoch, Some("brokerEpoch"))
    );
    let right = Heartbeat {
        epoch: Some(world.broker(1).epoch),
        ..beat(1)
    };
    assert!(sessions.heartbeat(1, &world.image, &right).is_ok());
}

#[test]
fn a_new_run_begins_with_a_fresh_timeout() {
    let mut world = World::with_brokers(1);
    let mut sessions = Sessions::new(TIMEOUT, 0, &world.image);
    world.fence(1);
    let run = RegisterBroker {
        incarnation: None,
        ..registration(1)
    };
    world.expect(Command::RegisterBroker(run));
    sessions.observe(8, &world.image);
    world.unfence(1);
    assert_eq!(silent(&sessions, 16, &world), Vec::<u32>::new());
    assert_eq!(silent(&sessions, 17, &world), [1]);
}

#[test]
fn the_silence_of_an_older_run_is_not_that_of_the_new_one() {
    let mut world = World::with_brokers(1);
    let sessions = Sessions::new(TIMEOUT, 0, &world.image);
    world.fence(1);
    let run = RegisterBroker {
        incarnation: None,
        ..registration(1)
    };
    world.expect(Command::RegisterBroker(run));
    world.unfence(1);
    assert_eq!(silent(&sessions, 9, &world), Vec::<u32>::new());
}
