//! The table of rules and tests in `docs/testing.md`: every test that it names must exist.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use cargo_metadata::camino::Utf8Path;

use super::{Verdict, verdict};
use crate::workspace::{metadata, root};

const DOCUMENT: &str = "docs/testing.md";
/// Where the table begins; it ends with the next heading of the same level.
const HEADING: &str = "## The rules and the tests that hold them";
const SCENARIOS: &str = "crates/raft/testdata";
/// Suites that hold a rule as a whole, not by one function.
const SUITES: [&str; 6] = ["walker", "sim", "mutants", "chaos", "crash", "fuzz"];

pub(super) fn check() -> anyhow::Result<Verdict> {
    let text = std::fs::read_to_string(root().join(DOCUMENT)).context(DOCUMENT)?;
    let mut functions = BTreeSet::new();
    for package in metadata()?.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap_or(Utf8Path::new("."));
        collect(folder.as_std_path(), &mut functions)?;
    }
    let scenario = |name: &str| root().join(SCENARIOS).join(name).is_file();
    let known = |name: &str| SUITES.contains(&name) || functions.contains(name) || scenario(name);
    let named = named_in(&text);
    if named.is_empty() {
        return Ok(Verdict::Failed(format!(
            "{DOCUMENT} has no rules under `{HEADING}`"
        )));
    }
    let missing = named.into_iter().filter(|(_, name)| !known(name));
    let findings: Vec<String> = missing
        .map(|(rule, name)| format!("{DOCUMENT}: no test `{name}`, which holds \"{rule}\""))
        .collect();
    Ok(verdict(&findings))
}

/// The rules of the table with the tests that their last cells name.
fn named_in(text: &str) -> Vec<(String, String)> {
    let section = text.split(HEADING).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<&str> = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split('|')
            .collect();
        Some((
            cells.first()?.trim().to_owned(),
            cells.last()?.trim().to_owned(),
        ))
    });
    let tests = |(rule, cell): (String, String)| {
        let names: Vec<String> = cell
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        names.into_iter().map(move |name| (rule.clone(), name))
    };
    rows.flat_map(tests).collect()
}

/// The names of all tests in the Rust files under `folder`.
fn collect(folder: &Path, functions: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, functions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            functions.extend(tests_in(&text).map(str::to_owned));
        }
    }
    Ok(())
}

/// The functions that are marked as tests. Between mark and function there may be other attributes; properties of
/// `proptest!` and the crash histories of the log are marked too.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        marked |= line == "#[test]" || line.starts_with("#[tokio::test");
        let name = function(line)?;
        std::mem::take(&mut marked).then_some(name)
    })
}

/// `two_are_one` of `    async fn two_are_one() {`.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifier =
        |word: &str| ["pub", "async", "const", "pub(crate)", "pub(super)"].contains(&word);
    let (name, _) = after.split_once(['(', '<'])?;
    before.split_whitespace().all(modifier).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_in_the_last_cell_of_the_section() {
        let text = format!(
            "| x | `elsewhere` |\n{HEADING}\n| rule | held by |\n|---|---|\n| a `b` | `one`, `two.txt` |\n## Next\n| x | `y` |"
        );
        let rule = "a `b`".to_owned();
        let expected = [
            (rule.clone(), "one".to_owned()),
            (rule, "two.txt".to_owned()),
        ];
        assert_eq!(named_in(&text), expected);
    }

    #[test]
    fn helpers_are_no_tests() {
        let text = "fn a() {}\n#[test]\n#[ignore]\nfn b() {\n    #[tokio::test(flavor = 1)]\n    async fn c() {}\nfn d() {}";
        assert_eq!(tests_in(text).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn functions_are_found_by_their_names() {
        assert_eq!(
            function("    async fn a_rule_holds() {"),
            Some("a_rule_holds")
        );
        assert_eq!(function("pub(crate) fn of<T>(x: T)"), Some("of"));
        assert_eq!(function("// the fn of(this)"), None);
    }
}
