//! `dmq-chaos`: a quorum of real processes in namespaces of its own, under faults, with clients whose histories are checked.
//! `cargo xtask chaos` builds and runs it.

use std::process::ExitCode;

use clap::Parser;
use dmq_testkit::chaos::{self, Options};

/// Real nodes under faults.
#[derive(Debug, Parser)]
#[command(name = "dmq-chaos")]
struct Args {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match chaos::main(&args.options) {
        Ok(code) => code,
        Err(error) => {
            chaos::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
