//! The operator process: `dmq-operator`.

use std::process::ExitCode;

use clap::Parser;
use dmq_operator::args::Args;

fn main() -> ExitCode {
    dmq_operator::process::main(&Args::parse())
}
