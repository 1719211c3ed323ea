//! What PostgreSQL's errors ask for.

use crate::StoreError;

/// `invalid_catalog_name`: the database does not exist.
pub(super) const NO_SUCH_DATABASE: &str = "3D000";
/// `duplicate_database`, and what a lost race for the name looks like.
pub(super) const DATABASE_EXISTS: [&str; 2] = ["42P04", "23505"];
/// A table or column that somebody dropped: a look at the catalogue will tell, and the rows can be
/// made again.
const DROPPED: [&str; 3] = ["42P01", "42703", "3F000"];
/// Missing rights: an operator has to grant them.
const FORBIDDEN: &str = "42501";

/// The instruction for an error before COMMIT
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    let poison = match (&error, sql_state(&error)) {
        (_, Some(state)) => refuses_a_row(&state),
        (sqlx::Error::Encode(_), None) => true,
        _ => false,
    };
    let text = error.to_string();
    if poison {
        StoreError::Poison(text)
    } else {
        StoreError::Unavailable(text)
    }
}

/// The five characters of SQLSTATE, if the server answered at all.
pub(super) fn sql_state(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Classes 21 to 23 are about values and constraints, 42 and 0A about statements: the same batch
/// would fail again. All others are about the server, its load or its operator.
fn refuses_a_row(state: &str) -> bool {
    let operator = DROPPED.contains(&state) || state == FORBIDDEN;
    !operator
        && ["0A", "21", "22", "23", "42"]
            .iter()
            .any(|class| state.starts_with(class))
}
