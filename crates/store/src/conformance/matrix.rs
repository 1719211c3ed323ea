//! The restart matrix: each row on a real database.

use dmq_metadata::MetadataIndex;

use super::history::{History, owner};
use super::{Backend, Tamper, assert_at, bring_to, position, prepare_with};
use crate::{Found, Prepared, Refusal, StopReason, StoreError};

/// Entries of the log in these cases; the database stands at [`STANDS_AT`].
const LOG_ENTRIES: u64 = 200;
const STANDS_AT: u64 = 130;

async fn database_at(backend: &dyn Backend, last: u64) -> Result<History, StoreError> {
    let history = History::new(30, LOG_ENTRIES);
    bring_to(&mut *backend.open(), &history, last).await?;
    Ok(history)
}

/// Nothing may change in a database that is refused, or that stops the member: not even the owner
/// epoch.
async fn leaves_untouched(backend: &dyn Backend, tamper: Tamper) -> Result<Prepared, StoreError> {
    let history = database_at(backend, STANDS_AT).await?;
    backend.tamper(tamper).await;
    let before = position(backend).await?;
    let prepared = prepare_with(&mut *backend.open(), &history, 0).await?;
    assert_eq!(position(backend).await?, before);
    assert_at_rows(backend, &history).await?;
    Ok(prepared)
}

async fn assert_at_rows(backend: &dyn Backend, history: &History) -> Result<(), StoreError> {
    let audit = backend.open().audit().await?;
    assert_eq!(
        audit.rows_hash,
        Ok(history.hash_at(MetadataIndex(STANDS_AT)))
    );
    Ok(())
}

/// The database is wiped, the image is copied, and the projection goes on.
async fn is_wiped(backend: &dyn Backend, tamper: Tamper) -> Result<(), StoreError> {
    let history = database_at(backend, STANDS_AT).await?;
    backend.tamper(tamper).await;
    let mut store = backend.open();
    assert_eq!(
        prepare_with(&mut *store, &history, 0).await?,
        Prepared::Rebuild
    );
    let wiped = position(backend).await?;
    assert_eq!((wiped.owner, wiped.at.index), (owner(), MetadataIndex(0)));
    assert_at(backend, &History::new(0, 0), 0).await?;
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await?;
    assert_at(backend, &history, LOG_ENTRIES).await
}

/// Somebody deleted the position and left the rows; the process that claimed the database ended before
/// it copied the image. The next one goes on from entry 1, which is right only over empty tables.
pub async fn a_database_without_a_position_is_cleared_by_the_claim(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = database_at(backend, STANDS_AT).await?;
    backend.tamper(Tamper::LosePosition).await;
    let mut first = backend.open();
    let prepared = prepare_with(&mut *first, &history, 0).await?;
    assert_eq!(prepared, Prepared::Rebuild);
    first.position().await?; // Lets the lock go, as the end of the process does.
    drop(first);
    assert_at(backend, &History::new(0, 0), 0).await?;
    let from = MetadataIndex(1);
    let mut next = backend.open();
    let prepared = prepare_with(&mut *next, &history, 0).await?;
    assert_eq!(prepared, Prepared::Resume { from });
    next.apply(&history.batch(1, LOG_ENTRIES)).await?;
    assert_at(backend, &history, LOG_ENTRIES).await
}

/// Goes on from the entry behind the position, with the log's changes known behind `changes_after`.
async fn is_resumed(
    backend: &dyn Backend,
    stands_at: u64,
    changes_after: u64,
) -> Result<(), StoreError> {
    let history = database_at(backend, stands_at).await?;
    let mut store = backend.open();
    let from = MetadataIndex(stands_at + 1);
    let prepared = prepare_with(&mut *store, &history, changes_after).await?;
    assert_eq!(prepared, Prepared::Resume { from });
    if stands_at < LOG_ENTRIES {
        store.apply(&history.batch(from.0, LOG_ENTRIES)).await?;
    }
    assert_at(backend, &history, LOG_ENTRIES).await
}

