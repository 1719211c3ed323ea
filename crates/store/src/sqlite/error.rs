//! What SQLite's errors ask for.

use crate::StoreError;

/// Primary result codes (<https://sqlite.org/rescode.html>).
const ERROR: i32 = 1;
const CORRUPT: i32 = 11;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOTADB: i32 = 26;

/// The instruction for an error before COMMIT.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    match primary_code(&error) {
        Some(CONSTRAINT | MISMATCH | TOOBIG) => StoreError::Poison(error.to_string()),
        Some(ERROR) if !names_a_missing_table(&error) => StoreError::Poison(error.to_string()),
        _ if matches!(error, sqlx::Error::Encode(_)) => StoreError::Poison(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether the file's content is broken.
pub(super) fn is_corrupt(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(CORRUPT | NOTADB))
}

/// Somebody dropped a table: a look at the catalogue will tell, and the rows can be made again.
fn names_a_missing_table(error: &sqlx::Error) -> bool {
    error.to_string().contains("no such table")
}

/// Extended codes carry the primary one in their lowest byte.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}
