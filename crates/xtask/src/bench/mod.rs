//! `bench`: side-by-side measurements on this machine. Every table is Markdown, so that it can be pasted.

mod disk;
mod etcd;
mod failover;
mod http;
mod load;
mod ours;
mod postgres;
mod quorum;
mod server;
mod table;
mod workload;

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use clap::Subcommand;

use crate::process;
use crate::workspace::{SERVER_BINARY, cargo, metadata};

/// Set for the optimised build of this program, which does the measuring.
const OPTIMISED: &str = "DMQ_XTASK_OPTIMISED";

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Durable writes per second and their latency, beside a three-node etcd.
    Quorum(quorum::Options),
    /// How long writes stand still when the controller is killed, and when it is stopped.
    Failover(failover::Options),
}

/// Builds both sides optimised and measures.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    if std::env::var_os(OPTIMISED).is_none() {
        return run_optimised();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    match command {
        Command::Quorum(options) => tasks.block_on(&runtime, quorum::run(options)),
        Command::Failover(options) => tasks.block_on(&runtime, failover::run(options)),
    }
}

/// A load generator without optimisation would measure itself: this process becomes its own release build.
fn run_optimised() -> anyhow::Result<()> {
    let arguments = [
        "build",
        "--release",
        "--workspace",
        "--bin",
        SERVER_BINARY,
        "--bin",
        "xtask",
    ];
    process::run(cargo(&arguments))?;
    let error = std::process::Command::new(release_folder()?.join("xtask"))
        .args(std::env::args_os().skip(1))
        .env(OPTIMISED, "1")
        .exec();
    Err(error.into())
}

/// Where the optimised binaries are.
fn release_folder() -> anyhow::Result<PathBuf> {
    Ok(metadata()?
        .target_directory
        .into_std_path_buf()
        .join("release"))
}
