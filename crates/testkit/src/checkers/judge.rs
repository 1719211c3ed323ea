//! Both checks of a chaos history, and their answer in words.

use std::fmt;
use std::time::Duration;

use dmq_metadata::ClusterId;

use super::log::CommittedLog;
use super::{blackbox, witness};
use crate::chaos::operation::Operation;

/// What both checks found.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Against the log.
    pub witness: witness::Verdict,
    /// Without it.
    pub blackbox: blackbox::Verdict,
}

/// Checks a history against the log up to `commit`, and by itself for `budget` at most.
pub fn judge(
    history: &[Operation],
    log: &CommittedLog,
    cluster: &ClusterId,
    commit: u64,
    budget: Duration,
) -> Judgement {
    Judgement {
        witness: witness::check(history, log, cluster, commit),
        blackbox: blackbox::check(history, budget),
    }
}

impl Judgement {
    /// Everything that is wrong. What was not decided in time counts: nobody knows that it is right.
    pub fn violations(&self) -> Vec<String> {
        let undecided = self
            .blackbox
            .undecided
            .iter()
            .map(|object| format!("not decided: {object}"));
        let mut all = self.witness.violations.clone();
        all.extend(self.blackbox.violations.iter().cloned());
        all.extend(undecided);
        all
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (witness, blackbox) = (&self.witness, &self.blackbox);
        write!(
            f,
            "witness: {} answers checked, {} unknown outcomes were done and {} were not, {} repeated; \
             black box: {} objects, {} operations, {} not decided; {} violations",
            witness.checked,
            witness.unknown.0,
            witness.unknown.1,
            witness.repeated,
            blackbox.objects,
            blackbox.operations,
            blackbox.undecided.len(),
            witness.violations.len() + witness.more + blackbox.violations.len(),
        )
    }
}
