//! The hash of one row, of which the state hash is the sum.
//!
//! At level 1 the hash of a row is XXH3-128 with seed 0 over one byte for the kind (1 settings, 2 topic, 3 partition,
//! 4 broker, 5 answer) followed by the row's protobuf message, fields in the order of their numbers, defaults left
//! out. The message holds the key. Of a remembered rejection only the code counts: its words are for people, and a
//! newer version may choose better ones without parting from the others. XXH3 is no defence against somebody who
//! forges rows: the hash tells members apart that computed different things. At level 0 there is nothing to hash:
//! every row counts 0.

mod partition;

use prost::Message;
use xxhash_rust::xxh3::xxh3_128;

use crate::encoding::wire;
use crate::ids::FeatureLevel;
use crate::row::{Row, StateHash};

/// Rows up to this size, in bytes, are hashed without taking memory. Partitions of 20 replicas fit.
const STACK_SIZE: usize = 256;

/// Hash of a row at a feature level, which defines the bytes.
pub fn row_hash(row: Row<'_>, level: FeatureLevel) -> StateHash {
    if level == FeatureLevel::ZERO {
        return StateHash::default();
    }
    with_canonical_bytes(row, |bytes| StateHash(xxh3_128(bytes)))
}

/// The bytes that are hashed for a row at level 1.
pub fn canonical_bytes(row: Row<'_>) -> Vec<u8> {
    with_canonical_bytes(row, <[u8]>::to_vec)
}

fn with_canonical_bytes<T>(row: Row<'_>, consume: impl FnOnce(&[u8]) -> T) -> T {
    match row {
        Row::Settings(row) => with_message(1, &wire::Settings::from(row), consume),
        Row::Topic(row) => with_message(2, &wire::Topic::from(row), consume),
        Row::Partition(row) => {
            let write = |mut bytes: &mut [u8]| partition::write(row, &mut bytes);
            with_bytes(3, partition::size(row), write, consume)
        }
        Row::Broker(row) => with_message(4, &wire::Broker::from(row), consume),
        Row::Dedup(row) => with_message(5, &without_words(row.into()), consume),
    }
}

fn with_message<T>(kind: u8, message: &impl Message, consume: impl FnOnce(&[u8]) -> T) -> T {
    let write = |mut bytes: &mut [u8]| message.encode_raw(&mut bytes);
    with_bytes(kind, message.encoded_len(), write, consume)
}

/// Hands the kind and the `size` bytes that `write` fills in to `consume`.
fn with_bytes<T>(
    kind: u8,
    size: usize,
    write: impl FnOnce(&mut [u8]),
    consume: impl FnOnce(&[u8]) -> T,
) -> T {
    let mut stack = [0; STACK_SIZE];
    let mut heap = Vec::new();
    let bytes = if size < STACK_SIZE {
        &mut stack[..=size]
    } else {
        heap.resize(1 + size, 0);
        &mut heap[..]
    };
    bytes[0] = kind;
    write(&mut bytes[1..]);
    consume(bytes)
}

/// A remembered rejection without message and field.
fn without_words(mut row: wire::Dedup) -> wire::Dedup {
    let kind = row
        .outcome
        .as_mut()
        .and_then(|outcome| outcome.kind.as_mut());
    if let Some(wire::OutcomeKind::Rejected(rejection)) = kind {
        rejection.message.clear();
        rejection.field = None;
    }
    row
}
