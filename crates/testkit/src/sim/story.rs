//! What went wrong in a run, in words: for the report of a failure.

use super::params::SECOND;
use super::world::World;

/// One thing that happened as it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When.
    pub(super) at: u64,
    /// Its number in the plan.
    pub(super) number: usize,
    /// What.
    pub(super) what: String,
}

impl World {
    /// Notes that something planned happened.
    pub(super) fn told(&mut self, number: usize, what: String) {
        let at = self.now;
        self.story.push(Told { at, number, what });
    }

    /// The story so far, a line for each part.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |told: &Told| {
            let (seconds, micros) = (told.at / SECOND, told.at % SECOND);
            format!(
                "{seconds:>6}.{micros:06} s  #{:<3} {}",
                told.number, told.what
            )
        };
        self.story.iter().map(line).collect()
    }

    /// Numbers of the parts that happened, in order.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.story.iter().map(|told| told.number).collect()
    }
}
