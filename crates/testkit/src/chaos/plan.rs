//! What a run does to its quorum, drawn from a seed before anything is started.

use std::fmt;
use std::time::Duration;

use super::fault::{Fault, StoreKind};
use crate::walker::dice::Dice;

/// How long a fault lasts at least: several elections.
const HOLD_MS: u64 = 3_500;
const HOLD_SPREAD_MS: usize = 2_000;

/// Whom a fault strikes. Who leads is only known when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The controller of that moment.
    Controller,
    /// One of the others.
    Follower(usize),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub fault: Fault,
    /// To whom.
    pub victim: Victim,
    /// How long at least; longer until writes are acknowledged.
    pub hold: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = self.hold.as_secs_f64();
        match self.victim {
            _ if !self.fault.has_victim() => write!(f, "{} {hold:.1} s", self.fault),
            Victim::Controller => write!(f, "{} of the controller {hold:.1} s", self.fault),
            Victim::Follower(_) => write!(f, "{} of a follower {hold:.1} s", self.fault),
        }
    }
}

/// What to draw from.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Number of voters.
    pub nodes: u32,
    /// What the projections are kept in.
    pub store: StoreKind,
    /// Only these, if any are named.
    pub faults: Vec<Fault>,
}

impl Choice {
    fn candidates(&self) -> Vec<Fault> {
        let wanted = |fault: &Fault| self.faults.is_empty() || self.faults.contains(fault);
        let fits = |fault: &Fault| fault.fits(self.nodes, self.store);
        Fault::ALL.into_iter().filter(wanted).filter(fits).collect()
    }
}

/// Every fault that fits once, those with a victim once for the controller and once for a follower in turns of the seed.
pub fn every_fault(choice: &Choice, seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut faults = choice.candidates();
    shuffle(&mut faults, &mut dice);
    faults
        .into_iter()
        .map(|fault| step(fault, &mut dice))
        .collect()
}

/// Faults as the dice fall, never the same twice in a row where there is a choice.
pub fn mix(choice: &Choice, seed: u64, steps: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let candidates = choice.candidates();
    let mut plan: Vec<Step> = Vec::new();
    while plan.len() < steps && !candidates.is_empty() {
        let fault = candidates[dice.below(candidates.len())];
        let again = plan.last().is_some_and(|last| last.fault == fault);
        if !again || candidates.len() == 1 {
            plan.push(step(fault, &mut dice));
        }
    }
    plan
}

fn step(fault: Fault, dice: &mut Dice) -> Step {
    let victim = if dice.once_in(2) {
        Victim::Controller
    } else {
        Victim::Follower(dice.below(64))
    };
    let hold = Duration::from_millis(HOLD_MS + dice.below(HOLD_SPREAD_MS) as u64);
    Step {
        fault,
        victim,
        hold,
    }
}

fn shuffle(faults: &mut [Fault], dice: &mut Dice) {
    for at in (1..faults.len()).rev() {
        faults.swap(at, dice.below(at + 1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn choice(nodes: u32, store: StoreKind) -> Choice {
        Choice {
            nodes,
            store,
            faults: Vec::new(),
        }
    }

    #[test]
    fn a_seed_is_a_plan() {
        let of = |seed| mix(&choice(5, StoreKind::Postgres), seed, 20);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn the_two_plans_of_ci_have_every_fault() {
        let plans = [
            every_fault(&choice(3, StoreKind::Sqlite), 1),
            every_fault(&choice(5, StoreKind::Postgres), 2),
        ];
        let seen: BTreeSet<Fault> = plans.iter().flatten().map(|step| step.fault).collect();
        assert_eq!(seen, BTreeSet::from(Fault::ALL));
        assert!(plans[0].iter().all(|step| step.fault != Fault::Ring));
    }
}
