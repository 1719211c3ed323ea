//! `test`: builds every test once, runs the suites, and says what ran, what failed and what could not run.

mod build;
mod counts;
mod means;
mod report;
mod run;
mod table;

use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::cluster::Provider;
use crate::process::say;
use crate::workspace::in_ci;

/// Which suites, how long, and which seed.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Suites to run, all if none is named.
    pub(crate) suites: Vec<String>,
    /// A suite to leave out, because another machine runs it.
    #[arg(long)]
    pub(crate) without: Vec<String>,
    /// Minutes that each long suite may search for failures, instead of its share in CI.
    #[arg(long)]
    pub(crate) minutes: Option<u64>,
    /// Replay exactly this seed in the suites that draw seeds.
    #[arg(long)]
    pub(crate) seed: Option<String>,
    /// What the cluster of the suites that need one is made of, instead of what suits this machine.
    #[arg(long, value_enum)]
    pub(crate) provider: Option<Provider>,
}

/// Runs the chosen suites. Fails if a test failed, or, with `CI=true`, if a suite did not run.
pub(crate) fn test(options: &Options) -> anyhow::Result<()> {
    let suites = table::chosen(&options.suites, &options.without)?;
    let tests = build::build(&suites)?;
    let mut means = means::Means::new(options.provider);
    let mut outcomes = Vec::new();
    for suite in suites {
        say(&format!("\n== {}: {}", suite.name, suite.about));
        if !run::has_tests(suite, &tests) {
            let why = "it has no test yet".to_owned();
            outcomes.push(report::Outcome::not_run(suite.name, why));
            continue;
        }
        let outcome = match means.provide(suite) {
            Ok(environment) => run::run(suite, &tests, &environment, options)?,
            Err(why) => report::Outcome::not_run(suite.name, format!("{why:#}")),
        };
        outcomes.push(outcome);
    }
    // The end of a cluster belongs before the table, which is what one looks at last.
    drop(means);
    report::print(&outcomes);
    conclude(&outcomes)
}

fn conclude(outcomes: &[report::Outcome]) -> anyhow::Result<()> {
    let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
    let skipped = outcomes.iter().filter(|outcome| outcome.skipped()).count();
    if failed > 0 {
        bail!("{failed} suites failed");
    }
    if skipped > 0 && in_ci() {
        bail!("{skipped} suites did not run, which is a failure with CI=true");
    }
    Ok(())
}

/// How long a suite may search for failures: what the command line says, or its share in CI.
fn search_time(suite: &table::Suite, options: &Options) -> Duration {
    let minutes = options
        .minutes
        .map(|minutes| Duration::from_secs(60 * minutes));
    minutes.unwrap_or(suite.share)
}
