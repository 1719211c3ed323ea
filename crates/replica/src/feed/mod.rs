//! The projector feed: decides what the database gets next and when, and never asks it for anything
//! (DESIGN 6.3, 6.4). The shell carries the work out and tells how it ended.
//!
//! Change sets leave here only up to min(committed, locally durable): what is derived from the log never
//! knows more than the log does after a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use dmq_raft::LogIndex;

use crate::mutant;
use crate::{
    ChangeSet, FeedInput, FeedStart, ProjectionHealth, ProjectionReport, StoreResult, View,
};

/// A batch takes further entries until it has so many rows; one entry may have more.
pub const BATCH_ROWS: usize = 1_024;
/// Bytes of queued change sets above which the image is copied instead.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Work for the projector, one piece at a time.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once")]
pub enum FeedWork {
    /// Write this batch in one transaction.
    Apply(FeedBatch),
    /// Replace everything by this image in one transaction.
    Rebuild(View),
}

/// Consecutive entries for one transaction.
#[derive(Clone, Debug)]
pub struct FeedBatch {
    /// The store's position before it: the transaction checks it. The first set is right behind it.
    pub expected: LogIndex,
    /// The entries in order; never empty. What holds after the batch stands in the last one.
    pub sets: Vec<Arc<ChangeSet>>,
}

impl FeedBatch {
    /// The last entry, which has the position, hash and configuration after the batch.
    pub fn last(&self) -> Option<&ChangeSet> {
        self.sets.last().map(|set| &**set)
    }
}

/// The part of a member that feeds the projector.
#[derive(Debug)]
pub struct ProjectorFeed {
    state: State,
    /// Where the store is, as far as it is known.
    position: LogIndex,
    durable: LogIndex,
    queue: VecDeque<Arc<ChangeSet>>,
    queue_bytes: usize,
    queue_bytes_max: usize,
    /// The newest image, after the last change set that arrived.
    view: View,
    /// Where the store will be when the work given out is done.
    in_flight: Option<LogIndex>,
    reported: Option<ProjectionReport>,
}

#[derive(Clone, Debug)]
enum State {
    /// No store yet, or it is not reachable.
    Down,
    /// Batches follow each other.
    Following,
    /// This image is to be copied as soon as its index is durable.
    Copying(Box<View>),
    Stopped(String),
}

impl ProjectorFeed {
    /// A feed behind an applier that starts with this view.
    pub fn new(view: View) -> Self {
        Self {
            state: State::Down,
            position: LogIndex(0),
            durable: LogIndex(0),
            queue: VecDeque::new(),
            queue_bytes: 0,
            queue_bytes_max: QUEUE_BYTES_MAX,
            view,
            in_flight: None,
            reported: None,
        }
    }

    /// Takes a message.
    pub fn handle(&mut self, input: FeedInput) {
        match input {
            FeedInput::Start(start) => self.start(start),
            FeedInput::Durable(index) => self.durable = index,
            FeedInput::Changes { sets, view } => self.changes(sets, view),
            FeedInput::Replaced(view) => self.replaced(view),
            FeedInput::Stored(result) => self.stored(result),
        }
    }

    /// The next piece of work, if there is one; it is out until [`FeedInput::Stored`].
    pub fn next_work(&mut self) -> Option<FeedWork> {
        if self.in_flight.is_some() {
            return None;
        }
        if matches!(self.state, State::Following) && self.is_gap() {
            self.state = State::Copying(Box::new(self.view.clone()));
        }
        match &self.state {
            State::Following => self.next_batch().map(FeedWork::Apply),
            State::Copying(view)
                if view.last.index <= self.durable || mutant::is("copy-past-durable") =>
            {
                self.in_flight = Some(view.last.index);
                Some(FeedWork::Rebuild(View::clone(view)))
            }
            State::Copying(_) | State::Down | State::Stopped(_) => None,
        }
    }

