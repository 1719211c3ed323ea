//! Every decoder of bytes that others wrote, fuzzed: the corpus is replayed, then new inputs are made of it until the
//! time is over. A failing input is shortened, written into the corpus and named with the command that replays it.
//!
//! `DMQ_TEST_SECONDS`: for all targets together. `DMQ_TEST_SEED`: another search. `DMQ_FUZZ_TARGET`: only this one.
//! `DMQ_FUZZ_INPUT`: only this file. `DMQ_FUZZ_GROW`: put what was found in the place of the corpus's found inputs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, whose figures are its result"
)]

mod fuzz;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dmq_testkit::fuzz::{Meter, Target};
use peak_alloc::PeakAlloc;

/// Counts what the decoders ask for.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const METER: Meter = Meter {
    reset: || MEMORY.reset_peak_usage(),
    peak: || MEMORY.peak_usage(),
    now: || MEMORY.current_usage(),
};

/// Seconds for all targets together without `DMQ_TEST_SECONDS`.
const SECONDS_DEFAULT: u64 = 10;

/// The allocator counts for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All targets, or the one that was asked for.
fn targets() -> Vec<Target> {
    let mut all = dmq_testkit::fuzz::targets::all();
    all.extend(fuzz::targets());
    if let Ok(wanted) = std::env::var("DMQ_FUZZ_TARGET") {
        let names: Vec<&str> = all.iter().map(|target| target.name).collect();
        assert!(
            names.contains(&wanted.as_str()),
            "no target `{wanted}`: {names:?}"
        );
        all.retain(|target| target.name == wanted);
    }
    all
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = match text.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => text.parse(),
    };
    Some(parsed.unwrap_or_else(|error| panic!("{name} is '{text}': {error}")))
}

#[test]
fn the_corpus_is_replayed() {
    let _alone = alone();
    for target in targets() {
        let inputs = dmq_testkit::fuzz::replay(&target, METER);
        let inputs = inputs.unwrap_or_else(|error| panic!("{error:#}"));
        println!("{}: {inputs} inputs of the corpus", target.name);
        assert!(inputs > 1, "{} has no corpus", target.name);
    }
}

#[test]
fn decoders_survive_what_is_made_of_the_corpus() {
    let _alone = alone();
    let targets = targets();
    if let Some(path) = std::env::var_os("DMQ_FUZZ_INPUT").map(std::path::PathBuf::from) {
        let input = std::fs::read(&path).unwrap();
        for target in targets {
            let answer = dmq_testkit::fuzz::try_input(&target, METER, &path, &input);
            println!(
                "{}: {:?}",
                target.name,
                answer.unwrap_or_else(|error| panic!("{error:#}"))
            );
        }
        return;
    }
    let seconds = number("DMQ_TEST_SECONDS").unwrap_or(SECONDS_DEFAULT);
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap();
    let seed = number("DMQ_TEST_SEED").unwrap_or(1);
    let (mut executions, mut failures) = (0, Vec::new());
    for target in targets {
        match dmq_testkit::fuzz::fuzz(&target, METER, seed, share) {
            Ok(found) => {
                println!("{} in {share:.0?}: {}", target.name, found.figures);
                assert!(found.figures.executions > 0 && found.figures.taken > 0);
                executions += found.figures.executions;
                if std::env::var_os("DMQ_FUZZ_GROW").is_some() {
                    let written = dmq_testkit::fuzz::grow(&target, &found.essence).unwrap();
                    println!(
                        "{}: {} found inputs in the corpus",
                        target.name,
                        written.len()
                    );
                }
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    println!("{executions} inputs in all, seed {seed}");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The meter counts: a decoder that asks for too much would be noticed.
#[test]
fn memory_is_counted() {
    let _alone = alone();
    (METER.reset)();
    let before = (METER.now)();
    let much = std::hint::black_box(vec![1_u8; 5 << 20]);
    let peak = (METER.peak)() - before;
    assert!(peak >= much.len(), "{peak}");
}
