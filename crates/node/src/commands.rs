//! The commands that end by themselves: offline work on a data directory, and printing the OpenAPI document.

mod dump;
mod format;
mod recover;

use std::io::Write;

pub use dump::{dump_log, dump_snapshot, verify_log};
pub use format::{format, format_directory};
pub use recover::recover;

use crate::exit::Failure;

/// Writes a line to standard output. A reader that went away (`| head`) ends the command quietly.
pub(crate) fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::failed(error),
    })
}
