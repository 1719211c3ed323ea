//! House rules that no other tool checks: the header of each file, its length, the top level, links between pages.

use std::path::Path;
use std::process::Command;

use super::{Verdict, verdict};
use crate::process;
use crate::workspace::root;

/// Lines of a source file before its tests.
const FILE_LINES_MAX: usize = 400;

/// What may lie at the top of the checkout: ours, then what tools insist on.
const TOP_LEVEL: [&str; 20] = [
    "Cargo.toml",
    "Dockerfile",
    "README.md",
    "charts",
    "crates",
    "docs",
    "manifests",
    "tests",
    "Cargo.lock",
    "LICENSE",
    "rust-toolchain.toml",
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".deny.toml",
    ".dockerignore",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
];

/// Words that promise instead of doing, split so that this file does not name them itself.
const BANNED: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

pub(super) fn check() -> anyhow::Result<Verdict> {
    let mut findings = Vec::new();
    for path in tracked()? {
        findings.extend(misplaced(&path));
        // A file that is tracked and deleted, or that is not text, has nothing to be checked.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        findings.extend(banned(&path, &text));
        match Path::new(&path).extension().and_then(|name| name.to_str()) {
            Some("rs") => findings.extend(source(&path, &text)),
            Some("md") => findings.extend(broken_links(&path, &text)),
            _ => {}
        }
    }
    Ok(verdict(&findings))
}

/// Everything that git knows or would add.
fn tracked() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root());
    let mut paths: Vec<String> = process::output(git)?.lines().map(str::to_owned).collect();
    paths.dedup();
    Ok(paths)
}

fn misplaced(path: &str) -> Option<String> {
    let top = path.split('/').next().unwrap_or(path);
    (!TOP_LEVEL.contains(&top)).then(|| format!("{path}: `{top}` does not belong at the top level"))
}

fn banned(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                .any(|word| BANNED.contains(&word))
        })
        .map(|(at, _)| format!("{path}:{}: do it, or leave it out", at + 1))
        .collect()
}

fn source(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(format!("{path}: does not open with a `//!` line"));
    }
    let lines = lines_before_tests(text);
    if !is_test(path) && lines > FILE_LINES_MAX {
        findings.push(format!(
            "{path}: {lines} lines before its tests, at most {FILE_LINES_MAX}"
        ));
    }
    findings
}

fn lines_before_tests(text: &str) -> usize {
    text.lines()
        .position(|line| line == "#[cfg(test)]")
        .unwrap_or_else(|| text.lines().count())
}

fn is_test(path: &str) -> bool {
    path.ends_with("_test.rs")
        || path.ends_with("/tests.rs")
        || path.starts_with("tests/")
        || path.contains("/tests/")
}

/// Relative links of a page whose target does not exist.
fn broken_links(path: &str, text: &str) -> Vec<String> {
    let folder = root().join(path);
    let folder = folder.parent().unwrap_or(&folder).to_path_buf();
    link_targets(text)
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("{path}: the link to `{target}` leads nowhere"))
        .collect()
}

/// Targets of `](...)` that are neither addresses nor places in the same page, without their `#` part.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#', ' ', '\n']).next())
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_needs_its_header() {
        assert!(source("crates/a/src/lib.rs", "//! What it is for.\n").is_empty());
        assert_eq!(source("crates/a/src/lib.rs", "use std::fs;\n").len(), 1);
    }

    #[test]
    fn only_lines_before_the_tests_count() {
        let body = format!("//! A.\n{}#[cfg(test)]\n", "x\n".repeat(FILE_LINES_MAX - 1));
        let long = body.clone() + &"y\n".repeat(500);
        assert!(source("crates/a/src/lib.rs", &long).is_empty());
        let longer = format!("//! A.\nx\n{}", &body[7..]);
        assert_eq!(source("crates/a/src/lib.rs", &longer).len(), 1);
        assert!(source("tests/process_x.rs", &longer).is_empty());
    }

    #[test]
    fn the_top_level_is_closed() {
        assert_eq!(misplaced("crates/raft/src/lib.rs"), None);
        assert!(misplaced("notes.txt").is_some());
        assert!(misplaced("scripts/run.sh").is_some());
    }

    #[test]
    fn promises_are_found_as_whole_words() {
        let text = format!("fine\n// {}: later\n// {}s\n", BANNED[0], BANNED[0]);
        assert_eq!(banned("a.rs", &text), ["a.rs:2: do it, or leave it out"]);
    }

    #[test]
    fn link_targets_leave_out_addresses_and_anchors() {
        let text = "[a](b.md) [c](https://example.org/x) [d](#e) [f](g/h.md#i)";
        let found: Vec<&str> = link_targets(text).collect();
        assert_eq!(found, ["b.md", "g/h.md"]);
    }
}
