//! The two searches of this crate as programs of the gate: they stop at the first failure and say how far they came.

use std::fmt;
use std::panic::catch_unwind;

use crate::{sim, walker};

/// What draws seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The walker of the consensus core.
    Walker,
    /// The simulator of whole members.
    Sim,
}

/// How far a search came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// Walks or runs, the one that failed included.
    pub tries: u64,
    /// Seconds of simulated time in runs that held.
    pub simulated_seconds: u64,
    /// The property that broke.
    pub found: Option<String>,
}

impl Search {
    /// The name that the list of mutants uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Walker => "walker",
            Self::Sim => "sim",
        }
    }

    /// Tries that must find every bug that the search is known to find.
    pub fn tries(self) -> u64 {
        match self {
            Self::Walker => 20_000,
            Self::Sim => 60,
        }
    }
}

/// Draws so many seeds, from 1 on, or until one fails. Not by the clock: what is found must not depend on the machine.
pub fn search(what: Search, tries: u64) -> Searched {
    let mut searched = Searched::default();
    while searched.tries < tries && searched.found.is_none() {
        searched.tries += 1;
        let seed = searched.tries;
        searched.found = match what {
            Search::Walker => walk(seed),
            Search::Sim => simulate(seed, &mut searched.simulated_seconds),
        };
    }
    searched
}

fn walk(seed: u64) -> Option<String> {
    walker::walk(seed).err().map(|failure| failure.what)
}

fn simulate(seed: u64, seconds: &mut u64) -> Option<String> {
    match catch_unwind(|| sim::run(seed)) {
        Ok(Ok(report)) => {
            *seconds += report.simulated_micros / 1_000_000;
            None
        }
        Ok(Err(failure)) => {
            *seconds += failure.at_micros / 1_000_000;
            Some(failure.violation)
        }
        Err(cause) => {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
            Some(text.unwrap_or("a panic without a message").to_owned())
        }
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tries,
            simulated_seconds,
            found,
        } = self;
        match found {
            None => write!(f, "{tries} tries")?,
            Some(_) => write!(f, "try {tries}")?,
        }
        if *simulated_seconds > 0 {
            write!(f, ", {simulated_seconds} simulated seconds")?;
        }
        match found {
            None => Ok(()),
            Some(what) => write!(f, "\t{}", what.lines().next().unwrap_or_default()),
        }
    }
}
