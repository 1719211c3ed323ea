//! `mutants`: builds the crates once with their seeded bugs and lets the programs that search for bugs meet each of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use cargo_metadata::{Artifact, Message, TargetKind};
use clap::Args;

use crate::process;
use crate::workspace::{TEST_PROFILE, cargo, metadata, root};

/// The page with what was found.
pub(crate) const PAGE: &str = "docs/mutants.md";

/// The binary that starts the programs under each mutant.
const GATE: &str = "dmq-mutants";

/// How the sources ask for a mutant.
const CALL: &str = "mutant::is(\"";

/// Built with the features that third parties have in every build of the workspace.
const WITH_WORKSPACE: [&str; 9] = [
    "test",
    "--no-run",
    "--workspace",
    "--features",
    "dmq-testkit/mutants",
    "--test",
    "mutants",
    "--test",
    "sqlite",
];

/// Crates with few dependencies, for their library tests too: naming these in the whole workspace would build all others.
const BY_NAME: [&str; 12] = [
    "test",
    "--no-run",
    "--features",
    "dmq-replica/mutants",
    "--package",
    "dmq-raft",
    "--package",
    "dmq-log",
    "--package",
    "dmq-metadata",
    "--package",
    "dmq-replica",
];

/// Which mutants meet whom.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this mutant; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
    /// Let every program meet every mutant, to learn who else finds it.
    #[arg(long)]
    every: bool,
    /// Write docs/mutants.md.
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// What the gate needs, built.
pub(crate) struct Built {
    /// The gate.
    pub(crate) gate: PathBuf,
    /// A file that names the test executables.
    pub(crate) programs: PathBuf,
}

/// Builds, runs the gate and fails if a mutant survives.
pub(crate) fn mutants(options: &Options) -> anyhow::Result<()> {
    let built = build()?;
    let mut gate = Command::new(built.gate);
    gate.arg("gate").arg("--programs").arg(built.programs);
    for name in &options.only {
        gate.args(["--only", name]);
    }
    if options.every {
        gate.arg("--every");
    }
    if options.write {
        gate.arg("--page").arg(root().join(PAGE));
    }
    process::run(gate)
}

/// The mutants in the sources that the page does not list, and the other way round. What was found, and how soon, is
/// not compared: that is the suite's business.
pub(crate) fn drifted() -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let sources = sources()?;
    let called = sources.iter().flat_map(|text| text.split(CALL).skip(1));
    let seeded: BTreeSet<&str> = called
        .filter_map(|rest| rest.split_once("\")"))
        .map(|(name, _)| name)
        .collect();
    let different = listed.symmetric_difference(&seeded);
    Ok(different
        .map(|name| {
            format!("{PAGE} and the sources differ in `{name}`: `cargo xtask mutants --write`")
        })
        .collect())
}

fn sources() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "crates/*/src/*.rs"])
        .current_dir(root());
    let files = process::output(git)?;
    let here =
        |file: &&str| !file.starts_with("crates/testkit/") && !file.starts_with("crates/xtask/");
    let texts = files
        .lines()
        .filter(here)
        .map(|file| std::fs::read_to_string(root().join(file)));
    Ok(texts.filter_map(Result::ok).collect())
}

/// Builds the gate and the programs with all mutants in them.
pub(crate) fn build() -> anyhow::Result<Built> {
    let mut artifacts = compile(&WITH_WORKSPACE)?;
    artifacts.extend(compile(&BY_NAME)?);
    let gate = artifacts
        .iter()
        .find(|artifact| artifact.target.name == GATE);
    let gate = gate
        .and_then(|gate| gate.executable.clone())
        .context("the gate was not built")?;
    let lines: Vec<String> = artifacts.iter().filter_map(line).collect();
    ensure!(!lines.is_empty(), "no programs were built");
    let programs = metadata()?
        .target_directory
        .into_std_path_buf()
        .join("mutants.tsv");
    std::fs::write(&programs, lines.join("\n"))?;
    let gate = gate.into_std_path_buf();
    Ok(Built { gate, programs })
}

fn compile(arguments: &[&str]) -> anyhow::Result<Vec<Artifact>> {
    let mut command = cargo(arguments);
    command.args([
        "--profile",
        TEST_PROFILE,
        "--message-format=json-render-diagnostics",
    ]);
    eprintln!("$ cargo {}", arguments.join(" "));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "the mutants do not compile");
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message? {
            artifacts.push(artifact);
        }
    }
    Ok(artifacts)
}

/// A test executable's name, path and folder; the gate's own tests are not among the programs.
fn line(artifact: &Artifact) -> Option<String> {
    let path = artifact
        .executable
        .as_ref()
        .filter(|_| artifact.profile.test)?;
    let folder = artifact.manifest_path.parent()?;
    let package = folder.file_name()?;
    let is_library = artifact.target.kind.contains(&TargetKind::Lib);
    let target = if is_library {
        "lib"
    } else {
        &artifact.target.name
    };
    (package != "testkit").then(|| format!("{package}/{target}\t{path}\t{folder}"))
}
