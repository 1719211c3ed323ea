//! Walking: one seed, many of them, on one thread or on several.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::action::{act, crowd_out};
use super::choice::Plan;
use super::coverage::Coverage;
use super::dice::Dice;
use super::liveness::heal_and_demand_progress;
use super::setup::create;
use super::world::World;

/// A property that broke, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Give it to [`walk`].
    pub seed: u64,
    /// Which property, and how.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what } = self;
        write!(
            f,
            "walk {seed} failed: {what}\nreplay: cargo xtask walker --seed {seed}"
        )
    }
}

/// When to stop walking.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Walks that are done whatever time they take.
    pub walks_min: u64,
    /// More are done until so much time has passed.
    pub time: Duration,
}

/// What many walks did.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Number of walks.
    pub walks: u64,
    /// What happened in them.
    pub coverage: Coverage,
    /// How long they took.
    pub elapsed: Duration,
}

impl Totals {
    /// Adds another run's figures, which came after these.
    pub fn add(&mut self, other: &Self) {
        self.walks += other.walks;
        self.elapsed += other.elapsed;
        self.coverage.add(&other.coverage);
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (actions, choices) = (self.coverage.actions(), self.coverage.choices());
        let (walks, seconds) = (self.walks, self.elapsed.as_secs_f64());
        writeln!(
            f,
            "{walks} walks of {choices} choices: {actions} actions in {seconds:.1} s"
        )?;
        write!(f, "{}", self.coverage)
    }
}

/// Walks from `first_seed` on, seed by seed, until the budget is used up.
///
/// # Errors
/// The first walk that broke a property.
pub fn walk_many(first_seed: u64, budget: Budget) -> Result<Totals, Failure> {
    walk_on(1, first_seed, budget)
}

/// As [`walk_many`], on several threads. Every seed below the one of the failure was walked.
///
/// # Errors
/// Of the walks that broke a property the one with the smallest seed.
pub fn walk_on(threads: usize, first_seed: u64, budget: Budget) -> Result<Totals, Failure> {
    let begin = Instant::now();
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let enough = |walks| walks >= budget.walks_min && begin.elapsed() >= budget.time;
    let work = || {
        let mut totals = Totals::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > failed.load(Ordering::Relaxed) || enough(number) {
                return Ok(totals);
            }
            match walk(first_seed.wrapping_add(number)) {
                Ok(coverage) => totals.coverage.add(&coverage),
                Err(failure) => {
                    failed.fetch_min(number, Ordering::Relaxed);
                    return Err((number, failure));
                }
            }
            totals.walks += 1;
        }
    };
    let results: Vec<Result<Totals, (u64, Failure)>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work()];
        results.extend(others.into_iter().filter_map(|thread| thread.join().ok()));
        results
    });
    let mut totals = Totals::default();
    let mut first: Option<(u64, Failure)> = None;
    for result in results {
        match result {
            Ok(part) => totals.add(&part),
            Err(found) if first.as_ref().is_none_or(|known| found.0 < known.0) => {
                first = Some(found);
            }
            Err(_) => {}
        }
    }
    totals.elapsed = begin.elapsed();
    first.map_or(Ok(totals), |(_, failure)| Err(failure))
}

/// One walk. The same seed gives the same walk, on every machine.
///
/// # Errors
/// The property that broke.
pub fn walk(seed: u64) -> Result<Coverage, Failure> {
    let attempt = attempt(&Plan::of(seed));
    attempt.map_err(|Broken { what, .. }| Failure { seed, what })
}

/// A plan that broke a property.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) what: String,
    /// Choices up to the one that showed it; all of them if the repair at the end did.
    pub(super) choices: usize,
}

/// Carries a plan out.
pub(super) fn attempt(plan: &Plan) -> Result<Coverage, Broken> {
    let begun = Cell::new(0);
    let result = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let (mut world, mut dice) = begin(plan);
        carry_out(plan, &mut world, &mut dice, &begun);
        world.coverage
    }));
    result.map_err(|cause| Broken {
        what: text_of(&*cause),
        choices: begun.get(),
    })
}

/// Carries a plan out and tells what happens, up to its failure.
pub(super) fn tell(plan: &Plan) -> Vec<String> {
    let (mut world, mut dice) = begin(plan);
    world.story = Some(Vec::new());
    let begun = Cell::new(0);
    let _ = catch_unwind(std::panic::AssertUnwindSafe(|| {
        carry_out(plan, &mut world, &mut dice, &begun);
    }));
    world.story.take().unwrap_or_default()
}

fn begin(plan: &Plan) -> (World, Dice) {
    let mut dice = Dice::new(plan.setup);
    let mut world = create(&mut dice);
    world.ordered = plan.ordered;
    (world, dice)
}

fn carry_out(plan: &Plan, world: &mut World, dice: &mut Dice, begun: &Cell<usize>) {
    for (number, choice) in plan.choices.iter().enumerate() {
        begun.set(number + 1);
        if let Some(story) = &mut world.story {
            story.push(choice.event.text().to_owned());
        }
        act(world, *choice);
        crowd_out(world, plan.network_max);
    }
    if plan.heal {
        heal_and_demand_progress(world, dice);
    }
}

fn text_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
