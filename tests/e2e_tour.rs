//! The Kubernetes half of the README's tour, typed line by line. A block is marked behind its language: ` ```sh tour:install `.
#![allow(clippy::print_stdout, reason = "the output is what the README shows")]

use std::process::Command;

use anyhow::{Context as _, bail};
use dmq_testkit::kube::{Operator, kubectl, until};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The lines of the block with this mark.
fn lines(mark: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("{ROOT}/README.md"))?;
    let block = text.split(&format!("\n```sh {mark}\n")).nth(1);
    let block = block.with_context(|| format!("the README has no block `{mark}`"))?;
    let (body, _) = block
        .split_once("\n```")
        .context("a block without an end")?;
    Ok(body.lines().map(str::to_owned).collect())
}

/// Types the lines in the root of the clone; every one has to succeed. Returns what each printed.
fn type_block(mark: &str) -> anyhow::Result<Vec<String>> {
    let mut said = Vec::new();
    for line in lines(mark)? {
        let output = Command::new("bash")
            .args(["-c", &line])
            .current_dir(ROOT)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("$ {line}\n{text}");
        if !output.status.success() {
            bail!(
                "`{line}`: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        said.push(text);
    }
    Ok(said)
}

#[test]
fn the_kubernetes_half_of_the_tour_works_line_by_line() -> anyhow::Result<()> {
    // The tour begins with an install: whatever other tests left goes first.
    Operator::install()?.uninstall()?;
    let said = type_block("tour:install")?;
    assert!(
        said[3].contains("meta-sqlite") && said[3].contains("Running"),
        "{}",
        said[3]
    );
    let term = |table: &str| -> Option<i64> {
        table
            .lines()
            .nth(1)?
            .split_whitespace()
            .nth(4)?
            .parse()
            .ok()
    };
    let before = term(&said[3]).context("no term")?;
    let said = type_block("tour:move")?;
    assert!(term(&said[2]).context("no term")? > before, "{}", said[2]);
    assert!(said[3].contains("meta-sqlite-"), "{}", said[3]);
    let said = type_block("tour:roll")?;
    assert!(said[2].contains("RollingUpdateCompleted"), "{}", said[2]);
    type_block("tour:remove")?;
    until("nothing of it is left", || {
        let selector = "app.kubernetes.io/instance=meta-sqlite";
        let left = kubectl(&[
            "get",
            "sts,pods,svc,cm,secret,pvc",
            "-l",
            selector,
            "-o",
            "name",
        ])?;
        Ok(left.is_empty().then_some(()))
    })
}
