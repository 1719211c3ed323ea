//! The snapshot files of this node, as REST shows them.

use std::sync::Arc;

use dmq_log::{Disk, SnapshotStore};
use dmq_metadata::{FeatureLevel, MetadataIndex, StateHash, Term};

use crate::handle::{RequestError, SnapshotInfo};

/// Newest first. Reading the files' descriptions may block, so it runs on a thread that may.
pub(super) async fn list<D: Disk>(
    store: Arc<SnapshotStore<D>>,
) -> Result<Vec<SnapshotInfo>, RequestError> {
    let listed = tokio::task::spawn_blocking(move || store.list()).await;
    let internal = |error: &dyn std::fmt::Display| RequestError::Internal(error.to_string());
    let files = listed
        .map_err(|error| internal(&error))?
        .map_err(|error| internal(&error))?;
    Ok(files.iter().map(describe).collect())
}

fn describe(info: &dmq_log::SnapshotInfo) -> SnapshotInfo {
    SnapshotInfo {
        index: MetadataIndex(info.meta.last.index.0),
        term: Term(info.meta.last.term.0),
        size_bytes: info.file_bytes,
        state_hash: StateHash(info.meta.state_hash),
        feature_level: FeatureLevel(info.meta.feature_level),
    }
}
