//! The shortest run that still fails: parts of the plan are left out as long as the same violation remains
//! (Zeller's ddmin), then the network is made to behave and clients are sent home.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::report::Failure;
use super::{Params, run_with};

/// What is left out of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// The parts of the plan that stay; `None`: all.
    pub keep: Option<BTreeSet<usize>>,
    /// No message is lost, doubled or late by chance.
    pub calm_network: bool,
    /// Changes what the plan does not decide: which message is how late.
    pub salt: u64,
}

impl Cuts {
    /// Whether this part of the plan stays.
    pub(super) fn keeps(&self, number: usize) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.contains(&number))
    }

    /// The cuts of a text as [`fmt::Display`] writes it behind `DMQ_SIM_ONLY=`.
    ///
    /// # Panics
    /// If the text is another one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split(':');
        let keep = parts.next().unwrap_or_default();
        let numbers = keep.split(',').filter(|number| !number.is_empty());
        let number = |text: &str| text.parse().expect("a number of the plan");
        Self {
            keep: (keep != "all").then(|| numbers.map(number).collect()),
            calm_network: parts.next() == Some("calm"),
            salt: parts.next().map_or(0, |salt| salt.parse().expect("a salt")),
        }
    }
}

impl fmt::Display for Cuts {
    /// Nothing for a whole run, else the variable that makes the same cuts again, and a space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        let keep = self.keep.as_ref().map_or_else(
            || "all".to_owned(),
            |keep| {
                let numbers: Vec<_> = keep.iter().map(ToString::to_string).collect();
                numbers.join(",")
            },
        );
        let network = if self.calm_network { "calm" } else { "wild" };
        write!(f, "DMQ_SIM_ONLY={keep}:{network}:{} ", self.salt)
    }
}

/// Looks for a shorter run that fails in the same way, for so long. What it finds is a failure like any other: it
/// prints what went wrong in it and how to see it again.
#[must_use]
pub fn shrink(failure: &Failure, budget: Duration) -> Failure {
    let until = Instant::now() + budget;
    let mut best = failure.clone();
    // What was planned for later than the failure has no part in it.
    let mut candidates = vec![Cuts {
        keep: Some(best.numbers.iter().copied().collect()),
        ..Cuts::default()
    }];
    candidates.push(Cuts {
        calm_network: true,
        ..candidates[0].clone()
    });
    for cuts in candidates {
        try_cuts(&mut best, cuts);
    }
    let kept = best.numbers.clone();
    let fails = |keep: &[usize]| {
        let cuts = best.params.cuts.clone();
        (0..2).any(|salt| {
            let cuts = Cuts {
                keep: Some(keep.iter().copied().collect()),
                salt,
                ..cuts.clone()
            };
            try_cuts(&mut best, cuts)
        })
    };
    fewest(kept, fails, || Instant::now() >= until);
    best
}

/// Runs it with these cuts. If it fails as it did, that is the best run so far.
fn try_cuts(best: &mut Failure, cuts: Cuts) -> bool {
    let params = Params {
        cuts,
        ..(*best.params).clone()
    };
    match run_with(params) {
        Err(failure) if failure.kind() == best.kind() => {
            *best = failure;
            true
        }
        _ => false,
    }
}

/// Leaves out as much of `items` as possible while `fails` holds of the rest: halves first, single ones at last.
fn fewest<T: Clone>(
    mut items: Vec<T>,
    mut fails: impl FnMut(&[T]) -> bool,
    mut out_of_time: impl FnMut() -> bool,
) -> Vec<T> {
    let mut parts = 2;
    while !items.is_empty() && !out_of_time() {
        let size = items.len().div_ceil(parts);
        let without = |at: usize| -> Vec<T> {
            let chunks = items.chunks(size).enumerate();
            let others = chunks.filter(|(number, _)| *number != at);
            others.flat_map(|(_, chunk)| chunk.to_vec()).collect()
        };
        let mut smaller = (0..items.len().div_ceil(size)).map(without);
        match smaller.find(|rest| !out_of_time() && fails(rest)) {
            Some(rest) => {
                items = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (2 * parts).min(items.len()),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_to_fail_is_left() {
        let fails = |rest: &[u32]| rest.contains(&3) && rest.contains(&77);
        let left = fewest((0..100).collect(), fails, || false);
        assert_eq!(left, [3, 77]);
        assert!(fewest((0..9).collect::<Vec<u32>>(), |_| true, || false).is_empty());
    }

    #[test]
    fn cuts_are_read_as_they_are_written() {
        let cuts = Cuts {
            keep: Some([3, 7].into()),
            calm_network: true,
            salt: 1,
        };
        assert_eq!(cuts.to_string(), "DMQ_SIM_ONLY=3,7:calm:1 ");
        assert_eq!(Cuts::parse("3,7:calm:1"), cuts);
        assert_eq!(Cuts::parse("all:wild:0"), Cuts::default());
        assert_eq!(Cuts::default().to_string(), "");
    }
}
