//! The projector of a node: the real feed and restart matrix over a database in memory.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use dmq_metadata::{MetadataIndex, Term};
use dmq_raft::LogIndex;
use dmq_replica::{
    DriverInput, FeedBatch, FeedInput, FeedStart, FeedWork, ProjectionHealth, StoreResult, View,
};
use dmq_store::{
    Batch, Checkpoint, Found, LogView, MemoryStore, Prepared, RowChanges, StateStore, StoreError,
    StoredConfiguration, prepare,
};

use super::history::Violation;
use super::node::{Part, Process};
use super::world::World;

impl World {
    /// The feed takes what waits and hands out work.
    pub(super) fn feed(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else {
            return;
        };
        for input in std::mem::take(&mut process.feed_inbox) {
            process.feed.handle(input);
        }
        let report = process.feed.report();
        let closed = matches!(&report, Some(report) if report.health == ProjectionHealth::Down);
        process.store_open &= !closed;
        if process.store_work.is_none() {
            process.store_work = process.feed.next_work();
        }
        let busy = process.store_work.is_some();
        if let Some(report) = report {
            self.queue_driver(node, life, DriverInput::Projection(report));
        }
        if busy {
            self.wake(node, Part::Store);
        }
    }

    /// The store is opened, or does what the feed handed out.
    pub(super) fn store(&mut self, node: usize) -> Result<(), Violation> {
        let owner = self.nodes[node].owner();
        let Some(process) = &mut self.nodes[node].process else {
            return Ok(());
        };
        let input = if !process.store_open {
            open(process, &owner)?
        } else if let Some(work) = process.store_work.take() {
            let result = carry_out(&mut process.store, &work);
            match work {
                FeedWork::Rebuild(_) => self.faults.rebuilds += 1,
                FeedWork::Apply(_) => self.faults.batches += 1,
            }
            Some(FeedInput::Stored(judge(node, result)?))
        } else {
            None
        };
        if let Some(input) = input {
            self.queue_feed(node, input);
        }
        self.check_projection(node)
    }

    /// What the database shows is what the log durably holds, and nothing else.
    ///
    /// # Errors
    /// It is ahead of the local log or of what is committed, or differs from the image.
    pub(super) fn check_projection(&mut self, node: usize) -> Result<(), Violation> {
        let Some(process) = &self.nodes[node].process else {
            return Ok(());
        };
        let mut store = MemoryStore::new(self.nodes[node].database.clone());
        let Ok(Found::At(position)) = now(store.position()) else {
            return Ok(());
        };
        // Of an earlier life of the node, until the projector gets to it.
        if position.owner.directory != self.nodes[node].owner().directory {
            return Ok(());
        }
        let index = LogIndex(position.at.index.0);
        let durable = process.reader.last().index;
        if index > durable {
            return Err(format!(
                "node {node}'s database is at {index}, its log at {durable}"
            ));
        }
        match self.history.hash_at(index) {
            _ if self.nodes[node].spoiled => Ok(()),
            Some(hash) if hash == position.at.state_hash => Ok(()),
            known => Err(format!(
                "node {node}'s database has {} at {index}, the history {known:?}",
                position.at.state_hash
            )),
        }
    }

    /// Every row of the database is that of the image.
    ///
    /// # Errors
    /// The rows do not have the hash that their position claims.
    pub(super) fn audit(&self, node: usize) -> Result<(), Violation> {
        let mut store = MemoryStore::new(self.nodes[node].database.clone());
        if !matches!(now(store.position()), Ok(Found::At(_))) {
            return Ok(());
        }
        match now(store.audit()) {
            Ok(audit) if audit.rows_hash == Ok(audit.at.state_hash) => Ok(()),
            found => Err(format!("node {node}'s rows: {found:?}")),
        }
    }

    /// Index of a node's database.
    pub(super) fn projected(&self, node: usize) -> LogIndex {
        let mut store = MemoryStore::new(self.nodes[node].database.clone());
        match now(store.position()) {
            Ok(Found::At(position)) => LogIndex(position.at.index.0),
            _ => LogIndex(0),
        }
    }
}

/// Connects, judges the position and takes the database over. `None`: not now.
fn open(process: &mut Process, owner: &dmq_store::Owner) -> Result<Option<FeedInput>, Violation> {
    let reader = process.reader.clone();
    let term_at =
        move |index: MetadataIndex| reader.term_at(LogIndex(index.0)).map(|term| Term(term.0));
    let log = LogView {
        changes_after: MetadataIndex(process.feed.changes_after().0),
        last: MetadataIndex(process.reader.last().index.0),
        term_at: &term_at,
    };
    let start = match now(prepare(&mut process.store, owner, &log)) {
        Ok(Prepared::Resume { from }) => FeedStart::Resume {
            at: LogIndex(from.0.saturating_sub(1)),
        },
        Ok(Prepared::Rebuild) => FeedStart::Rebuild,
        Ok(refused) => return Err(format!("the database is refused: {refused:?}")),
        Err(error) if error.retryable() => return Ok(None),
        Err(error) => return Err(format!("the database cannot be opened: {error}")),
    };
    process.store_open = true;
    process.store_work = None;
    Ok(Some(FeedInput::Start(start)))
}

fn carry_out(store: &mut MemoryStore, work: &FeedWork) -> Result<(), StoreError> {
    match work {
        FeedWork::Apply(batch) => now(store.apply(&to_batch(batch)?)),
        FeedWork::Rebuild(view) => now(store.rebuild(&view.image, &of_view(view))),
    }
}

fn judge(node: usize, result: Result<(), StoreError>) -> Result<StoreResult, Violation> {
    match result {
        Ok(()) => Ok(StoreResult::Done),
        Err(error) if error.retryable() => Ok(StoreResult::Unavailable(error.to_string())),
        Err(error) => Err(format!("node {node}'s store: {error}")),
    }
}

fn to_batch(batch: &FeedBatch) -> Result<Batch, StoreError> {
    let last = batch
        .last()
        .ok_or_else(|| StoreError::Invalid("an empty batch".into()))?;
    let at = Checkpoint {
        index: MetadataIndex(last.id.index.0),
        term: Term(last.id.term.0),
        log_time: last.log_time,
        feature_level: last.feature_level,
        state_hash: last.state_hash,
        configuration: Some(StoredConfiguration {
            index: MetadataIndex(last.configuration.0.0),
            bytes: last.configuration.1.encode().to_vec(),
        }),
        snapshot_index: MetadataIndex(0),
    };
    let rows = RowChanges::coalesce(batch.sets.iter().map(|set| &set.changes));
    Ok(Batch {
        first: MetadataIndex(batch.expected.next().0),
        at,
        rows,
    })
}

fn of_view(view: &View) -> Checkpoint {
    Checkpoint {
        index: MetadataIndex(view.last.index.0),
        term: Term(view.last.term.0),
        log_time: view.image.log_time(),
        feature_level: view.image.feature_level(),
        state_hash: view.image.state_hash(),
        configuration: Some(StoredConfiguration {
            index: MetadataIndex(view.configuration.0.0),
            bytes: view.configuration.1.encode().to_vec(),
        }),
        snapshot_index: MetadataIndex(0),
    }
}

/// The result of a future of the store in memory, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the store in memory never waits"),
    }
}
