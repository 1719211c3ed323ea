//! The program: makes namespaces, runs inside of them, says what came of it, and repeats once what was too slow to count.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::contain;
use super::options::Options;
use super::report::say;
use super::runner::{self, settle, write_history};
use super::stage::Stage;

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
    write_history(folder, &outcome.history)?;
    let index = settle(&mut stage).await?;
    say(&format!(
        "\n{} operations; equal state everywhere at index {index}\n\n{}",
        outcome.history.len(),
        outcome.report.table()
    ));
    if let Some(why) = outcome.report.invalid() {
        say(&format!("invalid: {why}"));
        return Ok(ExitCode::from(INVALID));
    }
    Ok(ExitCode::SUCCESS)
}