/// Somebody else's database.
pub async fn matrix_another_cluster_is_refused_and_untouched(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let (found, ours) = ("another".to_owned(), owner().cluster_id.to_string());
    let refused = Prepared::Refused(Refusal::OtherCluster { found, ours });
    assert_eq!(
        leaves_untouched(backend, Tamper::OtherCluster).await?,
        refused
    );
    Ok(())
}

/// A neighbour's database.
pub async fn matrix_another_node_is_refused_and_untouched(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let refused = Prepared::Refused(Refusal::OtherNode {
        found: 99,
        ours: owner().node.0,
    });
    assert_eq!(leaves_untouched(backend, Tamper::OtherNode).await?, refused);
    Ok(())
}

/// This node before its disk was wiped.
pub async fn matrix_an_earlier_directory_is_wiped_and_rebuilt(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    is_wiped(backend, Tamper::OtherDirectory).await
}

/// This node before a restore.
pub async fn matrix_a_lower_incarnation_is_wiped_and_rebuilt(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    is_wiped(backend, Tamper::LowerIncarnation).await
}

/// The database is newer than the disk.
pub async fn matrix_a_higher_incarnation_stops_the_member(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let ours = owner().incarnation.number;
    let stop = Prepared::Stop(StopReason::HigherIncarnation {
        found: ours + 1,
        ours,
    });
    assert_eq!(
        leaves_untouched(backend, Tamper::HigherIncarnation).await?,
        stop
    );
    Ok(())
}

/// Two restores drew the same number.
pub async fn matrix_another_history_of_the_same_number_stops_the_member(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let incarnation = owner().incarnation.number;
    let stop = Prepared::Stop(StopReason::OtherHistory { incarnation });
    assert_eq!(leaves_untouched(backend, Tamper::OtherNonce).await?, stop);
    Ok(())
}

/// The ordinary restart.
pub async fn matrix_a_position_within_the_log_is_resumed(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    is_resumed(backend, STANDS_AT, 100).await
}

/// The changes of the entry behind the snapshot exist.
pub async fn matrix_a_position_at_the_snapshot_is_resumed(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    is_resumed(backend, STANDS_AT, STANDS_AT).await
}

/// Nothing is missing.
pub async fn matrix_a_position_at_the_end_of_the_log_is_resumed(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    is_resumed(backend, LOG_ENTRIES, LOG_ENTRIES).await
}

/// The log may hold the entry, but its changes cannot be made again.
pub async fn matrix_a_position_below_the_snapshot_is_rebuilt(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = database_at(backend, STANDS_AT).await?;
    let mut store = backend.open();
    let prepared = prepare_with(&mut *store, &history, STANDS_AT + 1).await?;
    assert_eq!(prepared, Prepared::Rebuild);
    // Until the rebuild commits, readers have the old rows.
    assert_at(backend, &history, STANDS_AT).await?;
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await?;
    assert_at(backend, &history, LOG_ENTRIES).await
}

/// The disk lost entries that were committed.
pub async fn matrix_a_position_beyond_the_log_stops_the_member(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    database_at(backend, STANDS_AT).await?;
    let before = backend.open().position().await?;
    let shorter = History::new(30, STANDS_AT - 1);
    let prepared = prepare_with(&mut *backend.open(), &shorter, 0).await?;
    let (found, last) = (MetadataIndex(STANDS_AT), MetadataIndex(STANDS_AT - 1));
    assert_eq!(
        prepared,
        Prepared::Stop(StopReason::BeyondLog { found, last })
    );
    assert_eq!(backend.open().position().await?, before);
    assert!(matches!(before, Found::At(_)));
    Ok(())
}

/// The log has another entry where the database stands.
pub async fn matrix_another_term_at_the_position_stops_the_member(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let stop = leaves_untouched(backend, Tamper::OtherTerm).await?;
    let index = MetadataIndex(STANDS_AT);
    assert!(
        matches!(stop, Prepared::Stop(StopReason::OtherTerm { index: at, .. }) if at == index),
        "{stop:?}"
    );
    Ok(())
}
