//! Real nodes under every fault: nothing acknowledged is lost or done twice, reads are linearizable, and writes go on wherever a
//! majority is healthy. `cargo xtask chaos` runs the same for longer, and one fault alone.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};

/// Runs `dmq-chaos`, which prints what it does, and what failed if something did.
fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let program = std::env::var_os("DMQ_CHAOS_BIN")
        .context("run this with `cargo xtask test chaos`, which builds what it needs")?;
    let status = Command::new(program)
        .args(["--seed", &seed()?])
        .args(arguments)
        .status()?;
    ensure!(status.success(), "see above: {status}");
    Ok(())
}

/// The one to replay, or one of this moment.
fn seed() -> anyhow::Result<String> {
    if let Ok(seed) = std::env::var("DMQ_TEST_SEED") {
        return Ok(seed);
    }
    Ok(SystemTime::now()
        .duration_since(UNIX_EPOCH)?
        .as_secs()
        .to_string())
}

#[test]
fn three_nodes_with_sqlite_under_every_fault() -> anyhow::Result<()> {
    run(&["--nodes", "3", "--store", "sqlite"])
}

/// What is different with five: who hears whom, and what a server can do that a file cannot.
#[test]
fn five_nodes_with_postgresql_under_faults_of_network_and_databases() -> anyhow::Result<()> {
    let faults = [
        "bridge",
        "ring",
        "database-killed",
        "database-emptied",
        "database-slow",
    ];
    let mut arguments = vec!["--nodes", "5", "--store", "postgres"];
    arguments.extend(faults.iter().flat_map(|fault| ["--fault", fault]));
    run(&arguments)
}

#[test]
fn three_nodes_with_postgresql_under_a_mix() -> anyhow::Result<()> {
    // A fifth of the suite's time; the other two take as long as they take.
    let share: u64 = std::env::var("DMQ_TEST_SECONDS").map_or(Ok(300), |text| text.parse())?;
    let seconds = (share / 5).to_string();
    run(&["--nodes", "3", "--store", "postgres", "--seconds", &seconds])
}
