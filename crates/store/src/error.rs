//! Errors as instructions: each variant says what the projector has to do next.

use dmq_metadata::MetadataIndex;

/// Why a store did not do what it was asked. The caller branches on the variant, people read the
/// text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used now. Wait with back-off, then call [`prepare`](crate::prepare)
    /// again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke during COMMIT: the batch may be in or not.
    /// Call [`prepare`](crate::prepare) again; the position found tells.
    #[error("the outcome of the commit is unknown: {0}")]
    CommitUnknown(String),
    /// Somebody else writes this database now. Stop the projector; never try again.
    #[error("this writer was fenced off: {0}")]
    Fenced(String),
    /// The batch does not begin right behind the position. Stop the projector: changes would be
    /// lost.
    #[error(
        "the batch begins at index {first}, but the projection stands at {position}: \
         a batch begins right behind the position"
    )]
    Gap {
        /// Where the projection stands.
        position: MetadataIndex,
        /// Where the refused batch begins.
        first: MetadataIndex,
    },
    /// The database refused a row that the image holds: a bug. Stop the projector with an alarm;
    /// never skip.
    #[error("the database refused a row: {0}")]
    Poison(String),
    /// The store's URL is wrong, or it was called out of order. Nothing that waiting could mend.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// Whether to call [`prepare`](crate::prepare) again after a pause; otherwise the projector
    /// stops.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::CommitUnknown(_) => true,
            Self::Fenced(_) | Self::Gap { .. } | Self::Poison(_) | Self::Invalid(_) => false,
        }
    }
}
