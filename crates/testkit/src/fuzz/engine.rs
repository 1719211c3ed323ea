//! The loop: an input of the pool, mutated, run, kept if it showed something new.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

use super::chance::Chance;
use super::coverage::Coverage;
use super::mutate::{self, Stock};
use super::{Answer, Target};

/// Inputs that the pool holds at most; beyond that a new one takes the place of a longer one.
const POOL_MAX: usize = 4000;
/// The same for refused ones: texts of errors are many, and what is made of refused inputs is refused too.
const REFUSED_MAX: usize = 400;
/// Inputs that run between two looks at the counters of a build that has them.
const BATCH: usize = 64;
/// Runs that the shortening of a failing input may take.
const SHORTENING_RUNS_MAX: usize = 20_000;
/// Names a file that every input is written to before it runs: for ends of the process that no run survives.
const IN_FLIGHT: &str = "DMQ_FUZZ_IN_FLIGHT";

/// How much memory this process has in use, as its allocator counts.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// Forgets the peak so far.
    pub reset: fn(),
    /// The largest use since then, in bytes.
    pub peak: fn() -> usize,
    /// The use now, in bytes.
    pub now: fn() -> usize,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The input, as short as it could be made.
    pub input: Vec<u8>,
    /// What happened.
    pub what: String,
}

/// What a search came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Inputs that ran.
    pub executions: u64,
    /// Of these: taken, not refused.
    pub taken: u64,
    /// Inputs in the pool at the end.
    pub kept: usize,
    /// Different answers.
    pub answers: usize,
    /// Counters of the code that moved, in a build that has them.
    pub covered: usize,
    /// The longest run.
    pub slowest: Duration,
    /// Most memory that one input cost, in bytes.
    pub memory: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            taken,
            kept,
            answers,
            covered,
            slowest,
            memory,
        } = self;
        write!(
            f,
            "{executions} inputs, {taken} taken, {kept} kept, {answers} answers"
        )?;
        if *covered > 0 {
            write!(f, ", {covered} places of the code")?;
        }
        write!(
            f,
            ", slowest {slowest:.1?}, most memory {} KiB",
            memory >> 10
        )
    }
}

/// Searches one target.
pub struct Engine<'a> {
    target: &'a Target,
    meter: Meter,
    /// Inputs that were taken, or ran new code.
    pool: Vec<Vec<u8>>,
    /// Inputs that were refused in a way of their own.
    refused: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    answers: BTreeSet<Answer>,
    coverage: Option<Coverage>,
    chance: Chance,
    in_flight: Option<PathBuf>,
    figures: Figures,
}

impl<'a> Engine<'a> {
    /// An engine that begins with these inputs. Same inputs and seed: same search.
    ///
    /// # Errors
    /// If one of the inputs breaks a promise.
    pub fn new(
        target: &'a Target,
        meter: Meter,
        inputs: &[Vec<u8>],
        seed: u64,
    ) -> Result<Self, Crash> {
        let words: BTreeSet<_> = inputs
            .iter()
            .flat_map(|input| mutate::words_of(input))
            .collect();
        let mut engine = Self {
            target,
            meter,
            pool: Vec::new(),
            refused: Vec::new(),
            words: words.into_iter().take(2000).collect(),
            answers: BTreeSet::new(),
            coverage: Coverage::of_process(),
            chance: Chance::new(seed),
            in_flight: std::env::var_os(IN_FLIGHT).map(PathBuf::from),
            figures: Figures::default(),
        };
        for input in inputs {
            let answer = engine.run(input)?;
            engine.answers.insert(answer);
            engine.keep(input.clone(), answer.taken);
        }
        if engine.pool.is_empty() {
            engine.pool.push(Vec::new());
        }
        if let Some(coverage) = &mut engine.coverage {
            coverage.fresh();
        }
        Ok(engine)
    }

    /// Searches until `enough` says so; it is asked between batches.
    ///
    /// # Errors
    /// The first broken promise, with the input already shortened.
    pub fn search(&mut self, mut enough: impl FnMut(&Figures) -> bool) -> Result<(), Crash> {
        while !enough(&self.figures()) {
            self.batch()?;
        }
        Ok(())
    }

    /// What came of it so far.
    pub fn figures(&self) -> Figures {
        Figures {
            kept: self.pool.len() + self.refused.len(),
            answers: self.answers.len(),
            covered: self.coverage.as_ref().map_or(0, Coverage::covered),
            ..self.figures
        }
    }

