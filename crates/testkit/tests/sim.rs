//! Whole members under faults, one seed after the other, until the time is over.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test"
)]

use std::time::{Duration, Instant};

use dmq_testkit::sim;

/// Seeds that every run covers, whatever the time.
const SEEDS_MIN: u64 = 6;
/// Seeds after which everything that can happen must have happened.
const SEEDS_MAX: u64 = 60;
/// Budget without `DMQ_TEST_SECONDS`.
const SECONDS_DEFAULT: u64 = 10;

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let digits = text.trim();
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    Some(parsed.unwrap_or_else(|error| panic!("{name} is '{text}': {error}")))
}

#[test]
fn members_stay_safe_under_faults_and_serve_after_them() {
    if let Some(seed) = from_env("DMQ_TEST_SEED") {
        println!(
            "{}",
            sim::run(seed).unwrap_or_else(|failure| panic!("{failure}"))
        );
        return;
    }
    let budget = Duration::from_secs(from_env("DMQ_TEST_SECONDS").unwrap_or(SECONDS_DEFAULT));
    let first = from_env("DMQ_TEST_FIRST_SEED").unwrap_or(1);
    let begin = Instant::now();
    let mut total = sim::Report::default();
    let mut runs = 0;
    let everything = |total: &sim::Report| total.faults.never().is_empty();
    while runs < SEEDS_MIN || begin.elapsed() < budget || (runs < SEEDS_MAX && !everything(&total))
    {
        let report = sim::run(first + runs).unwrap_or_else(|failure| panic!("{failure}"));
        total.add(&report);
        runs += 1;
    }
    println!("{runs} runs in {} s: {total}", begin.elapsed().as_secs());
    assert!(
        total.commits > 100 * runs,
        "the runs did next to nothing: {total}"
    );
    let never = total.faults.never();
    assert!(
        never.is_empty(),
        "never met in {runs} runs: {never:?}; {total}"
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    let first = sim::run(42).unwrap_or_else(|failure| panic!("{failure}"));
    let second = sim::run(42).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(first, second);
    let other = sim::run(43).unwrap_or_else(|failure| panic!("{failure}"));
    assert_ne!(first.trace, other.trace);
}
