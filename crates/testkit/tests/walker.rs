//! The untimed walker over the consensus core. `DMQ_TEST_SECONDS` sets how long it walks beyond the
//! least number of walks; `DMQ_TEST_SEED` replays exactly one walk.
#![allow(clippy::print_stdout, reason = "the figures of a run are its result")]

use std::time::Duration;

use dmq_testkit::walker::{Budget, Totals, walk, walk_many};

#[test]
fn walks_keep_the_properties_of_raft() {
    if let Some(seed) = number("DMQ_TEST_SEED") {
        let coverage = walk(seed).unwrap_or_else(|failure| panic!("{failure}"));
        println!("walk {seed}: {coverage:?}");
        return;
    }
    let time = Duration::from_secs(number("DMQ_TEST_SECONDS").unwrap_or(5));
    let mut totals = Totals::default();
    let mut budget = Budget {
        walks_min: 2_000,
        time,
    };
    while totals.walks == 0 || (!totals.coverage.never().is_empty() && totals.walks < 50_000) {
        let more = walk_many(1 + totals.walks, budget);
        totals.add(&more.unwrap_or_else(|failure| panic!("{failure}")));
        budget.time = Duration::ZERO;
    }
    println!("{totals}");
    let never = totals.coverage.never();
    assert!(
        never.is_empty(),
        "never met in {} walks: {never:?}",
        totals.walks
    );
}

#[test]
fn a_seed_is_a_walk() {
    for seed in 0..20 {
        assert_eq!(walk(seed), walk(seed), "seed {seed}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => text.parse(),
    };
    Some(parsed.expect("the walker's variables hold whole numbers"))
}
