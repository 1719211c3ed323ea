//! Why a request of the client failed.

use crate::problem::Problem;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address of a node.
    #[error("'{0}' is not an address; expected http://host:port")]
    InvalidAddress(String),
    /// The token holds characters that no header may have.
    #[error("the token holds characters that cannot be sent")]
    InvalidToken,
    /// The server refused.
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(Box<Problem>),
    /// Something that is not a metadata node answered.
    #[error("the answer has status {0} and is not from a metadata node")]
    Foreign(http::StatusCode),
    /// The connection failed. A write may have taken effect.
    #[error("the connection failed")]
    Transport(#[source] reqwest::Error),
    /// Time is over; `last` is why the last attempt failed.
    #[error("no success before the deadline")]
    Deadline {
        /// The last attempt's error.
        #[source]
        last: Box<ClientError>,
    },
    /// The request is not JSON.
    #[error("the request cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// The answer is not what was expected.
    #[error("the answer cannot be read")]
    Decode(#[source] serde_json::Error),
    /// An event stream was silent for too long.
    #[error("the event stream was silent for {0:?}")]
    Silent(std::time::Duration),
}

impl ClientError {
    /// The server's problem document, if it sent one (for a deadline: with the last attempt).
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            Self::Deadline { last } => last.problem(),
            _ => None,
        }
    }
}
