//! The witness check against histories of a service that works, and against the same with one thing broken.

use std::sync::Arc;

use dmq_metadata::{LogTime, MetadataIndex};
use dmq_testkit::chaos::operation::{Call, Freshness, Operation, Outcome};
use dmq_testkit::checkers::witness::{Verdict, check};

use crate::dice::Dice;
use crate::generated::{PEACE, Run, TROUBLE, run};
use crate::service::{Service, cluster, operation};

fn judge(run: &Run) -> Verdict {
    check(
        &run.history,
        &run.service.log(),
        &cluster(),
        run.service.last(),
    )
}

fn found(run: &Run, text: &str) {
    let violations = judge(run).violations.join("\n");
    assert!(
        violations.contains(text),
        "`{text}` is not in:\n{violations}"
    );
}

#[test]
fn every_history_of_a_working_service_is_accepted() {
    let (mut done, mut not_done, mut repeated) = (0, 0, 0);
    for seed in 0..150 {
        let run = run(seed, 300, 1 + usize::try_from(seed % 8).unwrap(), TROUBLE);
        let verdict = judge(&run);
        assert_eq!(verdict.violations, Vec::<String>::new(), "seed {seed}");
        assert_eq!(
            verdict.state_hash,
            run.service.image().state_hash().to_string()
        );
        let decided = run
            .history
            .iter()
            .filter(|operation| operation.is_decided());
        assert_eq!(
            verdict.checked,
            decided.count(),
            "seed {seed}: every answer is checked"
        );
        done += verdict.unknown.0;
        not_done += verdict.unknown.1;
        repeated += verdict.repeated;
    }
    assert!(
        done > 100 && not_done > 100 && repeated > 100,
        "{done} {not_done} {repeated}"
    );
}

/// A topic that was made, changed and read, one after the other; and positions of these operations.
fn story() -> Run {
    let mut history = Vec::new();
    let mut service = Service::new(&mut history);
    let topic: Arc<str> = "t-0-1".into();
    let mut at = 100;
    let mut then = |service: &mut Service, call: Call, key: Option<&str>| {
        let key: Option<Arc<str>> = key.map(Into::into);
        let outcome = if call.is_write() {
            service.write(&call, key.as_ref())
        } else {
            service.read(&call, service.last())
        };
        at += 10;
        history.push(operation(1, call, key.as_ref(), at, at + 5, outcome));
    };
    let read = Call::GetTopic {
        topic: Arc::clone(&topic),
        freshness: Freshness::Linearizable,
    };
    then(
        &mut service,
        Call::CreateTopic {
            topic: Arc::clone(&topic),
            mark: 1,
        },
        Some("make"),
    );
    then(&mut service, read.clone(), None);
    then(
        &mut service,
        Call::ElectLeader {
            topic: Arc::clone(&topic),
            broker: 102,
        },
        Some("elect"),
    );
    then(&mut service, read, None);
    then(
        &mut service,
        Call::ElectLeader {
            topic: Arc::clone(&topic),
            broker: 102,
        },
        Some("again"),
    );
    then(&mut service, Call::DeleteTopic { topic }, Some("delete"));
    Run { history, service }
}

/// Behind the three registrations of brokers.
const MAKE: usize = 3;
const FIRST_READ: usize = 4;
const ELECT: usize = 5;
const SECOND_READ: usize = 6;
const REFUSED: usize = 7;
const DELETE: usize = 8;

#[test]
fn the_story_itself_is_right() {
    let run = story();
    assert_eq!(judge(&run).violations, Vec::<String>::new());
    assert!(
        matches!(&run.history[REFUSED].outcome, Outcome::Refused { code, .. } if &**code == "ELECTION_NOT_NEEDED")
    );
}

#[test]
fn a_lost_write_is_found() {
    let run = story();
    let (commit, log) = (run.service.last() - 1, run.service.log());
    let violations = check(&run.history, &log, &cluster(), commit)
        .violations
        .join("\n");
    assert!(violations.contains("lost: the log ends at"), "{violations}");
}

