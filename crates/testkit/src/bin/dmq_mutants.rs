//! `dmq-mutants`: the mutation gate, and the searches that it starts under a mutant. `cargo xtask mutants` builds it with
//! the feature `mutants` and tells it where the test executables are.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use dmq_testkit::mutants::{
    MUTANTS, Mutant, Options, Program, Programs, Search, page, run, search, sites,
};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the gate.
    Gate(Gate),
    /// Draws so many seeds, or until one fails. Fails if one did.
    Search {
        what: What,
        #[arg(long)]
        tries: u64,
    },
}

#[derive(clap::Args)]
struct Gate {
    /// A file with the test executables: lines of name, path and folder, separated by tabs.
    #[arg(long)]
    programs: PathBuf,
    /// Only these mutants.
    #[arg(long)]
    only: Vec<String>,
    /// Let every program meet every mutant.
    #[arg(long)]
    every: bool,
    /// Let the searches draw so many times as many seeds as usual.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Mutants at the same time.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Write the page of the documentation here.
    #[arg(long)]
    page: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Walker,
    Sim,
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Gate(options) => gate(&options),
        Command::Search { what, tries } => Ok(searched(what, tries)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dmq-mutants: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn searched(what: What, tries: u64) -> bool {
    let what = match what {
        What::Walker => Search::Walker,
        What::Sim => Search::Sim,
    };
    let searched = search(what, tries);
    println!("{searched}");
    searched.found.is_none()
}

fn gate(options: &Gate) -> anyhow::Result<bool> {
    let mutants = chosen(&options.only)?;
    let programs = programs(options)?;
    let settings = Options {
        workers: options.workers,
        every: options.every,
    };
    let outcomes = run(&mutants, &programs, settings, &|line| println!("{line}"))?;
    if let Some(file) = &options.page {
        std::fs::write(file, page(&outcomes, &sites()?))?;
    }
    let bad: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_good())
        .map(|outcome| {
            outcome
                .mutant
                .map_or("the programs without a mutant", |m| m.name)
        })
        .collect();
    println!(
        "{} mutants, {} not as they must be: {}",
        mutants.len(),
        bad.len(),
        bad.join(", ")
    );
    Ok(bad.is_empty())
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Mutant>> {
    let known = |name: &String| MUTANTS.iter().any(|mutant| mutant.name == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        anyhow::bail!("no mutant `{unknown}`");
    }
    let wanted = |mutant: &&Mutant| only.is_empty() || only.iter().any(|name| name == mutant.name);
    Ok(MUTANTS.iter().filter(wanted).collect())
}

/// The test executables, then the searches, which take longer.
fn programs(options: &Gate) -> anyhow::Result<Programs> {
    let file = &options.programs;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut programs = Programs::read(&text)?;
    ensure!(!programs.is_empty(), "no programs in {}", file.display());
    let searches = [Search::Walker, Search::Sim];
    programs.extend(searches.map(|what| Program::Search(what, options.times * what.tries())));
    let mut programs = Programs(programs);
    programs.sort();
    Ok(programs)
}
