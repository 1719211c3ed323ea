//! Bytes of envelopes, rows and outcomes: protobuf, fields only added.

use bytes::Bytes;

use crate::command::Envelope;
use crate::outcome::Outcome;

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

impl Envelope {
    /// The bytes of an entry's payload.
    pub fn encode(&self) -> Bytes {
        Bytes::new()
    }

    /// Reads an entry's payload.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        Err(DecodeError::UnknownEntry(String::new()))
    }
}

/// Bytes of an outcome, as the deduplication row keeps it in SQL.
pub fn encode_outcome(outcome: &Outcome) -> Vec<u8> {
    let _ = outcome;
    Vec::new()
}

/// Reads an outcome.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    let _ = bytes;
    Err(DecodeError::UnknownEntry(String::new()))
}
