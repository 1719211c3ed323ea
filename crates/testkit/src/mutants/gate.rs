//! The gate: every mutant meets the programs, first the one that is known to find it, then all others, the cheap ones
//! first. Without a mutant they all must pass.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Finding, Mutant, Programs, table};

/// How the gate runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Mutants at the same time.
    pub workers: usize,
    /// Let every program meet every mutant, to learn who else finds it.
    pub every: bool,
}

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The mutant; `None` is the program without one.
    pub mutant: Option<&'static Mutant>,
    /// Who met it, in order.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// The first who found it.
    pub fn found(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.found)
    }

    /// Whether this is as it must be: a mutant is found, and without a mutant nothing is.
    pub fn is_good(&self) -> bool {
        self.mutant.is_some() == self.found().is_some()
    }
}

/// Lets the programs meet these mutants, and first none. `say` gets a line for each as it is done.
///
/// # Errors
/// A program cannot be started.
pub fn run(
    mutants: &[&'static Mutant],
    programs: &Programs,
    options: Options,
    say: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Outcome>> {
    let tasks: Vec<Option<&'static Mutant>> = std::iter::once(None)
        .chain(mutants.iter().copied().map(Some))
        .collect();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = meet(*task, programs, options.every)?;
            say(&table::line(&outcome));
            outcomes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(outcome);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.workers.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a worker of the gate panicked")))
        })
    })?;
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let place = |outcome: &Outcome| {
        tasks
            .iter()
            .position(|task| task.map(|mutant| mutant.name) == outcome.mutant.map(|m| m.name))
    };
    outcomes.sort_by_key(place);
    Ok(outcomes)
}

/// Without a mutant, every program that the list relies on; with one, the programs until one finds it.
fn meet(
    mutant: Option<&'static Mutant>,
    programs: &Programs,
    every: bool,
) -> anyhow::Result<Outcome> {
    let mut findings = Vec::new();
    if let Some(mutant) = mutant {
        let program = programs.get(mutant.program());
        let program = program.ok_or_else(|| {
            anyhow::anyhow!(
                "{}: there is no program `{}`",
                mutant.name,
                mutant.program()
            )
        })?;
        findings.push(program.run(mutant.name, mutant.test())?);
    }
    for program in &programs.0 {
        let is_enough = mutant.is_some() && !every && findings.iter().any(|f: &Finding| f.found);
        if is_enough {
            break;
        }
        let is_done = |finding: &Finding| finding.program == program.name();
        if !findings
            .iter()
            .any(|finding| is_done(finding) && finding.found)
        {
            findings.push(program.run(mutant.map_or("", |mutant| mutant.name), None)?);
        }
    }
    Ok(Outcome { mutant, findings })
}
