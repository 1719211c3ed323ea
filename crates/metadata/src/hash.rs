//! The hash of one row, of which the state hash is the sum.

use crate::ids::FeatureLevel;
use crate::row::{Row, StateHash};

/// Hash of a row at a feature level, which defines the bytes.
pub fn row_hash(row: Row<'_>, level: FeatureLevel) -> StateHash {
    let _ = (row, level);
    StateHash::default()
}
