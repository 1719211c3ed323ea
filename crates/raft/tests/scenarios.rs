//! Replays every `testdata/*.txt`: commands, then what they must print (in the manner of etcd's
//! data-driven transcripts). `UPDATE_SCENARIOS=1` rewrites the expectations; read the difference
//! before you believe it. The commands are listed in `testdata/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scenario that cannot be read or run must fail the test"
)]

mod scenario;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_scenario_prints_what_its_file_says() {
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut files = files();
    files.sort();
    let different: Vec<String> = files
        .iter()
        .filter_map(|file| scenario::script::check(file, update))
        .collect();
    let hint = "read the differences; UPDATE_SCENARIOS=1 takes them over";
    assert!(different.is_empty(), "{}\n{hint}", different.join("\n"));
    assert!(files.len() >= 25, "only {} scenarios found", files.len());
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
        .collect()
}