    /// Position and health, if they changed since the last call.
    pub fn report(&mut self) -> Option<ProjectionReport> {
        let health = match &self.state {
            State::Down => ProjectionHealth::Down,
            State::Following => ProjectionHealth::Healthy,
            State::Copying(_) => ProjectionHealth::Rebuilding,
            State::Stopped(reason) => ProjectionHealth::Stopped(reason.clone()),
        };
        let report = ProjectionReport {
            index: self.position,
            health,
        };
        if self.reported.as_ref() == Some(&report) {
            return None;
        }
        self.reported = Some(report.clone());
        Some(report)
    }

    /// Change sets can be handed out for every entry behind this index: for judging a store that is
    /// opened again.
    pub fn changes_after(&self) -> LogIndex {
        self.queue
            .front()
            .map_or(self.view.last.index, |set| set.id.index.previous())
    }

    /// Bytes of change sets that wait.
    pub fn queued_bytes(&self) -> usize {
        self.queue_bytes
    }

    fn start(&mut self, start: FeedStart) {
        if matches!(self.state, State::Stopped(_)) {
            return;
        }
        self.in_flight = None;
        match start {
            FeedStart::Resume { at } => {
                self.position = at;
                self.state = State::Following;
                self.forget_up_to(at);
            }
            FeedStart::Rebuild => {
                self.position = LogIndex(0);
                self.state = State::Copying(Box::new(self.view.clone()));
            }
            FeedStart::Stop(reason) => self.stop(reason),
        }
    }

    fn changes(&mut self, sets: Vec<ChangeSet>, view: View) {
        self.view = view;
        if matches!(self.state, State::Stopped(_)) {
            return;
        }
        let known = match self.state {
            State::Following => self.position,
            _ => LogIndex(0),
        };
        let news = sets.into_iter().filter(|set| set.id.index > known);
        for set in news {
            self.queue_bytes += set.size_bytes;
            self.queue.push_back(Arc::new(set));
        }
        if self.queue_bytes > self.queue_bytes_max {
            self.forget_all();
        }
    }

    /// The changes between the store and this image do not exist.
    fn replaced(&mut self, view: View) {
        self.view = view;
        self.forget_all();
        if let State::Copying(pinned) = &mut self.state
            && self.in_flight.is_none()
        {
            **pinned = self.view.clone();
        }
    }

    fn stored(&mut self, result: StoreResult) {
        let in_flight = self.in_flight.take();
        match result {
            StoreResult::Done => {
                let Some(reached) = in_flight else {
                    return;
                };
                self.position = reached;
                self.forget_up_to(reached);
                if matches!(self.state, State::Copying(_)) {
                    self.state = State::Following;
                }
            }
            StoreResult::Unavailable(_) => self.state = State::Down,
            StoreResult::Stopped(reason) => self.stop(reason),
        }
    }

    fn stop(&mut self, reason: String) {
        self.state = State::Stopped(reason);
        self.forget_all();
    }

    /// Whether the change set behind the store's position will never come.
    fn is_gap(&self) -> bool {
        let next = self
            .queue
            .front()
            .map_or(self.view.last.index.next(), |set| set.id.index);
        self.position.next() < next && !mutant::is("projection-gap-ignored")
    }

    /// A batch of what is durable. The sets stay here until the store has them.
    fn next_batch(&mut self) -> Option<FeedBatch> {
        let mut rows = 0;
        let durable = self.durable;
        let count = self
            .queue
            .iter()
            .take_while(|set| {
                let is_durable = set.id.index <= durable || mutant::is("projection-past-durable");
                let fits = rows < BATCH_ROWS && is_durable;
                rows += set.changes.rows.len();
                fits
            })
            .count();
        let sets: Vec<_> = self.queue.iter().take(count).cloned().collect();
        self.in_flight = Some(sets.last()?.id.index);
        Some(FeedBatch {
            expected: self.position,
            sets,
        })
    }

    fn forget_up_to(&mut self, index: LogIndex) {
        while self.queue.front().is_some_and(|set| set.id.index <= index) {
            let set = self.queue.pop_front();
            self.queue_bytes -= set.map_or(0, |set| set.size_bytes);
        }
    }

    fn forget_all(&mut self) {
        self.queue.clear();
        self.queue_bytes = 0;
    }
}

#[cfg(test)]
mod tests;
