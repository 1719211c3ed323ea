//! The table at the end and the line that machines read.

use std::time::Duration;

use super::counts::Counts;
use crate::process::say;

/// What became of one suite.
pub(super) struct Outcome {
    suite: &'static str,
    counts: Counts,
    elapsed: Duration,
    /// Programs that failed, hung or ran no test.
    troubles: Vec<String>,
    /// Why the suite did not run.
    not_run: Option<String>,
}

impl Outcome {
    pub(super) fn ran(
        suite: &'static str,
        counts: Counts,
        elapsed: Duration,
        troubles: Vec<String>,
    ) -> Self {
        Self {
            suite,
            counts,
            elapsed,
            troubles,
            not_run: None,
        }
    }

    pub(super) fn not_run(suite: &'static str, why: String) -> Self {
        Self {
            suite,
            counts: Counts::default(),
            elapsed: Duration::ZERO,
            troubles: Vec::new(),
            not_run: Some(why),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.counts.failed > 0 || !self.troubles.is_empty()
    }

    pub(super) fn skipped(&self) -> bool {
        self.not_run.is_some()
    }

    fn row(&self) -> String {
        if let Some(why) = &self.not_run {
            return format!(
                "{:<10} {:>6} {:>8}  did not run: {why}",
                self.suite, "-", "-"
            );
        }
        let mut notes = vec![if self.failed() { "FAILED" } else { "ok" }];
        notes.extend(self.troubles.iter().map(String::as_str));
        format!(
            "{:<10} {:>6} {:>7.1}s  {}",
            self.suite,
            self.counts.ran(),
            self.elapsed.as_secs_f64(),
            notes.join("; ")
        )
    }
}

/// Prints the table and the totals. A suite that did not run counts as one skipped test, a program that broke
/// without naming a failed test as one failed test.
pub(super) fn print(outcomes: &[Outcome]) {
    say(&format!("\n{:<10} {:>6} {:>8}", "suite", "tests", "time"));
    let mut total = Counts::default();
    for outcome in outcomes {
        say(&outcome.row());
        total += outcome.counts;
        total.skipped += usize::from(outcome.skipped());
        if outcome.counts.failed == 0 {
            total.failed += outcome.troubles.len();
        }
    }
    say(&format!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    ));
}
