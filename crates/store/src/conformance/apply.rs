//! Batches, rebuilds and audits.

use std::sync::Arc;

use dmq_metadata::{
    BrokerId, Change, Command, CreateTopic, DeleteTopic, MetadataIndex, TopicConfigs, TopicId,
    TopicLayout, TopicName, TopicRef, WallTime,
};
use uuid::Uuid;

use super::history::{History, owner};
use super::{Backend, Tamper, assert_at, bring_to, position, prepare_with};
use crate::{Found, Prepared, StateStore, StoreError};

/// Nothing there: the image is copied.
pub async fn an_empty_database_is_rebuilt(backend: &dyn Backend) -> Result<(), StoreError> {
    let history = History::new(1, 120);
    let mut store = backend.open();
    assert_eq!(store.position().await?, Found::Empty);
    assert_eq!(
        prepare_with(&mut *store, &history, 100).await?,
        Prepared::Rebuild
    );
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await?;
    let found = position(backend).await?;
    assert_eq!((found.owner, found.at.index), (owner(), history.last()));
    assert_at(backend, &history, 120).await
}

/// The rows after each batch hash to what the image hashes to, whatever the batches are.
pub async fn batches_of_every_size_give_the_rows_of_the_image(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(2, 700);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 0).await?;
    let mut last = 0;
    for size in [1, 1, 2, 3, 7, 64, 1, 100, 250, 1, 270] {
        store.apply(&history.batch(last + 1, last + size)).await?;
        last += size;
        assert_at(backend, &history, last).await?;
    }
    assert_eq!(last, 700);
    Ok(())
}

/// No-ops and refused commands have no rows, and count all the same.
pub async fn a_batch_without_rows_moves_the_position(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let mut history = History::new(3, 20);
    history.append(None);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 20).await?;
    let batch = history.batch(21, 21);
    assert!(batch.rows.is_empty());
    store.apply(&batch).await?;
    assert_at(backend, &history, 21).await
}

/// Rows that the new image lacks are gone.
pub async fn a_rebuild_replaces_every_row(backend: &dyn Backend) -> Result<(), StoreError> {
    let before = History::new(4, 300);
    let after = History::new(5, 400);
    let mut store = backend.open();
    bring_to(&mut *store, &before, 300).await?;
    store
        .rebuild(after.image(), &after.checkpoint(MetadataIndex(400)))
        .await?;
    assert_at(backend, &after, 400).await?;
    // An image without rows leaves none.
    let empty = History::new(0, 0);
    store
        .rebuild(empty.image(), &empty.checkpoint(MetadataIndex(0)))
        .await?;
    assert_at(backend, &empty, 0).await
}

/// Gaps, repetitions and reversed ranges would lose or repeat changes.
pub async fn a_batch_that_does_not_follow_is_refused_and_changes_nothing(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(6, 60);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 20).await?;
    for (first, last) in [(22, 30), (20, 30), (20, 20), (1, 20)] {
        let refused = store.apply(&history.batch(first, last)).await;
        let gap = matches!(&refused, Err(StoreError::Gap { position, first: found })
            if (position.0, found.0) == (20, first));
        assert!(gap, "{first}..={last} gave {refused:?}");
    }
    let mut reversed = history.batch(21, 30);
    reversed.at = history.checkpoint(MetadataIndex(20));
    assert!(matches!(
        store.apply(&reversed).await,
        Err(StoreError::Invalid(_))
    ));
    assert_at(backend, &history, 20).await?;
    store.apply(&history.batch(21, 60)).await?;
    assert_at(backend, &history, 60).await
}

/// A row that the database refuses takes its whole batch with it.
pub async fn a_row_that_breaks_a_constraint_is_poison_and_changes_nothing(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(7, 80);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 50).await?;
    let mut batch = history.batch(51, 80);
    let topic = history
        .image()
        .topics()
        .next()
        .map(|topic| (**topic).clone());
    let mut twin = topic.ok_or_else(|| StoreError::Invalid("no topic".to_owned()))?;
    twin.id = TopicId(Uuid::from_u128(1));
    batch.rows.push(&Change::PutTopic(Arc::new(twin)));
    let refused = store.apply(&batch).await;
    assert!(matches!(refused, Err(StoreError::Poison(_))), "{refused:?}");
    assert!(refused.is_err_and(|error| !error.retryable()));
    assert_at(backend, &history, 50).await
}

/// Ownership comes first.
pub async fn a_store_that_was_not_claimed_takes_nothing(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(8, 10);
    let mut store = backend.open();
    let applied = store.apply(&history.batch(1, 10)).await;
    assert!(
        matches!(applied, Err(StoreError::Invalid(_))),
        "{applied:?}"
    );
    let rebuilt = store
        .rebuild(history.image(), &history.checkpoint(MetadataIndex(10)))
        .await;
    assert!(
        matches!(rebuilt, Err(StoreError::Invalid(_))),
        "{rebuilt:?}"
    );
    assert_eq!(backend.open().position().await?, Found::Empty);
    Ok(())
}

