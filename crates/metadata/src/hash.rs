//! The hash of one row, of which the state hash is the sum.
//!
//! At level 1 the hash of a row is XXH3-128 with seed 0 over one byte for the kind (1 settings, 2 topic, 3 partition,
//! 4 broker, 5 answer) followed by the row's protobuf message, fields in the order of their numbers, defaults left
//! out. The message holds the key. XXH3 is no defence against somebody who forges rows: the hash tells members apart
//! that computed different things. At level 0 there is nothing to hash: every row counts 0.

use prost::Message;
use xxhash_rust::xxh3::xxh3_128;

use crate::encoding::wire;
use crate::ids::FeatureLevel;
use crate::row::{Row, StateHash};

/// Hash of a row at a feature level, which defines the bytes.
pub fn row_hash(row: Row<'_>, level: FeatureLevel) -> StateHash {
    if level == FeatureLevel::ZERO {
        return StateHash::default();
    }
    StateHash(xxh3_128(&canonical_bytes(row)))
}

/// The bytes that are hashed for a row at level 1.
pub fn canonical_bytes(row: Row<'_>) -> Vec<u8> {
    match row {
        Row::Settings(row) => tagged(1, &wire::Settings::from(row)),
        Row::Topic(row) => tagged(2, &wire::Topic::from(row)),
        Row::Partition(row) => tagged(3, &wire::Partition::from(row)),
        Row::Broker(row) => tagged(4, &wire::Broker::from(row)),
        Row::Dedup(row) => tagged(5, &wire::Dedup::from(row)),
    }
}

fn tagged(kind: u8, message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(kind);
    message.encode_raw(&mut bytes);
    bytes
}
