//! `lint`: format, clippy, layers, tidiness, the table of rules and drift. Reports everything it finds and never writes.

pub(crate) mod drift;
mod layers;
mod rules;
mod tidy;

use anyhow::bail;

use crate::process::{self, say};
use crate::workspace::{TEST_PROFILE, cargo, in_ci};

/// A part of the toolchain that a machine may lack.
#[derive(Clone, Copy)]
pub(crate) enum Component {
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
}

impl Component {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Rustfmt => ("rustfmt", "fmt"),
            Self::Clippy => ("clippy", "clippy"),
        }
    }

    /// `true` if this toolchain has it, or, in CI, if `rustup` could add it.
    pub(crate) fn is_here(self) -> bool {
        let (component, subcommand) = self.names();
        let answers = || process::output(cargo(&[subcommand, "--version"])).is_ok();
        if answers() {
            return true;
        }
        if in_ci() {
            let mut add = std::process::Command::new("rustup");
            add.args(["component", "add", component]);
            let _ = process::output(add);
        }
        answers()
    }
}

/// What became of one check.
enum Verdict {
    Passed,
    Failed(String),
    NotRun(String),
}

type Check = (&'static str, fn() -> anyhow::Result<Verdict>);

const CHECKS: [Check; 6] = [
    ("layers", layers::check),
    ("tidy", tidy::check),
    ("rules", rules::check),
    ("fmt", format),
    ("clippy", clippy),
    ("drift", drift::check),
];

/// Runs the named checks, or every one, and fails if one of them did.
pub(crate) fn lint(names: &[String]) -> anyhow::Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| CHECKS.iter().all(|(known, _)| known != name))
    {
        bail!(
            "no check `{unknown}`; there are {}",
            CHECKS.map(|(known, _)| known).join(", ")
        );
    }
    let chosen = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut summary = Vec::new();
    let mut failed = 0;
    for (name, check) in CHECKS.into_iter().filter(|(name, _)| chosen(name)) {
        let verdict = check().unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        summary.push(match verdict {
            Verdict::Passed => format!("lint {name}: ok"),
            Verdict::NotRun(why) => format!("lint {name}: not run: {why}"),
            Verdict::Failed(why) => {
                failed += 1;
                format!("lint {name}: FAILED\n{why}")
            }
        });
    }
    for line in summary {
        say(&line);
    }
    if failed > 0 {
        bail!("{failed} checks failed");
    }
    Ok(())
}

fn format() -> anyhow::Result<Verdict> {
    if !Component::Rustfmt.is_here() {
        return Ok(Verdict::NotRun("this toolchain has no rustfmt".into()));
    }
    process::run(cargo(&["fmt", "--all", "--check"]))?;
    Ok(Verdict::Passed)
}

fn clippy() -> anyhow::Result<Verdict> {
    if !Component::Clippy.is_here() {
        return Ok(Verdict::NotRun("this toolchain has no clippy".into()));
    }
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        // The profile of the tests: build scripts and macros are compiled once.
        "--profile",
        TEST_PROFILE,
        "--",
        "-D",
        "warnings",
    ];
    process::run(cargo(&arguments))?;
    Ok(Verdict::Passed)
}

/// The verdict of a check that collects its findings.
fn verdict(findings: &[String]) -> Verdict {
    if findings.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(findings.join("\n"))
    }
}
