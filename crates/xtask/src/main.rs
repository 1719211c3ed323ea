//! Development commands: `cargo xtask <command>`. The commands are listed in `args`; each has a file of its own.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks through its standard streams"
)]

mod apt;
mod args;
mod bench;
mod chaos;
mod charts;
mod check;
mod ci;
mod cluster;
mod crds;
mod fix;
mod fuzz;
mod image;
mod mutants;
mod process;
mod replay;
mod suite;
mod workspace;

fn main() -> std::process::ExitCode {
    if let Some(code) = fuzz::as_compiler() {
        return code;
    }
    match args::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
