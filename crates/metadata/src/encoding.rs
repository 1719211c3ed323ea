//! Bytes of envelopes, rows, changes and outcomes: protobuf, fields only added, golden bytes in the tests.

mod changes;
mod envelope;
mod outcome;
mod read;
mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

pub use self::changes::{decode_changes, encode_changes};
pub use self::outcome::{decode_outcome, encode_outcome};

/// The form of entries, rows and snapshots that this binary writes. It reads this one and those before.
pub const FORMAT: u32 = 1;

/// Why bytes were not understood. A node that meets such an entry stops before it (DESIGN 6.7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer version wrote them: the format or the command is unknown here.
    #[error("unknown entry: {0}; a newer version wrote it: upgrade this node")]
    UnknownEntry(String),
    /// They are damaged, or nothing that any version wrote.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