/// The name is unique, so the deletion must reach the database first.
pub async fn a_topic_created_anew_under_its_old_name_replaces_it_in_one_batch(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let mut history = History::new(9, 11);
    let create = |id: u128, partitions| {
        Command::CreateTopic(CreateTopic {
            topic_id: TopicId(Uuid::from_u128(id)),
            name: TopicName::parse("again").expect("a valid name"),
            layout: TopicLayout::Automatic {
                partitions,
                replication_factor: 1,
            },
            configs: TopicConfigs::parse([("retention.ms", "1000")]).expect("a valid setting"),
        })
    };
    let delete = Command::DeleteTopic(DeleteTopic {
        topic: TopicRef::Id(TopicId(Uuid::from_u128(0xa1))),
    });
    for command in [create(0xa1, 5), delete, create(0xa2, 2)] {
        let mut envelope = history.wrap(command);
        envelope.idempotency = None;
        history.append(Some(&envelope));
    }
    assert_eq!(
        history.image().counts().partitions,
        2,
        "the second topic is there, the first gone"
    );
    let mut store = backend.open();
    bring_to(&mut *store, &history, 12).await?;
    store.apply(&history.batch(13, 14)).await?;
    assert_at(backend, &history, 14).await
}

/// The ends of every range, and characters that SQL, JSON and arrays write in other ways.
pub async fn extreme_values_come_back_as_they_went(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let mut history = History::new(10, 11);
    for (position, milliseconds) in [-1, 0, 1, 253_402_300_799_999].into_iter().enumerate() {
        let command = Command::CreateTopic(CreateTopic {
            topic_id: TopicId(Uuid::from_u128(u128::MAX - position as u128)),
            name: TopicName::parse(&"x".repeat(249 - position)).expect("a valid name"),
            layout: TopicLayout::Assigned(vec![vec![BrokerId(u32::MAX), BrokerId(0)]]),
            configs: TopicConfigs::default(),
        });
        let mut envelope = history.wrap(command);
        envelope.wall_clock = WallTime(milliseconds);
        history.append(Some(&envelope));
    }
    assert_eq!(history.image().counts().topics, 4);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 15).await?;
    assert_at(backend, &history, 15).await?;
    store
        .rebuild(history.image(), &history.checkpoint(MetadataIndex(15)))
        .await?;
    assert_at(backend, &history, 15).await
}

/// Somebody changed a row by hand.
pub async fn an_edited_row_is_found_by_the_audit(backend: &dyn Backend) -> Result<(), StoreError> {
    audit_finds(backend, Tamper::EditRow).await
}

/// Somebody deleted a row by hand.
pub async fn a_lost_row_is_found_by_the_audit(backend: &dyn Backend) -> Result<(), StoreError> {
    audit_finds(backend, Tamper::LoseRow).await
}

async fn audit_finds(backend: &dyn Backend, tamper: Tamper) -> Result<(), StoreError> {
    let history = History::new(11, 100);
    let mut store = backend.open();
    bring_to(&mut *store, &history, 100).await?;
    assert!(store.audit().await?.is_clean());
    backend.tamper(tamper).await;
    let audit = store.audit().await?;
    assert!(!audit.is_clean());
    assert_ne!(audit.rows_hash, Ok(history.hash_at(MetadataIndex(100))));
    // A rebuild mends it.
    store
        .rebuild(history.image(), &history.checkpoint(MetadataIndex(100)))
        .await?;
    assert_at(backend, &history, 100).await
}

/// Many rows, so that the call has a middle; its future is polled a few times and dropped.
pub async fn dropping_a_call_half_way_leaves_one_of_the_two_states(
    backend: &dyn Backend,
) -> Result<(), StoreError> {
    let history = History::new(12, 400);
    for polls in 1..12 {
        let mut store = backend.open();
        let found = claim_in_the_end(&mut *store, &history).await?;
        let from = if let Prepared::Resume { from } = found {
            from.0
        } else {
            bring_to(&mut *store, &history, 0).await?;
            1
        };
        let batch = history.batch(from, from + 29);
        poll_times(store.apply(&batch), polls).await;
        drop(store);
        let mut next = backend.open();
        let Prepared::Resume { from: now } = claim_in_the_end(&mut *next, &history).await? else {
            return Err(StoreError::Invalid("the rows are gone".to_owned()));
        };
        assert!(now.0 == from || now.0 == from + 30, "from {from} to {now}");
        assert_at(backend, &history, now.0 - 1).await?;
    }
    Ok(())
}

/// The lock of a connection that was dropped half-way may live on for a moment.
async fn claim_in_the_end(
    store: &mut dyn StateStore,
    history: &History,
) -> Result<Prepared, StoreError> {
    loop {
        match prepare_with(store, history, 0).await {
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            done => return done,
        }
    }
}

/// Polls a future at most so many times, each time when it asks to be.
async fn poll_times<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        if future.as_mut().poll(context).is_ready() || left == 0 {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
}
