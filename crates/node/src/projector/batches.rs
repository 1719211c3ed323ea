//! The feed's batches in the words of the store.

use std::sync::Arc;

use dmq_metadata::{MetadataIndex, Term};
use dmq_raft::{Configuration, EntryId, LogIndex};
use dmq_replica::{FeedBatch, View};
use dmq_store::{Batch, Checkpoint, RowChanges, StoredConfiguration};

/// A batch of the feed for the store; `None` if it is empty.
pub(super) fn batch_of(batch: &FeedBatch, snapshot: MetadataIndex) -> Option<Batch> {
    let last = batch.last()?;
    let at = Checkpoint {
        log_time: last.log_time,
        feature_level: last.feature_level,
        state_hash: last.state_hash,
        configuration: stored(&last.configuration),
        snapshot_index: snapshot,
        ..position(last.id)
    };
    let rows = RowChanges::coalesce(batch.sets.iter().map(|set| &set.changes));
    Some(Batch {
        first: MetadataIndex(batch.expected.next().0),
        at,
        rows,
    })
}

/// The checkpoint of a whole image.
pub(super) fn checkpoint_of(view: &View, snapshot: MetadataIndex) -> Checkpoint {
    Checkpoint {
        log_time: view.image.log_time(),
        feature_level: view.image.feature_level(),
        state_hash: view.image.state_hash(),
        configuration: stored(&view.configuration),
        snapshot_index: snapshot,
        ..position(view.last)
    }
}

fn position(id: EntryId) -> Checkpoint {
    Checkpoint {
        index: MetadataIndex(id.index.0),
        term: Term(id.term.0),
        ..Checkpoint::default()
    }
}

/// Before the first entry there is none.
fn stored((index, configuration): &(LogIndex, Arc<Configuration>)) -> Option<StoredConfiguration> {
    (*index > LogIndex(0)).then(|| StoredConfiguration {
        index: MetadataIndex(index.0),
        bytes: configuration.encode().to_vec(),
    })
}
