//! The black-box check against histories of a service that works, and against the same with one thing broken.

use std::time::Duration;

use dmq_testkit::chaos::operation::{Call, Freshness, Operation, Outcome};
use dmq_testkit::checkers::blackbox::{Verdict, check};

use crate::dice::Dice;
use crate::generated::{PEACE, TROUBLE, run};

fn judge(history: &[Operation]) -> Verdict {
    check(history, Duration::from_mins(1))
}

fn good(history: &[Operation]) -> bool {
    let verdict = judge(history);
    assert_eq!(verdict.undecided, Vec::<String>::new());
    verdict.violations.is_empty()
}

#[test]
fn every_history_of_a_working_service_is_accepted() {
    for seed in 0..150 {
        let run = run(seed, 150, 1 + usize::try_from(seed % 8).unwrap(), TROUBLE);
        let verdict = judge(&run.history);
        assert_eq!(verdict.violations, Vec::<String>::new(), "seed {seed}");
        assert_eq!(verdict.undecided, Vec::<String>::new(), "seed {seed}");
        assert_eq!(
            verdict.objects, 6,
            "seed {seed}: three topics and three brokers"
        );
    }
}

#[test]
fn ten_thousand_operations_are_decided() {
    let run = run(3, 10_000, 8, PEACE);
    assert!(good(&run.history));
}

/// Positions of linearizable reads of a topic.
fn reads(history: &[Operation]) -> Vec<usize> {
    let fits = |operation: &Operation| {
        matches!(
            operation.call,
            Call::GetTopic {
                freshness: Freshness::Linearizable,
                ..
            }
        )
    };
    (0..history.len())
        .filter(|at| fits(&history[*at]))
        .collect()
}

/// What a client can see of an answer: indexes and terms are no part of it.
fn seen(outcome: &Outcome) -> (String, String) {
    match outcome {
        Outcome::Done { body, .. } => ("done".to_owned(), body.to_string()),
        Outcome::Refused { code, .. } => (code.to_string(), String::new()),
        Outcome::Unknown | Outcome::Broken { .. } => ("unknown".to_owned(), String::new()),
    }
}

#[test]
fn every_read_of_another_state_is_found_although_it_names_the_right_index() {
    let mut found = 0;
    for seed in 0..120 {
        let mut run = run(seed, 200, 1, PEACE);
        let mut dice = Dice::new(seed);
        let reads = reads(&run.history);
        let at = reads[dice.below(reads.len())];
        let (index, right) = (
            run.history[at].index().unwrap(),
            seen(&run.history[at].outcome),
        );
        let old = run.service.read(
            &run.history[at].call,
            dice.below(usize::try_from(index).unwrap()) as u64,
        );
        if seen(&old) != right {
            run.history[at].outcome = old;
            assert!(!good(&run.history), "seed {seed}, operation {at}");
            found += 1;
        }
    }
    assert!(found > 40, "only {found} reads were of another state");
}

/// One client, no trouble: an acknowledged change that is taken out of the history leaves the others without a reason.
#[test]
fn every_write_that_was_not_asked_for_is_found_if_it_shows() {
    let mut found = 0;
    for seed in 0..80 {
        let mut run = run(seed, 200, 1, PEACE);
        let mut dice = Dice::new(seed);
        let changes: Vec<usize> = (3..100)
            .filter(|at| matches!(run.history[*at].call, Call::CreateTopic { .. }))
            .filter(|at| matches!(run.history[*at].outcome, Outcome::Done { .. }))
            .collect();
        let at = changes[dice.below(changes.len())];
        let key = run.history[at].key.clone();
        let Call::CreateTopic { topic, .. } = run.history[at].call.clone() else {
            panic!("a creation");
        };
        let next = run.history[at + 1..].iter().find(|other| {
            matches!(&other.call, Call::GetTopic { topic: name, freshness: Freshness::Linearizable } if *name == topic)
        });
        let shows = next.is_some_and(|next| seen(&next.outcome).0 == "done");
        run.history.retain(|operation| operation.key != key);
        if shows {
            assert!(!good(&run.history), "seed {seed}, operation {at}");
            found += 1;
        }
    }
    assert!(found > 20, "only {found} showed");
}

#[test]
fn two_answers_to_one_key_are_found() {
    let mut run = run(5, 1_000, 1, PEACE);
    let elected = |operation: &Operation| {
        matches!(operation.call, Call::ElectLeader { .. })
            && matches!(operation.outcome, Outcome::Done { .. })
    };
    let mut twin = run
        .history
        .iter()
        .find(|operation| elected(operation))
        .unwrap()
        .clone();
    if let Outcome::Done { body, .. } = &mut twin.outcome {
        *body = body.replace("leaderEpoch\":", "leaderEpoch\":9").into();
    }
    run.history.push(twin);
    let verdict = judge(&run.history);
    assert!(
        verdict
            .violations
            .join("\n")
            .contains("one key, two answers"),
        "{:?}",
        verdict.violations
    );
}

#[test]
fn a_list_that_leaves_out_a_topic_is_found() {
    let mut found = 0;
    for seed in 0..40 {
        let mut run = run(seed, 200, 1, PEACE);
        let full = run.history.iter().position(|operation| {
            let list = matches!(
                operation.call,
                Call::ListTopics {
                    freshness: Freshness::Linearizable,
                    ..
                }
            );
            list && seen(&operation.outcome).1.contains("t-0-1")
        });
        if let Some(at) = full {
            if let Outcome::Done { body, .. } = &mut run.history[at].outcome {
                *body = body.replace("t-0-1", "u-0-1").into();
            }
            assert!(!good(&run.history), "seed {seed}");
            found += 1;
        }
    }
    assert!(found > 10, "only {found} lists");
}