    /// Inputs of the pool that together show all that the pool shows, short ones first, up to so many bytes.
    pub fn essence(&mut self, bytes_max: usize) -> Vec<Vec<u8>> {
        let mut inputs = [self.pool.as_slice(), &self.refused].concat();
        inputs.sort_by_key(Vec::len);
        let (mut answers, mut covered) = (BTreeSet::new(), BTreeSet::new());
        let (mut essence, mut bytes) = (Vec::new(), 0);
        for input in inputs {
            let (target, mut answer) = (self.target, None);
            let mut work = || answer = execute(target, &input).ok();
            let moved = if let Some(coverage) = &mut self.coverage {
                coverage.moved_by(&mut work)
            } else {
                work();
                Vec::new()
            };
            let by_code = moved
                .into_iter()
                .fold(false, |new, at| covered.insert(at) | new);
            let by_answer = answer.is_some_and(|answer| answers.insert(answer));
            // With counters at hand an answer alone is no reason: texts of errors are many.
            let new = if self.coverage.is_some() {
                by_code
            } else {
                by_answer
            };
            if new && bytes + input.len() <= bytes_max {
                bytes += input.len();
                essence.push(input);
            }
        }
        essence
    }

    fn batch(&mut self) -> Result<(), Crash> {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let input = self.next_input();
            let answer = self.run(&input)?;
            if self.answers.insert(answer) {
                self.keep(input, answer.taken);
            } else if self.coverage.is_some() {
                batch.push(input);
            }
        }
        self.keep_what_ran_new_code(batch);
        Ok(())
    }

    /// The later an input came the more often it is drawn: it is near to what was found last.
    fn next_input(&mut self) -> Vec<u8> {
        let from_refused = self.chance.once_in(5) && !self.refused.is_empty();
        let from = if from_refused {
            &self.refused
        } else {
            &self.pool
        };
        let mut at = self.chance.below(from.len());
        if self.chance.once_in(2) {
            at = at.max(self.chance.below(from.len()));
        }
        let stock = Stock {
            pool: &self.pool,
            words: &self.words,
        };
        mutate::mutated(self.target.form, &from[at], &stock, &mut self.chance)
    }

    /// The counters say that one of the batch ran new code; run again one by one to learn which.
    fn keep_what_ran_new_code(&mut self, batch: Vec<Vec<u8>>) {
        let Some(mut coverage) = self.coverage.take() else {
            return;
        };
        let mut fresh: BTreeSet<usize> = coverage.fresh().into_iter().collect();
        for input in batch {
            if fresh.is_empty() {
                break;
            }
            let target = self.target;
            let moved = coverage.moved_by(|| drop(execute(target, &input)));
            let mine: Vec<usize> = moved.into_iter().filter(|at| fresh.contains(at)).collect();
            if !mine.is_empty() {
                fresh.retain(|at| !mine.contains(at));
                self.keep(input, true);
            }
        }
        self.coverage = Some(coverage);
    }

    fn keep(&mut self, input: Vec<u8>, is_good: bool) {
        let (inputs, most) = if is_good {
            (&mut self.pool, POOL_MAX)
        } else {
            (&mut self.refused, REFUSED_MAX)
        };
        if inputs.len() < most {
            inputs.push(input);
            return;
        }
        let at = self.chance.below(inputs.len());
        if inputs[at].len() >= input.len() {
            inputs[at] = input;
        }
    }

    /// Runs one input and holds the target to its promises.
    fn run(&mut self, input: &[u8]) -> Result<Answer, Crash> {
        if let Some(path) = &self.in_flight {
            // Only a help for somebody who looks for an input that ends the process.
            let _ = std::fs::write(path, input);
        }
        let begin = Instant::now();
        let result = measured(self.target, self.meter, input);
        self.figures.slowest = self.figures.slowest.max(begin.elapsed());
        self.figures.executions += 1;
        match result {
            Ok((answer, memory)) => {
                self.figures.memory = self.figures.memory.max(memory);
                self.figures.taken += u64::from(answer.taken);
                Ok(answer)
            }
            Err(_) => Err(shortened(self.target, self.meter, input)),
        }
    }
}

