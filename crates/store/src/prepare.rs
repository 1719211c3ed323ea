//! Carries out the restart decision: looks, decides, takes ownership.

use dmq_metadata::MetadataIndex;
use tracing::{info, warn};

use crate::{
    Decision, LogView, Owner, RebuildReason, Refusal, StateStore, StopReason, StoreError,
    WipeReason, decide,
};

/// The store after [`prepare`], and what is left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It is ours: apply batches from this index on.
    Resume {
        /// First entry whose changes are missing.
        from: MetadataIndex,
    },
    /// It is ours, but its rows are missing or of no use: copy the image with
    /// [`StateStore::rebuild`].
    Rebuild,
    /// It is somebody else's. Nothing was touched; the projector says so and stays off.
    Refused(Refusal),
    /// The log lost committed entries, or the directory is an old one. Nothing was touched; the
    /// member stops.
    Stop(StopReason),
}

/// Connects to the store, compares it with the log and takes it over if it is ours.
/// For the start, and again after every retryable error.
///
/// # Errors
/// Those of [`StateStore::position`], [`StateStore::claim`] and [`StateStore::wipe`].
pub async fn prepare(
    store: &mut dyn StateStore,
    me: &Owner,
    log: &LogView<'_>,
) -> Result<Prepared, StoreError> {
    let found = store.position().await?;
    match decide(&found, me, log) {
        Decision::Refuse(refusal) => Ok(Prepared::Refused(refusal)),
        Decision::Stop(reason) => Ok(Prepared::Stop(reason)),
        Decision::Wipe(reason) => wipe(store, me, &reason).await,
        Decision::Resume { .. } | Decision::Rebuild(_) => claim(store, me, log).await,
    }
}

/// Claims, then decides once more: only what is found under the writer lock is final. Until the
/// lock was ours, a batch whose outcome is unknown could still commit.
async fn claim(
    store: &mut dyn StateStore,
    me: &Owner,
    log: &LogView<'_>,
) -> Result<Prepared, StoreError> {
    let found = store.claim(me).await?;
    match decide(&found, me, log) {
        Decision::Resume { from } => {
            info!(store = store.describe(), %from, "the projection goes on");
            Ok(Prepared::Resume { from })
        }
        Decision::Rebuild(reason) => {
            log_rebuild(store, reason);
            Ok(Prepared::Rebuild)
        }
        Decision::Wipe(reason) => wipe(store, me, &reason).await,
        Decision::Refuse(refusal) => Ok(Prepared::Refused(refusal)),
        Decision::Stop(reason) => Ok(Prepared::Stop(reason)),
    }
}

async fn wipe(
    store: &mut dyn StateStore,
    me: &Owner,
    reason: &WipeReason,
) -> Result<Prepared, StoreError> {
    warn!(store = store.describe(), %reason, "the database is wiped, to be rebuilt");
    store.wipe(me).await?;
    Ok(Prepared::Rebuild)
}

fn log_rebuild(store: &dyn StateStore, reason: RebuildReason) {
    let store = store.describe();
    match reason {
        RebuildReason::Empty => info!(store, "the database is empty, to be rebuilt"),
        RebuildReason::BehindChanges {
            found,
            changes_after,
        } => {
            warn!(store, %found, %changes_after, "the database is too old, to be rebuilt");
        }
    }
}
