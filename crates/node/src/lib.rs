//! The server of a metadata node: it wires the four parts of `replica` to threads, queues and sockets and
//! decides nothing itself.
//!
//! Reading order: [`cli`], [`config`], [`node`] (the only wiring), [`threads`] (the parts and their queues),
//! [`peers`] (gRPC between members), [`projector`] (the database), [`member`] (what stands behind
//! [`handle::Handle`]), [`rest`] (HTTP), [`lifecycle`] (birth, readiness, the way out), [`dev`].

pub mod auth;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dev;
pub mod exit;
pub mod handle;
pub mod identity;
pub mod lifecycle;
pub mod limits;
pub mod logging;
pub mod member;
pub mod metrics;
pub mod node;
pub mod peers;
pub mod projector;
pub mod queue;
pub mod rest;
pub mod runtimes;
mod shell;
pub mod shutdown;
pub mod status;
pub mod threads;

use std::process::ExitCode;

use cli::{Cli, CliCommand, LogCommand, ServeArgs, SnapshotCommand};
use config::{LogConfig, LogFormat, Sources};
use exit::{Exit, Failure};

/// Runs one command of the binary; tells on standard error why it failed.
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli.command) {
        Ok(()) => Exit::Done.into(),
        Err(failure) if failure.message.is_empty() => failure.exit.into(),
        Err(failure) => {
            let mut out = std::io::stderr().lock();
            drop(std::io::Write::write_fmt(
                &mut out,
                format_args!("dmq-metadata: {failure}\n"),
            ));
            failure.exit.into()
        }
    }
}

fn dispatch(command: CliCommand) -> Result<(), Failure> {
    match command {
        CliCommand::Dev(args) => {
            logging::install(&LogConfig {
                format: LogFormat::Human,
                level: "warn".to_owned(),
            });
            runtimes::run(|_| dev::run(args))
        }
        CliCommand::Serve(args) => serve(args),
        CliCommand::Format(args) => {
            runtimes::run(|_| shutdown::unless_stopped(move || commands::format(&args)))
        }
        CliCommand::Recover(args) => {
            runtimes::run(|_| shutdown::unless_stopped(move || commands::recover(&args)))
        }
        CliCommand::Log(LogCommand::Verify(place)) => commands::verify_log(&place.path),
        CliCommand::Log(LogCommand::Dump(place)) => commands::dump_log(&place.path),
        CliCommand::Snapshot(SnapshotCommand::Dump(place)) => commands::dump_snapshot(&place.path),
        CliCommand::Openapi => commands::print(rest::openapi_json().trim_end()),
    }
}

fn serve(args: ServeArgs) -> Result<(), Failure> {
    let sources = Sources::of_process(args.config, args.keys.0);
    let config = config::load(&sources)?;
    logging::install(&config.log);
    limits::raise_open_files();
    let ServeArgs {
        bootstrap,
        stop_when_stdin_closes,
        ..
    } = args;
    let options = node::ServeOptions {
        bootstrap,
        stop_when_stdin_closes,
    };
    runtimes::run(|clients| node::serve(config, sources, options, clients))
}