/// Runs one input: the answer and the memory that it took, or which promise was broken.
pub(super) fn measured(
    target: &Target,
    meter: Meter,
    input: &[u8],
) -> Result<(Answer, usize), String> {
    (meter.reset)();
    let before = (meter.now)();
    let answer = execute(target, input)?;
    let memory = (meter.peak)().saturating_sub(before);
    let allowed = target.memory_max(input.len());
    if memory > allowed {
        let len = input.len();
        return Err(format!(
            "{memory} bytes of memory for an input of {len} bytes; allowed are {allowed}"
        ));
    }
    Ok((answer, memory))
}

/// Makes a failing input as short and as plain as a bounded number of runs can.
pub(super) fn shortened(target: &Target, meter: Meter, input: &[u8]) -> Crash {
    let mut best = input.to_vec();
    let mut runs = 0;
    let mut fails = |candidate: &[u8]| {
        runs += 1;
        runs <= SHORTENING_RUNS_MAX && measured(target, meter, candidate).is_err()
    };
    let mut piece = best.len().next_power_of_two();
    while piece > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut candidate = best.clone();
            candidate.drain(at..(at + piece).min(best.len()));
            if fails(&candidate) {
                best = candidate;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    for at in 0..best.len() {
        let mut candidate = best.clone();
        candidate[at] = 0;
        if best[at] != 0 && fails(&candidate) {
            best = candidate;
        }
    }
    let what = measured(target, meter, &best).err();
    Crash {
        input: best,
        what: what.unwrap_or_else(|| "it does not fail every time".to_owned()),
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the target; a panic is an error with its text and place, and prints nothing.
fn execute(target: &Target, input: &[u8]) -> Result<Answer, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                LAST.set(info.to_string());
            } else {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    QUIET.set(false);
    result.map_err(|_| LAST.take())
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;

    fn nothing() {}

    fn zero() -> usize {
        0
    }

    const METER: Meter = Meter {
        reset: nothing,
        peak: zero,
        now: zero,
    };

    /// Takes "DMQ", a length and so many bytes, and breaks down at a length of 200.
    fn fragile(input: &[u8]) -> Answer {
        match input {
            [b'D', b'M', b'Q', len, rest @ ..] => {
                assert_ne!(*len, 200, "the planted bug");
                if rest.len() < usize::from(*len) {
                    return Answer::refused(&"short");
                }
                Answer::taken(&"whole")
            }
            [b'D', b'M', ..] => Answer::refused(&"no third letter"),
            [b'D', ..] => Answer::refused(&"no second letter"),
            _ => Answer::refused(&"no first letter"),
        }
    }

    fn target(run: fn(&[u8]) -> Answer) -> Target {
        Target {
            name: "planted",
            form: Form::Binary,
            run,
            seeds: Vec::new,
            memory_base: 0,
            memory_factor: 1,
        }
    }

    #[test]
    fn a_planted_bug_is_found_from_nothing_and_made_short() {
        let target = target(fragile);
        let mut engine = Engine::new(&target, METER, &[], 1).unwrap();
        let crash = engine.search(|figures| figures.executions > 5_000_000);
        let crash = crash.unwrap_err();
        assert_eq!(crash.input, [b'D', b'M', b'Q', 200]);
        assert!(crash.what.contains("the planted bug"), "{}", crash.what);
    }

    #[test]
    fn the_same_seed_is_the_same_search() {
        let target = target(|input| Answer::refused(&"x".repeat(input.len())));
        let search = |seed| {
            let mut engine = Engine::new(&target, METER, &[b"seed".to_vec()], seed).unwrap();
            engine.search(|figures| figures.executions > 2000).unwrap();
            (engine.figures().kept, engine.refused)
        };
        assert_eq!(search(1), search(1));
        assert_ne!(search(1), search(2));
    }

    #[test]
    fn memory_beyond_the_promise_is_a_crash() {
        fn much() -> usize {
            100
        }
        let target = target(|_| Answer::taken(&()));
        let meter = Meter {
            peak: much,
            ..METER
        };
        let crash = shortened(&target, meter, &[7; 50]);
        assert!(crash.input.is_empty(), "as short as it gets");
        assert!(crash.what.contains("allowed are 0"), "{}", crash.what);
        assert_eq!(
            measured(&target, meter, &[7; 100]).map(|(_, memory)| memory),
            Ok(100)
        );
    }
}
