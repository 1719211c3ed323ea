//! Stories of deduplication and log time.

use super::fixtures::{World, create, delete, register};
use crate::RejectionCode::{IdempotencyKeyReused, TooManyRequests, TopicAlreadyExists};
use crate::dedup::{DEDUP_ENTRIES_MAX, DEDUP_RETENTION_MS};
use crate::{Change, Command, LogTime, Principal};

#[test]
fn a_keyed_request_is_executed_once_and_answered_alike() {
    let mut world = World::with_brokers(1);
    let first = world.keyed("k", 1, create("orders", 1, 1));
    let index = world.image.index();
    let again = world.keyed("k", 1, create("orders", 1, 1));
    assert_eq!(again.outcome, first.outcome);
    assert_eq!((first.answered_at, again.answered_at), (None, Some(index)));
    assert_eq!(again.changes.rows, []);
    world.expect(delete("orders"));
    assert_eq!(
        world.keyed("k", 1, create("orders", 1, 1)).outcome,
        first.outcome
    );
    assert_eq!(
        world.image.counts().topics,
        0,
        "the old answer stands, nothing is created"
    );
}

#[test]
fn rejections_are_remembered_too() {
    let mut world = World::with_brokers(1);
    world.expect(create("orders", 1, 1));
    let code = |applied: crate::Applied| applied.outcome.unwrap_err().code;
    assert_eq!(
        code(world.keyed("k", 1, create("orders", 1, 1))),
        TopicAlreadyExists
    );
    world.expect(delete("orders"));
    assert_eq!(
        code(world.keyed("k", 1, create("orders", 1, 1))),
        TopicAlreadyExists
    );
}

#[test]
fn a_key_serves_one_request_only() {
    let mut world = World::with_brokers(1);
    world.keyed("k", 1, create("orders", 1, 1)).outcome.unwrap();
    let reused = world.keyed("k", 2, create("payments", 1, 1));
    let rejection = reused.outcome.unwrap_err();
    assert_eq!(rejection.code, IdempotencyKeyReused);
    assert_eq!(rejection.field.as_deref(), Some("Idempotency-Key"));
    assert_eq!(reused.changes.rows, []);
    assert!(world.keyed("k", 1, create("orders", 1, 1)).outcome.is_ok());
}

#[test]
fn keys_of_different_principals_never_meet() {
    let mut world = World::with_brokers(1);
    world.keyed("k", 1, create("orders", 1, 1)).outcome.unwrap();
    let mut envelope = world.envelope(create("payments", 1, 1));
    envelope.principal = Principal::parse("alice").unwrap();
    envelope.idempotency = Some(crate::Idempotency {
        key: "k".parse().unwrap(),
        fingerprint: crate::Fingerprint(2),
    });
    assert!(world.apply(&envelope).outcome.is_ok());
    assert_eq!(world.image.counts().dedup_entries, 2);
}

#[test]
fn answers_expire_by_log_time_to_the_millisecond() {
    let mut world = World::with_brokers(1);
    world.log_time = 1000;
    world.keyed("k", 1, create("orders", 1, 1)).outcome.unwrap();
    world.log_time = 1000 + DEDUP_RETENTION_MS - 1;
    assert!(world.keyed("k", 1, create("orders", 1, 1)).outcome.is_ok());
    world.log_time += 1;
    let late = world.keyed("k", 1, create("orders", 1, 1));
    assert_eq!(late.outcome.unwrap_err().code, TopicAlreadyExists);
    assert!(matches!(
        late.changes.rows[..],
        [Change::DeleteDedup(_), Change::PutDedup(_)]
    ));
}

#[test]
fn any_entry_clears_expired_answers_away() {
    let mut world = World::with_brokers(1);
    for number in 0..100 {
        world
            .keyed(&format!("k{number}"), 1, register(1))
            .outcome
            .unwrap();
    }
    world.log_time = DEDUP_RETENTION_MS;
    world.expect(register(1));
    assert_eq!(
        world.image.counts().dedup_entries,
        36,
        "64 leave with one entry"
    );
    world.expect(register(1));
    assert_eq!(world.image.counts().dedup_entries, 0);
}

#[test]
fn an_expired_answer_counts_as_gone_even_before_it_is_cleared_away() {
    let mut world = World::with_brokers(1);
    for number in 0..100 {
        world
            .keyed(&format!("k{number}"), 1, register(1))
            .outcome
            .unwrap();
    }
    world.log_time = DEDUP_RETENTION_MS;
    let reused = world.keyed("k99", 2, create("orders", 1, 1));
    assert!(reused.outcome.is_ok() && reused.answered_at.is_none());
    assert_eq!(
        world.image.counts().dedup_entries,
        36,
        "the row was replaced"
    );
    world.log_time += 1;
    world.expect(register(1));
    assert_eq!(
        world.image.counts().dedup_entries,
        1,
        "the new answer is young"
    );
}

#[test]
fn a_full_table_refuses_new_keys_and_nothing_else() {
    let mut world = World::with_brokers(1);
    for number in 0..DEDUP_ENTRIES_MAX {
        world
            .keyed(&format!("k{number}"), 1, register(1))
            .outcome
            .unwrap();
    }
    let full = world.keyed("one-more", 1, create("orders", 1, 1));
    assert_eq!(full.outcome.unwrap_err().code, TooManyRequests);
    assert_eq!(world.image.counts().topics, 0);
    assert!(world.keyed("k5", 1, register(1)).answered_at.is_some());
    world.expect(create("orders", 1, 1));
    world.log_time = DEDUP_RETENTION_MS;
    assert!(
        world
            .keyed("one-more", 1, create("payments", 1, 1))
            .outcome
            .is_ok()
    );
}

#[test]
fn log_time_never_runs_backwards() {
    let mut world = World::new();
    world.log_time = 500;
    world.expect(register(1));
    world.log_time = 20;
    let envelope = world.envelope(Command::FenceBroker(world.session(1)));
    let applied = world.apply(&envelope);
    assert_eq!(world.image.log_time(), LogTime(500));
    assert_eq!(applied.changes.log_time, LogTime(500));
    world.log_time = 501;
    world.expect(register(1));
    assert_eq!(world.image.log_time(), LogTime(501));
}
