//! One writer at a time, and the later one wins.

use dmq_metadata::MetadataIndex;

use super::history::{History, owner};
use super::{Backend, Tamper, assert_at, bring_to, position, prepare_with};
use crate::{Prepared, StoreError};

/// The lock: two writers never take turns.
pub async fn a_second_writer_is_refused_while_the_first_lives(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(20, 60);
    let mut first = backend.open();
    bring_to(&mut *first, &history, 20).await?;
    let mut other = owner();
    other.directory = dmq_metadata::DirectoryId(uuid::Uuid::from_u128(0xd2));
    let mut second = backend.open();
    let claimed = second.wipe(&other).await;
    assert!(
        matches!(&claimed, Err(StoreError::Unavailable(_))),
        "{claimed:?}"
    );
    assert!(claimed.is_err_and(|error| error.to_string().contains("another")));
    first.apply(&history.batch(21, 60)).await?;
    assert_at(backend, &history, 60).await
}

/// The lock goes with its holder, and the epoch tells the owners apart.
pub async fn a_writer_that_is_gone_is_followed_by_the_next(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(21, 60);
    let mut first = backend.open();
    bring_to(&mut *first, &history, 20).await?;
    let before = position(backend).await?.owner_epoch;
    drop(first);
    let mut second = backend.open();
    let from = MetadataIndex(21);
    assert_eq!(
        prepare_with(&mut *second, &history, 0).await?,
        Prepared::Resume { from }
    );
    second.apply(&history.batch(21, 60)).await?;
    assert!(position(backend).await?.owner_epoch > before);
    assert_at(backend, &history, 60).await
}

/// The compare-and-set: a writer that lost its lock without noticing changes nothing any more.
pub async fn a_later_owner_fences_the_first(backend: &dyn Backend) -> Result<(), StoreError> {
    let history = History::new(22, 60);
    let mut first = backend.open();
    bring_to(&mut *first, &history, 20).await?;
    backend.tamper(Tamper::NextOwner).await;
    let applied = first.apply(&history.batch(21, 60)).await;
    assert!(matches!(applied, Err(StoreError::Fenced(_))), "{applied:?}");
    assert!(applied.is_err_and(|error| !error.retryable()));
    assert_at(backend, &history, 20).await
}

/// A writer that another one followed does not come back by claiming anew.
pub async fn a_fenced_store_stays_fenced(backend: &dyn Backend) -> Result<(), StoreError> {
    let history = History::new(23, 60);
    let mut first = backend.open();
    bring_to(&mut *first, &history, 20).await?;
    backend.tamper(Tamper::NextOwner).await;
    let rebuilt = first
        .rebuild(history.image(), &history.checkpoint(MetadataIndex(60)))
        .await;
    assert!(matches!(rebuilt, Err(StoreError::Fenced(_))), "{rebuilt:?}");
    let claimed = prepare_with(&mut *first, &history, 0).await;
    assert!(matches!(claimed, Err(StoreError::Fenced(_))), "{claimed:?}");
    assert_at(backend, &history, 20).await
}
