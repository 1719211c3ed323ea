//! The server binary; everything is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    dmq_node::run(dmq_node::cli::Cli::parse())
}
