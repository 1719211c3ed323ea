//! Whole members under faults, one seed after the other on every core, until the time is over.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dmq_testkit::sim;

/// Seeds that every run covers, whatever the time.
const SEEDS_MIN: u64 = 6;
/// Seeds after which everything that can happen must have happened.
const SEEDS_MAX: u64 = 150;
/// Budget without `DMQ_TEST_SECONDS`.
const SECONDS_DEFAULT: u64 = 10;
/// A budget from which on every class of faults must come up `OFTEN`.
const SECONDS_FULL: u64 = 200;
/// How often that is.
const OFTEN: u64 = 100;
/// How long a failure is made shorter.
const SHRINK: Duration = Duration::from_mins(1);

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let digits = text.trim();
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    Some(parsed.unwrap_or_else(|error| panic!("{name} is '{text}': {error}")))
}

/// What all runs so far amount to.
#[derive(Default)]
struct Search {
    next: u64,
    runs: u64,
    by_pace: BTreeMap<sim::Pace, (u64, Duration, sim::Report)>,
    total: sim::Report,
    failure: Option<sim::Failure>,
}

impl Search {
    /// The next seed, if there is still something to look for.
    fn take(&mut self, begin: Instant, budget: Duration) -> Option<u64> {
        let more = self.next < SEEDS_MIN
            || begin.elapsed() < budget
            || (self.next < SEEDS_MAX && !self.total.faults.rare(1).is_empty());
        let go_on = more && self.failure.is_none();
        go_on.then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn put(&mut self, took: Duration, result: Result<sim::Report, sim::Failure>) {
        match result {
            Ok(report) => {
                self.runs += 1;
                self.total.add(&report);
                let (runs, time, sum) = self.by_pace.entry(report.pace).or_default();
                *runs += 1;
                *time += took;
                sum.add(&report);
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    fn print(&self, begin: Instant) {
        println!(
            "{} runs in {} s: {}",
            self.runs,
            begin.elapsed().as_secs(),
            self.total
        );
        for (pace, (runs, time, sum)) in &self.by_pace {
            let simulated = Duration::from_micros(sum.simulated_micros).as_secs_f64();
            println!(
                "{pace:?}: {runs} runs, {simulated:.0} simulated seconds, {:.0} a second of one core, {} commits",
                simulated / time.as_secs_f64(),
                sum.commits
            );
        }
    }
}

/// What this thread has computed so far: other programs may run on the same machine.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// Says what failed, and the shortest run that fails in the same way.
fn fail(failure: &sim::Failure) -> ! {
    println!("{failure}");
    let short = sim::shrink(failure, SHRINK);
    let parts = format!("{} of {} parts", short.story.len(), failure.story.len());
    panic!(
        "{failure}\nshortest run found, {parts}:\n{}\n{short}",
        short.story.join("\n")
    );
}

fn replay(seed: u64) {
    let mut params = sim::Params::from_seed(seed);
    if let Ok(cuts) = std::env::var("DMQ_SIM_ONLY") {
        params.cuts = sim::Cuts::parse(&cuts);
    }
    match sim::run_with(params) {
        Ok(report) => println!("{report}"),
        Err(failure) => fail(&failure),
    }
}

#[test]
fn members_stay_safe_under_faults_and_serve_after_them() {
    if let Some(seed) = from_env("DMQ_TEST_SEED") {
        return replay(seed);
    }
    let seconds = from_env("DMQ_TEST_SECONDS").unwrap_or(SECONDS_DEFAULT);
    let first = from_env("DMQ_TEST_FIRST_SEED").unwrap_or(1);
    let begin = Instant::now();
    let search = Mutex::new(Search::default());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let take = || {
                    search
                        .lock()
                        .unwrap()
                        .take(begin, Duration::from_secs(seconds))
                };
                while let Some(number) = take() {
                    let began = cpu_time();
                    let result = sim::run(first + number);
                    let took = cpu_time().saturating_sub(began);
                    search.lock().unwrap().put(took, result);
                }
            });
        }
    });
    let search = search.into_inner().unwrap();
    search.print(begin);
    if let Some(failure) = &search.failure {
        fail(failure);
    }
    let (runs, total) = (search.runs, &search.total);
    assert!(
        total.commits > 100 * runs,
        "the runs did next to nothing: {total}"
    );
    let times = if seconds >= SECONDS_FULL { OFTEN } else { 1 };
    let rare = total.faults.rare(times);
    assert!(
        rare.is_empty(),
        "met less than {times} times in {runs} runs: {rare:?}; {total}"
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [42, 43] {
        let first = sim::run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        let second = sim::run(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first, second);
    }
    let trace = |seed| sim::run(seed).map(|report| report.trace).ok();
    assert_ne!(trace(42), trace(43));
}
