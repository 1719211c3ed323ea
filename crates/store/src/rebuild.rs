//! An image cut into pieces for a rebuild.

use std::sync::Arc;

use dmq_metadata::{Change, Image};

use crate::RowChanges;

/// Rows in one piece. Larger ones gain nothing and hold their parameters in memory twice.
const CHUNK_ROWS: usize = 2_000;

/// All rows of `image` as puts, in pieces of at most [`CHUNK_ROWS`] rows.
pub(crate) fn chunks(image: &Image) -> impl Iterator<Item = RowChanges> {
    let mut rows = image
        .topics()
        .map(|row| Change::PutTopic(Arc::clone(row)))
        .chain(
            image
                .partitions()
                .map(|row| Change::PutPartition(Arc::clone(row))),
        )
        .chain(
            image
                .brokers()
                .map(|row| Change::PutBroker(Arc::clone(row))),
        )
        .chain(
            image
                .dedup_entries()
                .map(|row| Change::PutDedup(Arc::clone(row))),
        );
    std::iter::from_fn(move || {
        let mut chunk = RowChanges::default();
        rows.by_ref()
            .take(CHUNK_ROWS)
            .for_each(|row| chunk.push(&row));
        (!chunk.is_empty()).then_some(chunk)
    })
}
