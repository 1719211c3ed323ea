//! The content of a snapshot: length-delimited protobuf records in canonical order.
//!
//! A header (format, cluster id, index, feature level, state hash) comes first, then the settings, topics, partitions,
//! brokers and answers, each kind in the order of its keys, then an end record with the number of rows. The same
//! image gives the same bytes on every node. Container, compression and checksums are the business of the log.

mod reader;
#[cfg(test)]
mod tests;

use prost::Message;

pub use self::reader::Reader;
use crate::encoding::wire::{self, RecordKind};
use crate::encoding::{DecodeError, FORMAT};
use crate::image::Image;
use crate::mutant;
use crate::row::{Row, StateHash};

/// Longest record that a reader takes, in bytes. The longest real one, a partition with replicas on thousands of
/// brokers, is a tenth of it.
pub const RECORD_SIZE_MAX: usize = 1 << 20;
/// Size at which pieces go to the sink, in bytes; the last record makes a piece longer.
const PIECE_SIZE: usize = 64 << 10;

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
    /// A record is out of place, contradicts another one, or is longer than the limit.
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
        reason: &'static str,
    },
    /// The rows do not have the hash that the header promised.
    #[error("snapshot rows hash to {found}, the header says {expected}")]
    HashMismatch {
        /// Of the rows that were read.
        found: StateHash,
        /// Of the image that was written.
        expected: StateHash,
    },
}

/// Writes the image's content in pieces of about 64 KiB to `sink`.
///
/// # Errors
/// Those of `sink`, at once.
pub fn write<E>(image: &Image, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut piece = Vec::with_capacity(2 * PIECE_SIZE);
    append(&mut piece, RecordKind::Header(header(image)));
    let mut rows = 0;
    let left_out =
        |row: &Row<'_>| mutant::is("snapshot-without-answers") && matches!(row, Row::Dedup(_));
    for row in image.rows().filter(|row| !left_out(row)) {
        append(&mut piece, record(row));
        rows += 1;
        if piece.len() >= PIECE_SIZE {
            sink(&piece)?;
            piece.clear();
        }
    }
    append(&mut piece, RecordKind::End(wire::SnapshotEnd { rows }));
    sink(&piece)
}

fn header(image: &Image) -> wire::SnapshotHeader {
    wire::SnapshotHeader {
        format: FORMAT,
        cluster_id: image.cluster_id().to_string(),
        index: image.index().0,
        feature_level: image.feature_level().0,
        state_hash: image.state_hash().0.to_be_bytes().to_vec(),
    }
}

fn record(row: Row<'_>) -> RecordKind {
    match row {
        Row::Settings(row) => RecordKind::Settings(row.into()),
        Row::Topic(row) => RecordKind::Topic(row.into()),
        Row::Partition(row) => RecordKind::Partition(row.into()),
        Row::Broker(row) => RecordKind::Broker(row.into()),
        Row::Dedup(row) => RecordKind::Dedup(row.into()),
    }
}

/// Appends the record with its length as varint before it. A vector grows, so nothing can fail.
fn append(piece: &mut Vec<u8>, kind: RecordKind) {
    let record = wire::Record { kind: Some(kind) };
    prost::encoding::encode_varint(record.encoded_len() as u64, piece);
    record.encode_raw(piece);
}
