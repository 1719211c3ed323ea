//! Compares `cargo metadata` with the table of allowed arrows in crates/README.md, so that the map and the check cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use cargo_metadata::Package;

use super::{Verdict, verdict};
use crate::workspace::{folder, metadata, root};

const BEGIN: &str = "<!-- layers:begin -->";
const END: &str = "<!-- layers:end -->";

/// One row of the table: `| crate | may use | must not use |`.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// The crate does not exist yet.
    later: bool,
    may_use: BTreeSet<String>,
    /// Packages of others that the manifest must not name.
    must_not_use: BTreeSet<String>,
}

/// What a member's manifest says, reduced to what the rules are about.
struct Member {
    name: String,
    ours: BTreeSet<String>,
    others: BTreeSet<String>,
    inherits_lints: bool,
}

pub(super) fn check() -> anyhow::Result<Verdict> {
    let path = root().join("crates/README.md");
    let text = std::fs::read_to_string(&path).context("crates/README.md")?;
    let rules = parse(&text)?;
    Ok(verdict(&compare(&rules, &members()?)))
}

fn compare(rules: &BTreeMap<String, Rule>, members: &[Member]) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let name = &member.name;
        if !member.inherits_lints {
            findings.push(format!(
                "{name}: the manifest lacks `[lints] workspace = true`"
            ));
        }
        match rules.get(name) {
            Some(rule) => findings.extend(broken(name, rule, member)),
            None => findings.push(format!("{name}: not in the table of crates/README.md")),
        }
    }
    let missing = rules
        .iter()
        .filter(|(name, rule)| !rule.later && !members.iter().any(|member| &member.name == *name));
    findings.extend(missing.map(|(name, _)| format!("{name}: in the table, but not a member")));
    findings
}

fn broken(name: &str, rule: &Rule, member: &Member) -> Vec<String> {
    let mut findings = Vec::new();
    if rule.later {
        findings.push(format!(
            "{name}: exists, so take `(later)` out of the table"
        ));
    }
    for used in member.ours.difference(&rule.may_use) {
        findings.push(format!("{name} -> {used}: not an allowed arrow"));
    }
    for used in member.others.intersection(&rule.must_not_use) {
        findings.push(format!("{name} -> {used}: this crate must not know {used}"));
    }
    findings
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, Rule>> {
    let (_, rest) = text.split_once(BEGIN).context("no layers:begin mark")?;
    let (table, _) = rest.split_once(END).context("no layers:end mark")?;
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(row).collect()
}

fn row(line: &str) -> anyhow::Result<(String, Rule)> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [name, may_use, must_not_use] = cells[..] else {
        bail!("not three cells: {line}");
    };
    let rule = Rule {
        later: name.ends_with("(later)"),
        may_use: words(may_use),
        must_not_use: words(must_not_use),
    };
    Ok((name.trim_end_matches("(later)").trim().to_owned(), rule))
}

/// Comma-separated names; `-` stands for none.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',')
        .map(|word| word.trim().trim_matches('`').to_owned())
        .filter(|word| !word.is_empty() && word != "-")
        .collect()
}

fn members() -> anyhow::Result<Vec<Member>> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    let folders: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (package.name.as_str(), folder(package)))
        .collect();
    packages
        .iter()
        .map(|package| member(package, &folders))
        .collect()
}

/// Dependencies of every kind count: normal, build and dev.
fn member(package: &Package, folders: &BTreeMap<&str, &str>) -> anyhow::Result<Member> {
    let (ours, others): (Vec<_>, Vec<_>) = package
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
        // A crate that asks itself for a feature of its own in its tests draws no arrow.
        .filter(|name| *name != package.name.as_str())
        .partition(|name| folders.contains_key(name));
    let manifest = std::fs::read_to_string(&package.manifest_path)?;
    Ok(Member {
        name: folder(package).to_owned(),
        ours: ours.iter().map(|name| folders[name].to_owned()).collect(),
        others: others.into_iter().map(str::to_owned).collect(),
        inherits_lints: manifest.contains("[lints]\nworkspace = true"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
        text <!-- layers:begin -->\n\
        | crate | may use | must not use |\n|---|---|---|\n\
        | raft | - | tokio, sqlx |\n\
        | log | `raft` | - |\n\
        | ctl (later) | raft | - |\n\
        <!-- layers:end -->";

    fn member(name: &str, ours: &[&str], others: &[&str]) -> Member {
        Member {
            name: name.into(),
            ours: ours.iter().map(|name| (*name).into()).collect(),
            others: others.iter().map(|name| (*name).into()).collect(),
            inherits_lints: true,
        }
    }

    #[test]
    fn the_table_is_read() {
        let rules = parse(TABLE).unwrap();
        assert_eq!(rules.len(), 3);
        assert!(rules["raft"].may_use.is_empty());
        assert!(rules["raft"].must_not_use.contains("sqlx"));
        assert!(rules["log"].may_use.contains("raft"));
        assert!(rules["ctl"].later);
    }

    #[test]
    fn allowed_arrows_pass() {
        let members = [
            member("raft", &[], &["bytes"]),
            member("log", &["raft"], &[]),
        ];
        assert!(compare(&parse(TABLE).unwrap(), &members).is_empty());
    }

    #[test]
    fn every_kind_of_breach_is_named() {
        let mut careless = member("log", &[], &[]);
        careless.inherits_lints = false;
        let members = [
            member("raft", &["log"], &["tokio"]),
            careless,
            member("ctl", &[], &[]),
            member("extra", &[], &[]),
        ];
        let findings = compare(&parse(TABLE).unwrap(), &members).join("\n");
        for expected in [
            "raft -> log: not an allowed arrow",
            "raft -> tokio: this crate must not know tokio",
            "log: the manifest lacks",
            "ctl: exists",
            "extra: not in the table",
        ] {
            assert!(findings.contains(expected), "{expected} not in {findings}");
        }
    }

    #[test]
    fn a_row_without_its_crate_is_named() {
        let findings = compare(&parse(TABLE).unwrap(), &[member("log", &[], &[])]);
        assert_eq!(findings, ["raft: in the table, but not a member"]);
    }
}
