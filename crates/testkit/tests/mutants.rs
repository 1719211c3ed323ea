//! The mutation gate: the list of seeded bugs is the one in the sources and on the page, and every one is found.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use dmq_testkit::mutants::{MUTANTS, VARIABLE, copies_differ, names_in, sites};

#[test]
fn every_place_in_the_sources_is_one_mutant_of_the_list() {
    let found: Vec<String> = sites().unwrap().into_iter().map(|site| site.name).collect();
    let once: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(once.len(), found.len(), "a mutant has one place: {found:?}");
    let listed: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    assert_eq!(listed.len(), MUTANTS.len(), "a mutant is listed once");
    assert_eq!(once, listed, "places in the sources, and the list");
    assert_eq!(copies_differ().unwrap(), Vec::<&str>::new());
}

#[test]
fn the_page_shows_every_mutant() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mutants.md");
    let text = std::fs::read_to_string(page).unwrap();
    let listed: Vec<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names_in(&text), listed, "`cargo xtask mutants --write`");
    assert!(!text.contains("**nobody**"), "a survivor");
}

/// `DMQ_METADATA_BIN` is the server as it ships: built without the feature.
#[test]
fn the_server_has_nothing_of_them() {
    let path = std::env::var_os("DMQ_METADATA_BIN").expect("run by `cargo xtask test mutants`");
    let server = std::fs::read(path).unwrap();
    let mut places = server.windows(VARIABLE.len());
    assert!(!places.any(|bytes| bytes == VARIABLE.as_bytes()));
}

/// `DMQ_MUTANTS_GATE` is the gate, built with the feature; `DMQ_MUTANTS_PROGRAMS` names the test executables, built so.
#[test]
fn every_mutant_is_found() {
    let gate = std::env::var_os("DMQ_MUTANTS_GATE").expect("run by `cargo xtask test mutants`");
    let programs = std::env::var_os("DMQ_MUTANTS_PROGRAMS").expect("as above");
    let mut command = Command::new(gate);
    let status = command
        .arg("gate")
        .arg("--programs")
        .arg(programs)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "a mutant survives, or a program fails without one"
    );
}
