//! The program: makes namespaces, runs inside of them, says what came of it, and repeats once what was too slow to count.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::options::Options;
use super::report::say;
use super::runner;
use super::stage::Stage;
use super::{audit, contain};

/// Exit code of a run that found nothing wrong and tested too little.
const INVALID: u8 = 75;

/// Runs once, and once more if the first run was invalid.
pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(folder) = contain::inside() {
        return inside(&folder, options);
    }
    say(&format!("$ {}", options.command()));
    for step in options.plan() {
        say(&format!("  {step}"));
    }
    let mut ended = contain::run_inside()?;
    if ended.code() == Some(i32::from(INVALID)) {
        say("the run is repeated once");
        ended = contain::run_inside()?;
    }
    if ended.success() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("replay: {}", options.command()));
    Ok(ExitCode::FAILURE)
}

fn inside(folder: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(act(folder, options))
}

async fn act(folder: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::build(&folder.join("stage"), &options.choice(), options.seed)
        .await
        .context("the stage cannot be built")?;
    let outcome = runner::run(&mut stage, options).await?;
    audit::write_history(folder, &outcome.history)?;
    if let Some(failure) = outcome.failure {
        return Err(failure.context(stage.quorum.logs()));
    }
    let findings = audit::examine(&mut stage, &outcome.history, outcome.log)
        .await
        .with_context(|| stage.quorum.logs())?;
    say(&format!(
        "\n{}\n\n{}",
        findings.summary,
        outcome.report.table()
    ));
    if !findings.violations.is_empty() {
        let violations = findings.violations.join("\n");
        std::fs::write(folder.join("violations.txt"), &violations)?;
        say(&format!("VIOLATED:\n{violations}"));
        return Ok(ExitCode::FAILURE);
    }
    if let Some(why) = outcome.report.invalid() {
        say(&format!("invalid: {why}"));
        return Ok(ExitCode::from(INVALID));
    }
    Ok(ExitCode::SUCCESS)
}