#[test]
fn a_write_that_another_entry_replaced_is_found() {
    let mut run = story();
    let at = usize::try_from(run.history[DELETE].index().unwrap()).unwrap() - 1;
    run.service.entries[at] = dmq_raft::Entry {
        kind: dmq_raft::EntryKind::Noop,
        payload: Vec::new().into(),
        ..run.service.entries[at].clone()
    };
    found(&run, "names an entry that is no command");
}

#[test]
fn a_hole_in_the_log_is_found() {
    let mut run = story();
    run.service.entries.remove(5);
    found(&run, "was in no log that was read");
}

#[test]
fn a_stale_read_with_its_true_index_is_found() {
    let mut run = story();
    run.history[SECOND_READ].outcome = run.history[FIRST_READ].outcome.clone();
    found(&run, "is too low");
}

#[test]
fn a_stale_read_with_a_false_index_is_found() {
    let mut run = story();
    let (Outcome::Done { body: old, .. }, Outcome::Done { body, .. }) = (
        run.history[FIRST_READ].outcome.clone(),
        &mut run.history[SECOND_READ].outcome,
    ) else {
        panic!("reads");
    };
    *body = old;
    found(&run, "should show");
}

#[test]
fn a_read_below_its_min_index_is_found() {
    let mut run = story();
    let index = run.history[SECOND_READ].index().unwrap();
    let Call::GetTopic { freshness, .. } = &mut run.history[SECOND_READ].call else {
        panic!("a read");
    };
    *freshness = Freshness::Local { min_index: index };
    assert!(judge(&run).violations.is_empty());
    let Call::GetTopic { freshness, .. } = &mut run.history[SECOND_READ].call else {
        panic!("a read");
    };
    *freshness = Freshness::Local {
        min_index: index + 1,
    };
    found(&run, "is too low");
}

#[test]
fn an_old_local_read_is_no_violation() {
    let mut run = story();
    let old = run.history[FIRST_READ].outcome.clone();
    run.history[SECOND_READ].outcome = old;
    let Call::GetTopic { freshness, .. } = &mut run.history[SECOND_READ].call else {
        panic!("a read");
    };
    *freshness = Freshness::Local { min_index: 0 };
    assert_eq!(judge(&run).violations, Vec::<String>::new());
}

#[test]
fn a_wrong_answer_is_found() {
    let mut run = story();
    if let Outcome::Done { body, .. } = &mut run.history[ELECT].outcome {
        *body = body
            .replace("\"partitionEpoch\":1", "\"partitionEpoch\":2")
            .into();
    }
    found(&run, "should be");
}

#[test]
fn another_reason_for_a_refusal_is_found() {
    let mut run = story();
    if let Outcome::Refused { code, .. } = &mut run.history[REFUSED].outcome {
        *code = "INELIGIBLE_REPLICA".into();
    }
    found(&run, "ELECTION_NOT_NEEDED");
}

#[test]
fn a_wrong_term_is_found() {
    let mut run = story();
    for at in [ELECT, SECOND_READ] {
        let right = run.history[at].outcome.clone();
        if let Outcome::Done { term, .. } = &mut run.history[at].outcome {
            *term += 1;
        }
        found(&run, "in term 2");
        run.history[at].outcome = right;
    }
}

#[test]
fn an_order_against_the_clock_is_found() {
    let mut run = story();
    let (make, elect) = (run.history[MAKE].clone(), run.history[ELECT].clone());
    (run.history[MAKE].invoked, run.history[MAKE].returned) = (elect.invoked, elect.returned);
    (run.history[ELECT].invoked, run.history[ELECT].returned) = (make.invoked, make.returned);
    found(&run, "is too low");
}

#[test]
fn two_writes_with_one_index_are_found() {
    let mut run = story();
    let twin = Operation {
        client: 2,
        ..run.history[ELECT].clone()
    };
    run.history.push(twin);
    found(
        &run,
        "is the second write that was answered with this index",
    );
}

