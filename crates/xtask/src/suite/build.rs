//! Builds the test executables in one go and notes which suite each belongs to.

use std::path::PathBuf;

use anyhow::Context as _;
use cargo_metadata::{Message, Package, Target, TargetKind};

use super::table::{Suite, suite_of};
use crate::workspace::{TEST_PROFILE, cargo, metadata};

/// One executable of the test runner.
pub(super) struct TestProgram {
    pub(super) suite: &'static str,
    pub(super) package: String,
    pub(super) target: String,
    pub(super) path: PathBuf,
    /// Where `cargo test` would run it: the folder of its package.
    pub(super) folder: PathBuf,
}

/// A test target of the workspace.
struct TestTarget {
    suite: &'static str,
    package: String,
    name: String,
    kind: &'static str,
    folder: PathBuf,
    source: PathBuf,
}

/// Builds what the suites need. `--workspace` always, so that a build of one suite shares its dependencies with all.
pub(super) fn build(suites: &[&Suite]) -> anyhow::Result<Vec<TestProgram>> {
    let targets: Vec<TestTarget> = targets()?
        .into_iter()
        .filter(|target| suites.iter().any(|suite| suite.name == target.suite))
        .collect();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let mut arguments: Vec<String> = ["test", "--no-run", "--workspace", "--profile", TEST_PROFILE]
        .map(str::to_owned)
        .to_vec();
    arguments.push("--message-format=json-render-diagnostics".to_owned());
    arguments.extend(selection(&targets));
    let mut programs = Vec::new();
    let messages = compile(&arguments)?;
    for message in Message::parse_stream(messages.as_bytes()) {
        programs.extend(program(message?, &targets));
    }
    Ok(programs)
}

/// The flags that select the targets; `cargo` takes kinds for libraries and binaries, names for the rest.
fn selection(targets: &[TestTarget]) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    for target in targets {
        match target.kind {
            "test" => flags.extend(["--test".to_owned(), target.name.clone()]),
            kind => flags.push(format!("--{kind}")),
        }
    }
    flags.dedup();
    flags.retain({
        let mut seen = std::collections::BTreeSet::new();
        move |flag| flag == "--test" || seen.insert(flag.clone())
    });
    flags
}

/// The messages of the build; its progress goes to standard error, where a person sees it.
fn compile(arguments: &[String]) -> anyhow::Result<String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = cargo(&words);
    eprintln!("$ cargo {}", words.join(" "));
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    anyhow::ensure!(output.status.success(), "the tests do not compile");
    String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")
}

fn program(message: Message, targets: &[TestTarget]) -> Option<TestProgram> {
    let Message::CompilerArtifact(artifact) = message else {
        return None;
    };
    let path = artifact.executable.filter(|_| artifact.profile.test)?;
    let target = targets
        .iter()
        .find(|target| target.source == artifact.target.src_path)?;
    Some(TestProgram {
        suite: target.suite,
        package: target.package.clone(),
        target: target.name.clone(),
        path: path.into_std_path_buf(),
        folder: target.folder.clone(),
    })
}

fn targets() -> anyhow::Result<Vec<TestTarget>> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    let found = packages.iter().flat_map(|package| {
        package
            .targets
            .iter()
            .filter_map(|target| describe(package, target))
    });
    Ok(found.collect())
}

fn describe(package: &Package, target: &Target) -> Option<TestTarget> {
    let kind = target.kind.iter().find_map(|kind| match kind {
        TargetKind::Lib => Some("lib"),
        TargetKind::Bin => Some("bins"),
        TargetKind::Test => Some("test"),
        _ => None,
    });
    let folder = package.manifest_path.parent()?;
    Some(TestTarget {
        suite: suite_of(&package.name, &target.name),
        package: package.name.to_string(),
        name: target.name.clone(),
        kind: kind.filter(|_| target.test)?,
        folder: folder.as_std_path().to_path_buf(),
        source: target.src_path.clone().into_std_path_buf(),
    })
}
