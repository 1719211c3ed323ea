//! One piece of work on the store, as a future that owns the store and gives it back.

use std::sync::Arc;
use std::time::Duration;

use dmq_log::{Disk, crash_point};
use dmq_metadata::{Image, MetadataIndex, Term};
use dmq_raft::LogIndex;
use dmq_replica::FeedStart;
use dmq_store::{Batch, Checkpoint, LogView, Prepared, StateStore, StopReason, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::ProjectorContext;

/// An open store.
pub(super) type StoreBox = Box<dyn StateStore>;

/// How a job ended.
pub(super) enum Done {
    /// The store was looked at.
    Opened(Opened),
    /// A transaction was committed.
    Worked(StoreBox),
    /// A transaction was not, or its outcome is unknown.
    Failed(StoreBox, StoreError),
}

/// What the store is good for. It is kept as long as it may be of use: it remembers its highest owner
/// epoch, which keeps a writer that was fenced off from claiming the database back.
pub(super) enum Opened {
    /// It is ours.
    Ready(StoreBox, FeedStart),
    /// It is not there now.
    Unavailable(StoreBox, StoreError),
    /// It is not ours, or cannot be used.
    Stopped(String),
    /// It knows entries that the log has lost.
    LostEntries(StopReason),
}

/// Compares the store with the log after a pause; `None`: it is not open yet.
pub(super) fn open<D: Disk>(
    context: Arc<ProjectorContext<D>>,
    store: Option<StoreBox>,
    pause: Duration,
) -> BoxFuture<'static, Done> {
    async move {
        tokio::time::sleep(pause).await;
        let store = match store {
            Some(store) => Ok(store),
            None => dmq_store::open_as(&context.url, &context.directory, &context.credentials),
        };
        Done::Opened(match store {
            Ok(store) => prepare(store, &context).await,
            Err(error) => Opened::Stopped(error.to_string()),
        })
    }
    .boxed()
}

async fn prepare<D: Disk>(mut store: StoreBox, context: &ProjectorContext<D>) -> Opened {
    let term_at = |index: MetadataIndex| {
        let term = context.reader.term_at(LogIndex(index.0));
        term.map(|term| Term(term.0))
    };
    let log = LogView {
        changes_after: context.changes_after,
        last: MetadataIndex(context.reader.last().index.0),
        term_at: &term_at,
    };
    match dmq_store::prepare(&mut *store, &context.owner, &log).await {
        Ok(Prepared::Resume { from }) => {
            let at = LogIndex(from.0).previous();
            Opened::Ready(store, FeedStart::Resume { at })
        }
        Ok(Prepared::Rebuild) => Opened::Ready(store, FeedStart::Rebuild),
        Ok(Prepared::Refused(refusal)) => Opened::Stopped(refusal.to_string()),
        Ok(Prepared::Stop(reason)) => Opened::LostEntries(reason),
        Err(error) if error.retryable() => Opened::Unavailable(store, error),
        Err(error) => Opened::Stopped(error.to_string()),
    }
}

/// Writes a batch.
pub(super) fn apply(mut store: StoreBox, batch: Batch) -> BoxFuture<'static, Done> {
    async move {
        let result = async {
            reach("projection-begun")?;
            store.apply(&batch).await?;
            reach("projection-committed")
        };
        let result = result.await;
        ended(store, result)
    }
    .boxed()
}

/// Copies an image.
pub(super) fn rebuild(
    mut store: StoreBox,
    image: Image,
    at: Checkpoint,
) -> BoxFuture<'static, Done> {
    async move {
        let result = async {
            reach("rebuild-begun")?;
            store.rebuild(&image, &at).await?;
            reach("rebuild-committed")
        };
        let result = result.await;
        ended(store, result)
    }
    .boxed()
}

/// An error at a point is that of a connection that broke: what the database has is looked at again.
fn reach(point: &'static str) -> Result<(), StoreError> {
    crash_point::reach(point).map_err(|error| StoreError::CommitUnknown(error.to_string()))
}

fn ended(store: StoreBox, result: Result<(), StoreError>) -> Done {
    match result {
        Ok(()) => Done::Worked(store),
        Err(error) => Done::Failed(store, error),
    }
}

/// Looks whether the database is still there.
pub(super) fn check(mut store: StoreBox) -> BoxFuture<'static, Done> {
    async move {
        let result = store.check().await;
        ended(store, result)
    }
    .boxed()
}

/// Nothing to write.
pub(super) fn nothing(store: StoreBox) -> BoxFuture<'static, Done> {
    std::future::ready(Done::Worked(store)).boxed()
}
