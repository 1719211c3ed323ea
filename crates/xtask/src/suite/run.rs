//! Runs the programs of one suite one after the other and counts what their closing lines say.

use std::process::Command;
use std::time::{Duration, Instant};

use super::build::TestProgram;
use super::counts::Counts;
use super::means::Environment;
use super::report::Outcome;
use super::table::Suite;
use super::{Options, search_time};
use crate::process::{self, End};
use crate::workspace::{TEST_PROFILE, cargo};

/// The suite that `cargo` runs by itself, without programs of ours.
const DOC: &str = "doc";

/// `true` if there is anything to run, which is worth knowing before its means are provided.
pub(super) fn has_tests(suite: &Suite, programs: &[TestProgram]) -> bool {
    suite.name == DOC || programs.iter().any(|program| program.suite == suite.name)
}

/// A suite whose programs still run at this point has hung; what is left of the time goes to each in turn.
pub(super) fn run(
    suite: &Suite,
    programs: &[TestProgram],
    environment: &Environment,
    options: &Options,
) -> anyhow::Result<Outcome> {
    let mine: Vec<&TestProgram> = programs
        .iter()
        .filter(|program| program.suite == suite.name)
        .collect();
    let search = search_time(suite, options);
    let commands: Vec<(String, Command)> = if suite.name == DOC {
        vec![("doc tests".to_owned(), doc_tests())]
    } else {
        let share = search / u32::try_from(mine.len().max(1))?;
        mine.iter()
            .map(|program| (name(program), command(suite, program, share, options)))
            .collect()
    };
    execute(suite, commands, environment, suite.hung_after(search))
}

fn execute(
    suite: &Suite,
    commands: Vec<(String, Command)>,
    environment: &Environment,
    limit: Duration,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut total = Counts::default();
    let mut troubles = Vec::new();
    for (name, mut command) in commands {
        command.envs(environment.iter().map(|(key, value)| (key, value)));
        let mut counts = None;
        let left = limit.saturating_sub(started.elapsed());
        let end = process::stream(command, Some(left), &mut |line| {
            if let Some(more) = Counts::of_line(line) {
                *counts.get_or_insert_default() += more;
            }
        })?;
        troubles.extend(trouble(&name, &end, counts));
        total += counts.unwrap_or_default();
    }
    Ok(Outcome::ran(suite.name, total, started.elapsed(), troubles))
}

fn trouble(name: &str, end: &End, counts: Option<Counts>) -> Option<String> {
    match end {
        End::TimedOut => Some(format!("{name} hung and was ended")),
        End::Exited(status) if !status.success() => Some(format!("{name}: {status}")),
        End::Exited(_) if counts.is_none() => Some(format!("{name} printed no result")),
        End::Exited(_) => None,
    }
}

fn name(program: &TestProgram) -> String {
    format!("{}/{}", program.package, program.target)
}

fn command(suite: &Suite, program: &TestProgram, share: Duration, options: &Options) -> Command {
    let mut command = Command::new(&program.path);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        // Errors say where they come from by themselves; panics keep their traces.
        .env("RUST_LIB_BACKTRACE", "0");
    if let Some(threads) = suite.threads {
        command.arg(format!("--test-threads={threads}"));
    }
    if suite.shows {
        command.arg("--nocapture");
    }
    if suite.searches {
        command.env("DMQ_TEST_SECONDS", share.as_secs().max(1).to_string());
        if let Some(seed) = &options.seed {
            command.env("DMQ_TEST_SEED", seed);
        }
    }
    command
}

fn doc_tests() -> Command {
    cargo(&["test", "--doc", "--workspace", "--profile", TEST_PROFILE])
}