#[test]
fn an_effect_of_a_refused_request_is_found() {
    let mut run = story();
    run.history[ELECT].outcome = Outcome::Refused {
        code: "LEADER_CHANGED".into(),
        detail: "".into(),
        at: None,
    };
    found(&run, "is of a request that was refused");
}

#[test]
fn an_effect_before_it_was_asked_is_found() {
    let mut run = story();
    let asked_later = run.history[DELETE].returned.unwrap().0 + 1;
    run.history[ELECT].outcome = Outcome::Unknown;
    assert_eq!(judge(&run).violations, Vec::<String>::new());
    (run.history[ELECT].invoked.0, run.history[ELECT].returned) = (asked_later, None);
    found(&run, "was answered before it was asked");
}

#[test]
fn a_command_that_nobody_asked_for_is_found() {
    let mut run = story();
    run.service.write(
        &Call::CreateTopic {
            topic: "ghost".into(),
            mark: 9,
        },
        None,
    );
    found(&run, "nobody asked for the command");
}

#[test]
fn a_command_that_is_not_what_was_asked_is_found() {
    let mut run = story();
    if let Call::CreateTopic { mark, .. } = &mut run.history[MAKE].call {
        *mark += 1;
    }
    found(&run, "asked was");
}

/// A topic that is made, deleted, and made again by a repeated request.
fn made_twice(forget: impl FnOnce(&mut Service)) -> Run {
    let mut history = Vec::new();
    let mut service = Service::new(&mut history);
    let (make, delete): (Arc<str>, Arc<str>) = ("make".into(), "delete".into());
    let create = Call::CreateTopic {
        topic: "t-0-1".into(),
        mark: 1,
    };
    let gone = Call::DeleteTopic {
        topic: "t-0-1".into(),
    };
    let mut then = |service: &mut Service, at, call: &Call, key: &Arc<str>| {
        let outcome = service.write(call, Some(key));
        history.push(operation(1, call.clone(), Some(key), at, at + 1, outcome));
    };
    then(&mut service, 100, &create, &make);
    then(&mut service, 102, &gone, &delete);
    forget(&mut service);
    then(&mut service, 104, &create, &make);
    Run { history, service }
}

#[test]
fn a_double_effect_is_found() {
    assert_eq!(judge(&made_twice(|_| {})).violations, Vec::<String>::new());
    // The remembered answer expires, so that the same request is executed again.
    found(
        &made_twice(|service| service.log_time = LogTime(600_000)),
        "took effect 2 times",
    );
}

#[test]
fn a_broken_answer_is_found() {
    let mut run = story();
    run.history[SECOND_READ].outcome = Outcome::Broken { text: "500".into() };
    found(&run, "an answer that the interface does not allow");
}

/// In a history of one client everything shows: each read is replaced by one of another state of the same topic.
#[test]
fn every_read_of_another_state_is_found() {
    let mut tried = 0;
    for seed in 0..60 {
        let mut run = run(seed, 200, 1, PEACE);
        let mut dice = Dice::new(seed);
        let fits = |operation: &Operation| {
            matches!(
                operation.call,
                Call::GetTopic {
                    freshness: Freshness::Linearizable,
                    ..
                }
            )
        };
        let reads: Vec<usize> = (0..run.history.len())
            .filter(|at| fits(&run.history[*at]))
            .collect();
        let at = reads[dice.below(reads.len())];
        let index = run.history[at].index().unwrap();
        let other = run.service.read(
            &run.history[at].call,
            dice.below(usize::try_from(index).unwrap()) as u64,
        );
        tried += 1;
        run.history[at].outcome = other;
        assert!(
            !judge(&run).violations.is_empty(),
            "seed {seed}, operation {at}"
        );
    }
    assert_eq!(tried, 60);
}

#[test]
fn ten_thousand_operations_take_no_time() {
    let run = run(7, 10_000, 8, TROUBLE);
    assert_eq!(judge(&run).violations, Vec::<String>::new());
    assert_eq!(
        run.service.image().index(),
        MetadataIndex(run.service.last())
    );
}
