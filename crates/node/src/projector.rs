//! The projector: carries out what the feed decides on the node's database (DESIGN 6.4), one transaction
//! at a time. The database may be down, slow or wrong: nothing of the quorum waits for it.

mod batches;
mod demand;
mod store_job;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dmq_log::{Disk, LogReader};
use dmq_metadata::MetadataIndex;
use dmq_raft::LogIndex;
use dmq_replica::{
    BATCH_ROWS, DriverInput, FeedBatch, FeedInput, FeedStart, FeedWork, ProjectionHealth,
    ProjectionReport, ProjectorFeed, StoreResult,
};
use dmq_store::{Owner, StopReason};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::queue::Sender;
use crate::threads::Work;
use store_job::{Done, Opened, StoreBox};

pub use demand::{Demand, Waiting};

/// First pause after the database was not reachable; doubled up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between two attempts. One a second disturbs no server, and a database that starts beside the
/// node, or comes back, is not kept waiting.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time between two transactions while nobody waits for them: five a second keep the rows of a follower
/// fresh, and a page that many entries touch is written once.
const PACE_UNWATCHED: Duration = Duration::from_millis(200);
/// A database that has had nothing to do for so long is looked at: it may be gone, or emptied.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// What the projector works with.
pub struct ProjectorContext<D: Disk> {
    /// Whose rows they are.
    pub owner: Owner,
    /// `store.url`.
    pub url: String,
    /// `store.user` and `store.password-file`.
    pub credentials: dmq_store::Credentials,
    /// The node's directory, for the embedded store.
    pub directory: std::path::PathBuf,
    /// The log, to judge what is found.
    pub reader: LogReader<D>,
    /// Index of the snapshot that the image was loaded from; 0 without one.
    pub changes_after: MetadataIndex,
    /// Index of the newest snapshot.
    pub snapshot_index: watch::Receiver<MetadataIndex>,
    /// Where positions and health are told.
    pub driver: Sender<Work>,
    /// Whether somebody waits for a transaction.
    pub demand: Demand,
    /// Entries up to here are durable on this node.
    pub durable: watch::Receiver<LogIndex>,
    /// Where transactions are counted.
    pub metrics: Arc<Metrics>,
    /// The database knows of entries that the log lost: the process must end.
    pub lost_entries: Box<dyn Fn(StopReason) + Send + Sync>,
}

/// Runs until `inputs` is closed. A defect ends the projection, which is reported, and nothing else.
pub async fn run<D: Disk>(
    context: ProjectorContext<D>,
    feed: ProjectorFeed,
    inputs: mpsc::Receiver<FeedInput>,
) {
    let driver = context.driver.clone();
    let written = Arc::new(AtomicU64::new(0));
    let following = follow(context, feed, inputs, Arc::clone(&written));
    watched(following, &driver, &written).await;
}

/// Tells the driver if `following` panics: a projection that silently stands still would look healthy.
async fn watched(following: impl Future<Output = ()>, driver: &Sender<Work>, written: &AtomicU64) {
    if AssertUnwindSafe(following).catch_unwind().await.is_ok() {
        return;
    }
    let reason = "the projector has a defect and ended; the log of the process says more";
    tracing::error!(
        reason,
        "the projection is off; the quorum goes on without it"
    );
    let report = ProjectionReport {
        index: LogIndex(written.load(Ordering::Relaxed)),
        health: ProjectionHealth::Stopped(reason.to_owned()),
    };
    driver.push_always(Work::Input(DriverInput::Projection(report)));
}

async fn follow<D: Disk>(
    context: ProjectorContext<D>,
    feed: ProjectorFeed,
    mut inputs: mpsc::Receiver<FeedInput>,
    written: Arc<AtomicU64>,
) {
    let demand = context.demand.clone();
    let mut durable = context.durable.clone();
    let mut projector = Projector {
        context: Arc::new(context),
        feed,
        store: None,
        job: None,
        pause: RETRY_PAUSE_MIN,
        next_work_at: Instant::now(),
        transaction: None,
        written,
    };
    projector.open(None, Duration::ZERO);
    loop {
        let paced = projector.paced_until();
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => projector.take(input, &mut inputs),
                None => return,
            },
            done = finish(&mut projector.job) => projector.done(done),
            Ok(()) = durable.changed(), if projector.is_idle() && paced.is_none() => {}
            () = demand.arrived(), if paced.is_some() => {}
            () = wait_until(paced), if paced.is_some() => {}
            () = tokio::time::sleep(CHECK_INTERVAL), if projector.is_idle() => projector.check(),
        }
        projector.go_on();
    }
}

/// A full batch means that more is waiting: then there is nothing to gain by waiting too.
fn pace_after(work: &FeedWork) -> Duration {
    match work {
        FeedWork::Apply(batch) if rows(batch) < BATCH_ROWS => PACE_UNWATCHED,
        FeedWork::Apply(_) | FeedWork::Rebuild(_) => Duration::ZERO,
    }
}

fn rows(batch: &FeedBatch) -> usize {
    batch.sets.iter().map(|set| set.changes.rows.len()).sum()
}

/// The end of the running job; never, if there is none.
async fn finish(job: &mut Option<BoxFuture<'static, Done>>) -> Done {
    match job {
        Some(running) => {
            let done = running.await;
            *job = None;
            done
        }
        None => std::future::pending().await,
    }
}

async fn wait_until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

struct Projector<D: Disk> {
    context: Arc<ProjectorContext<D>>,
    feed: ProjectorFeed,
    /// The store while no job has it.
    store: Option<StoreBox>,
    job: Option<BoxFuture<'static, Done>>,
    pause: Duration,
    next_work_at: Instant,
    /// When the running transaction began, and how many entries it holds.
    transaction: Option<(Instant, usize)>,
    /// Index of the last report.
    written: Arc<AtomicU64>,
}

