//! The untimed walker over the consensus core, one thread per core of the machine. `DMQ_TEST_SECONDS` sets how long it
//! walks beyond the least number of walks; `DMQ_TEST_SEED` replays exactly one walk, and makes it shorter if it fails.
#![allow(clippy::print_stdout, reason = "the figures of a run are its result")]

use std::time::Duration;

use dmq_testkit::walker::{Budget, Failure, Totals, shrink, walk, walk_on};

/// Walks at least, even where time is short: every event of the table must happen in them.
const WALKS_MIN: u64 = 4_000;

#[test]
fn walks_keep_the_properties_of_raft() {
    if let Some(seed) = number("DMQ_TEST_SEED") {
        let coverage = walk(seed).unwrap_or_else(|failure| panic!("{}", told(&failure)));
        println!("walk {seed}: {coverage:?}");
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let time = Duration::from_secs(number("DMQ_TEST_SECONDS").unwrap_or(5));
    let mut totals = Totals::default();
    let mut budget = Budget {
        walks_min: WALKS_MIN,
        time,
    };
    while totals.walks == 0 || (!totals.coverage.never().is_empty() && totals.walks < 200_000) {
        let more = walk_on(threads, 1 + totals.walks, budget);
        totals.add(&more.unwrap_or_else(|failure| panic!("{}", told(&failure))));
        budget.time = Duration::ZERO;
    }
    println!("{totals}on {threads} threads");
    let never = totals.coverage.never();
    assert!(
        never.is_empty(),
        "never met in {} walks: {never:#?}",
        totals.walks
    );
}

#[test]
fn a_seed_is_a_walk() {
    for seed in 0..20 {
        assert_eq!(walk(seed), walk(seed), "seed {seed}");
    }
}

/// The failure, with the shortest part of its walk that still fails.
fn told(failure: &Failure) -> String {
    // Hundreds of shorter walks fail on the way; only the last one is worth a report.
    std::panic::set_hook(Box::new(|_| {}));
    let shorter = shrink(failure.seed, Duration::from_secs(30));
    let _silent = std::panic::take_hook();
    let shorter = shorter.map_or_else(String::new, |shorter| shorter.to_string());
    format!("{shorter}\n\n{failure}")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => text.parse(),
    };
    Some(parsed.expect("the walker's variables hold whole numbers"))
}
