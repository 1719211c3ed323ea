//! The log: durable on return, one frame and one sync per group commit.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dmq_raft::{EntryId, HardState, LogIndex, Persist};

use crate::contents::Contents;
use crate::data_dir::DataDir;
use crate::disk::Disk;
use crate::error::{IoFailure, LogError, OpenError};
use crate::mutant;
use crate::plan::{Step, plan};
use crate::reader::LogReader;
use crate::recovery::{self, Recovered};
use crate::segment::Segment;
use crate::spare::SpareMaker;
use crate::writer::Writer;

/// How the log behaves.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Most spare segments that are kept; purged segments beyond that are removed. At least 1.
    pub spares_max: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { spares_max: 2 }
    }
}

/// What is durable, and where.
pub(crate) struct View<F> {
    /// What the log holds.
    pub(crate) contents: Contents,
    /// The segments that it lies in, by sequence.
    pub(crate) segments: BTreeMap<u64, Arc<Segment<F>>>,
}

/// The view that the writer and the readers share. Nobody holds it while waiting for the disk.
pub(crate) struct SharedView<F>(Arc<RwLock<View<F>>>);

impl<F> Clone for SharedView<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> SharedView<F> {
    /// For looking at it. A thread that panicked cannot have left it half changed.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, View<F>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the writer alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, View<F>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The durable Raft log of one member. One writer; readers by [`Log::reader`].
///
/// After [`LogError::Fatal`] every call returns the same error: what is on disk is unknown until the process
/// has ended and recovery has looked at it.
pub struct Log<D: Disk> {
    shared: SharedView<D::File>,
    spares: SpareMaker<D>,
    writer: Writer<D>,
    failed: Option<LogError>,
}

impl<D: Disk> Log<D> {
    /// Recovers the log of a data directory (DESIGN 6.2). On return everything that [`Recovered`] names is
    /// durable, and what was torn is gone.
    pub fn open(dir: &DataDir<D>, options: LogOptions) -> Result<(Self, Recovered), OpenError> {
        let found = recovery::recover(dir)?;
        let (path, spares_max) = (dir.log_path(), options.spares_max.max(1));
        let spares = SpareMaker::open(dir.disk(), &path, dir.segment_bytes(), spares_max);
        let spares = spares.map_err(IoFailure::on("list", &path))?;
        let shared = SharedView(Arc::new(RwLock::new(found.view)));
        let mut writer = Writer::new(
            dir.clone(),
            shared.clone(),
            spares.clone(),
            found.newest,
            found.tail,
        );
        writer.write_empty_frame()?;
        Ok((
            Self {
                shared,
                spares,
                writer,
                failed: None,
            },
            found.recovered,
        ))
    }

    /// Makes a group of writes durable, in order, in one frame and with one sync; in more only at the end of
    /// a segment. What is durable after a crash is always a prefix of the group.
    ///
    /// # Errors
    /// [`LogError::NoSpace`], [`LogError::Contract`], [`LogError::TooLarge`]: nothing was written.
    /// [`LogError::Fatal`]: the process must end.
    pub fn append(&mut self, batch: &[Persist]) -> Result<(), LogError> {
        self.check_usable()?;
        let steps = plan(&self.shared.read().contents, self.writer.position(), batch)?;
        let switches = steps
            .iter()
            .filter(|step| matches!(step, Step::Switch(_)))
            .count();
        self.ensure_spares(switches)?;
        let done = self.writer.execute(&steps);
        self.keep_failure(done.map_err(LogError::Fatal))
    }

    /// Protects the last frame by an empty one behind it, if it is not protected yet. Called after a short
    /// idle time: at most one acknowledged frame, the last one, could rot without being noticed.
    pub fn idle(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        let done = self.writer.write_empty_frame();
        self.keep_failure(done.map_err(LogError::Fatal))
    }

    /// The orderly stop: [`Self::idle`], then the log takes no more calls.
    pub fn close(&mut self) -> Result<(), LogError> {
        self.idle()?;
        self.failed = Some(LogError::Closed);
        Ok(())
    }

    /// Gives up whole segments, oldest first, in which no entry behind `up_to` is left; never the last one.
    /// Returns the new start point: the position before the first entry that is kept.
    pub fn purge(&mut self, up_to: LogIndex) -> Result<EntryId, LogError> {
        self.check_usable()?;
        while let Some(oldest) = self.purgeable(up_to) {
            // Readers must not be sent to a file that is about to become another segment.
            self.forget(&oldest);
            let done = self.spares.recycle(&oldest.path).map_err(LogError::Fatal);
            self.keep_failure(done)?;
        }
        Ok(self.start())
    }

    /// A reader of what is durable, for other threads.
    pub fn reader(&self) -> LogReader<D> {
        LogReader::new(self.shared.clone())
    }

    /// The maker of spare segments, for another thread.
    pub fn spares(&self) -> SpareMaker<D> {
        self.spares.clone()
    }

    /// Position before the first entry.
    pub fn start(&self) -> EntryId {
        self.shared.read().contents.start()
    }

    /// Position of the last durable entry.
    pub fn last(&self) -> EntryId {
        self.shared.read().contents.last()
    }

    /// Durable term and vote.
    pub fn hard_state(&self) -> HardState {
        self.shared.read().contents.hard_state
    }

    /// Size of the entries in bytes, as [`dmq_raft::Entry::size_bytes`] counts: what snapshot triggers use.
    pub fn size_bytes(&self) -> u64 {
        self.shared.read().contents.entries_bytes()
    }

    /// Number of segments, each of the same size.
    pub fn segments(&self) -> usize {
        self.shared.read().segments.len()
    }

    fn check_usable(&self) -> Result<(), LogError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// A failure of the disk is final; it is repeated, not retried.
    fn keep_failure(&mut self, done: Result<(), LogError>) -> Result<(), LogError> {
        if let Err(error @ LogError::Fatal(_)) = &done {
            self.failed = Some(error.clone());
        }
        done
    }

    /// All spares that a batch needs are there before its first byte is written: so `NoSpace` means that
    /// nothing happened.
    fn ensure_spares(&mut self, count: usize) -> Result<(), LogError> {
        let done = self.spares.ensure(count);
        self.keep_failure(done.map_err(LogError::from))
    }

    fn purgeable(&self, up_to: LogIndex) -> Option<Arc<Segment<D::File>>> {
        let view = self.shared.read();
        let (sequence, oldest) = view.segments.first_key_value()?;
        let is_last = view.segments.len() == 1;
        let needed = view
            .contents
            .last_within(*sequence)
            .is_some_and(|last| last > up_to && !mutant::is("purge-of-needed-entries"));
        (!is_last && !needed).then(|| Arc::clone(oldest))
    }

    fn forget(&self, oldest: &Segment<D::File>) {
        let mut view = self.shared.write();
        let start = view.contents.start_without(oldest.name.sequence + 1);
        view.contents.forget(start);
        view.segments.remove(&oldest.name.sequence);
    }
}