impl<D: Disk> Projector<D> {
    /// Takes an input and all that wait behind it.
    fn take(&mut self, first: FeedInput, rest: &mut mpsc::Receiver<FeedInput>) {
        let mut next = Some(first);
        while let Some(input) = next {
            self.feed.handle(input);
            next = rest.try_recv().ok();
        }
    }

    /// Until when the next transaction is put off, if there is one to put off.
    fn paced_until(&self) -> Option<Instant> {
        let later = self.next_work_at > Instant::now();
        (self.is_idle() && later && !self.context.demand.is_urgent()).then_some(self.next_work_at)
    }

    /// Whether the store waits for work.
    fn is_idle(&self) -> bool {
        self.store.is_some()
    }

    /// Gives the store what the feed wants done, and the driver what has changed.
    fn go_on(&mut self) {
        if self.paced_until().is_none()
            && let Some(store) = self.store.take()
        {
            let durable = *self.context.durable.borrow();
            self.feed.handle(FeedInput::Durable(durable));
            match self.feed.next_work() {
                Some(work) => self.work(store, work),
                None => self.store = Some(store),
            }
        }
        if let Some(report) = self.feed.report() {
            self.written.store(report.index.0, Ordering::Relaxed);
            self.context
                .driver
                .push_always(Work::Input(DriverInput::Projection(report)));
        }
    }

    fn work(&mut self, store: StoreBox, work: FeedWork) {
        self.next_work_at = Instant::now() + pace_after(&work);
        let snapshot = *self.context.snapshot_index.borrow();
        self.job = Some(match work {
            FeedWork::Apply(batch) => match batches::batch_of(&batch, snapshot) {
                Some(rows) => {
                    self.transaction = Some((Instant::now(), batch.sets.len()));
                    store_job::apply(store, rows)
                }
                None => store_job::nothing(store),
            },
            FeedWork::Rebuild(view) => {
                let at = batches::checkpoint_of(&view, snapshot);
                self.context.metrics.projection.rebuilds.inc();
                store_job::rebuild(store, view.image, at)
            }
        });
    }

    fn check(&mut self) {
        self.job = self.store.take().map(store_job::check);
    }

    fn open(&mut self, store: Option<StoreBox>, pause: Duration) {
        self.job = Some(store_job::open(Arc::clone(&self.context), store, pause));
    }

    fn done(&mut self, done: Done) {
        self.count(&done);
        match done {
            Done::Opened(opened) => self.opened(opened),
            Done::Worked(store) => {
                self.store = Some(store);
                self.feed.handle(FeedInput::Stored(StoreResult::Done));
            }
            Done::Failed(store, error) if error.retryable() => {
                tracing::warn!(%error, "the projection is interrupted");
                self.feed.handle(FeedInput::Stored(StoreResult::Unavailable(
                    error.to_string(),
                )));
                self.open(Some(store), RETRY_PAUSE_MIN);
            }
            Done::Failed(_, error) => {
                tracing::error!(%error, "the projection stops; the quorum goes on without it");
                self.feed
                    .handle(FeedInput::Stored(StoreResult::Stopped(error.to_string())));
            }
        }
    }

    fn count(&mut self, done: &Done) {
        let metrics = &self.context.metrics.projection;
        match (done, self.transaction.take()) {
            (Done::Worked(_), Some((began, entries))) => {
                metrics.observe_batch(began.elapsed(), entries);
            }
            (Done::Failed(..), _) => {
                metrics.errors.inc();
            }
            _ => {}
        }
    }

    fn opened(&mut self, opened: Opened) {
        match opened {
            Opened::Ready(store, start) => {
                self.pause = RETRY_PAUSE_MIN;
                self.store = Some(store);
                self.feed.handle(FeedInput::Start(start));
            }
            Opened::Unavailable(store, error) => {
                // The first failure is news, the ones after it are not.
                if self.pause == RETRY_PAUSE_MIN {
                    tracing::warn!(%error, "the database is not available; trying again");
                }
                self.pause = (self.pause * 2).min(RETRY_PAUSE_MAX);
                self.open(Some(store), self.pause);
            }
            Opened::Stopped(reason) => {
                tracing::error!(
                    reason,
                    "the projection is off; the quorum goes on without it"
                );
                self.feed.handle(FeedInput::Start(FeedStart::Stop(reason)));
            }
            Opened::LostEntries(reason) => {
                self.feed
                    .handle(FeedInput::Start(FeedStart::Stop(reason.to_string())));
                (self.context.lost_entries)(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_projector_that_panics_is_reported_as_stopped() {
        let (driver, inbox) = crate::queue::bounded(1);
        let written = AtomicU64::new(7);
        watched(async { panic!("a defect") }, &driver, &written).await;
        let mut work = Vec::new();
        inbox.drain_until(&mut work, None);
        let [Work::Input(DriverInput::Projection(report))] = &work[..] else {
            panic!("{work:?}")
        };
        assert_eq!(report.index, LogIndex(7));
        assert!(matches!(report.health, ProjectionHealth::Stopped(_)));
    }

    #[tokio::test]
    async fn the_ordinary_end_is_not_reported() {
        let (driver, inbox) = crate::queue::bounded(1);
        watched(async {}, &driver, &AtomicU64::new(7)).await;
        driver.close();
        let mut work = Vec::new();
        inbox.drain_until(&mut work, None);
        assert!(work.is_empty(), "{work:?}");
    }
}
