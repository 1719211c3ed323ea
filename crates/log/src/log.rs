//! The log: durable on return, one frame and one sync per group commit.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use dmq_raft::{EntryId, HardState, LogIndex, Persist};

use crate::contents::{Change, Contents, Slot};
use crate::data_dir::DataDir;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{IoFailure, LogError, OpenError};
use crate::frame::{self, ChainEnd, FRAME_HEADER_BYTES};
use crate::plan::{Position, Step, plan};
use crate::reader::LogReader;
use crate::record::{self, Record};
use crate::recovery::{self, Recovered};
use crate::segment::{Segment, SegmentHead, SegmentHeader, SegmentName};
use crate::segment_writer::{self, Front};
use crate::spare::SpareMaker;

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

/// What the writer and the readers share.
pub(crate) struct View<F> {
    /// What is durable.
    pub(crate) contents: Contents,
    /// The segments that it lies in.
    pub(crate) segments: BTreeMap<u64, Arc<Segment<F>>>,
}

/// The durable Raft log of one member. One writer; readers by [`Log::reader`].
///
/// After [`LogError::Fatal`] every call returns the same error: what is on disk is unknown until the process
/// has ended and recovery has looked at it.
pub struct Log<D: Disk> {
    dir: DataDir<D>,
    shared: Arc<RwLock<View<D::File>>>,
    spares: SpareMaker<D>,
    writer: Writer<D::File>,
    failed: Option<LogError>,
}

/// The end of the newest segment.
pub(crate) struct Writer<F> {
    /// The newest segment.
    pub(crate) segment: Arc<Segment<F>>,
    /// Where its next frame goes, in bytes.
    pub(crate) offset: u64,
    /// The last frame.
    pub(crate) end: ChainEnd,
    /// Whether the last frame is an empty one, so that nothing acknowledged lies in it.
    pub(crate) last_is_empty: bool,
    /// The frame being built: room for the header, then records. Kept for its capacity.
    pub(crate) buffer: Vec<u8>,
    /// What the frame being built will change.
    pub(crate) changes: Vec<Change>,
}

impl<D: Disk> Log<D> {
    /// Recovers the log of a data directory (DESIGN 6.2). On return everything that [`Recovered`] names is
    /// durable, and what was torn is gone.
    pub fn open(dir: &DataDir<D>, options: LogOptions) -> Result<(Self, Recovered), OpenError> {
        let path = dir.log_path();
        let found = recovery::recover(dir)?;
        let spares_max = options.spares_max.max(1);
        let segment_bytes = dir.segment_bytes();
        let spares = SpareMaker::open(dir.disk(), &path, segment_bytes, spares_max)
            .map_err(IoFailure::on("list", &path))?;
        let mut log = Self {
            dir: dir.clone(),
            shared: Arc::new(RwLock::new(found.view)),
            spares,
            writer: found.writer,
            failed: None,
        };
        log.write_empty_frame()?;
        Ok((log, found.recovered))
    }

    /// Makes a group of writes durable, in order, in one frame and with one sync; in more only at the end of
    /// a segment. What is durable after a crash is always a prefix of the group.
    ///
    /// # Errors
    /// [`LogError::NoSpace`], [`LogError::Contract`], [`LogError::TooLarge`]: nothing was written.
    /// [`LogError::Fatal`]: the process must end.
    pub fn append(&mut self, batch: &[Persist]) -> Result<(), LogError> {
        self.check_usable()?;
        let shared = Arc::clone(&self.shared);
        let steps = {
            let view = shared.read().unwrap_or_else(PoisonError::into_inner);
            plan(&view.contents, self.position(), batch)?
        };
        let switches = steps
            .iter()
            .filter(|step| matches!(step, Step::Switch(_)))
            .count();
        self.ensure_spares(switches)?;
        let done = self.execute(&steps);
        self.keep_failure(done.map_err(LogError::Fatal))
    }

    /// Protects the last frame by an empty one behind it, if it is not protected yet. Called after a short
    /// idle time: at most one acknowledged frame, the last one, could rot without being noticed.
    pub fn idle(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        let done = self.write_empty_frame();
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
        LogReader::new(Arc::clone(&self.shared))
    }

    /// The maker of spare segments, for another thread.
    pub fn spares(&self) -> SpareMaker<D> {
        self.spares.clone()
    }

    /// Position before the first entry.
    pub fn start(&self) -> EntryId {
        self.read(Contents::start)
    }

    /// Position of the last durable entry.
    pub fn last(&self) -> EntryId {
        self.read(Contents::last)
    }

    /// Durable term and vote.
    pub fn hard_state(&self) -> HardState {
        self.read(|contents| contents.hard_state)
    }

    /// Size of the entries in bytes, as [`dmq_raft::Entry::size_bytes`] counts: what snapshot triggers use.
    pub fn size_bytes(&self) -> u64 {
        self.read(Contents::entries_bytes)
    }

    /// Number of segments, each of the same size.
    pub fn segments(&self) -> usize {
        self.shared
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .segments
            .len()
    }

    fn read<T>(&self, what: impl FnOnce(&Contents) -> T) -> T {
        what(
            &self
                .shared
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contents,
        )
    }

    fn write(&self) -> RwLockWriteGuard<'_, View<D::File>> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self) -> Position {
        Position {
            segment_bytes: self.dir.segment_bytes(),
            offset: self.writer.offset,
            first_index: self.writer.segment.name.first_index,
        }
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

    fn execute(&mut self, steps: &[Step<'_>]) -> Result<(), IoFailure> {
        for step in steps {
            match step {
                Step::Entry(entry, configuration) => {
                    let at = self.writer.buffer.len();
                    record::encode_entry(entry, &mut self.writer.buffer);
                    let slot = self.slot(entry, at);
                    let change = Change::Entry(entry.index, slot, configuration.clone());
                    self.writer.changes.push(change);
                }
                Step::HardState(state) => {
                    self.add(&Record::HardState(*state), Change::HardState(*state));
                }
                Step::Truncate(from) => self.add(&Record::Truncate(*from), Change::Truncate(*from)),
                Step::Switch(head) => {
                    self.write_frame()?;
                    self.switch(head)?;
                }
            }
        }
        self.write_frame()
    }

    fn add(&mut self, record: &Record, change: Change) {
        record::encode(record, &mut self.writer.buffer);
        self.writer.changes.push(change);
    }

    fn slot(&self, entry: &dmq_raft::Entry, at: usize) -> Slot {
        let offset = self.writer.offset + at as u64;
        Slot {
            term: entry.term,
            segment: self.writer.segment.name.sequence,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            payload_bytes: u32::try_from(entry.payload.len()).unwrap_or(u32::MAX),
            crc: crc32c::crc32c(&self.writer.buffer[at..]),
            kind: entry.kind,
        }
    }

    /// Writes and syncs the frame that was built, if it has records.
    fn write_frame(&mut self) -> Result<(), IoFailure> {
        if self.writer.buffer.len() == FRAME_HEADER_BYTES {
            return Ok(());
        }
        self.seal_and_sync()?;
        self.writer.last_is_empty = false;
        self.publish()
    }

    fn write_empty_frame(&mut self) -> Result<(), IoFailure> {
        if self.writer.last_is_empty {
            return Ok(());
        }
        debug_assert_eq!(self.writer.buffer.len(), FRAME_HEADER_BYTES);
        self.seal_and_sync()?;
        self.writer.last_is_empty = true;
        Ok(())
    }

    fn seal_and_sync(&mut self) -> Result<(), IoFailure> {
        let seed = self.dir.identity_file().header_seed;
        let writer = &mut self.writer;
        let Segment { path, name, file } = &*writer.segment;
        let end = frame::seal(&mut writer.buffer, seed, name.sequence, writer.end);
        debug_assert!(writer.offset + writer.buffer.len() as u64 <= self.dir.segment_bytes());
        file.write_at(&writer.buffer, writer.offset)
            .map_err(IoFailure::on("write", path))?;
        file.sync().map_err(IoFailure::on("sync", path))?;
        writer.offset += writer.buffer.len() as u64;
        writer.end = end;
        writer.buffer.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }

    /// Shows readers what has become durable. The plan has checked every change; were one refused all the
    /// same, disk and memory would differ, which nothing may build on.
    fn publish(&mut self) -> Result<(), IoFailure> {
        let changes = std::mem::take(&mut self.writer.changes);
        let mut view = self.write();
        for change in changes {
            if let Err(rule) = view.contents.apply(change) {
                let error = std::io::Error::other(rule);
                return Err(IoFailure::new(
                    "apply a record of",
                    &self.writer.segment.path,
                    &error,
                ));
            }
        }
        Ok(())
    }

    /// Goes to a new segment, in the order of DESIGN 6.2: sync the old one; write header and first frame
    /// into a spare; sync it; rename it; sync the directory.
    fn switch(&mut self, head: &SegmentHead) -> Result<(), IoFailure> {
        let old = Arc::clone(&self.writer.segment);
        old.file.sync().map_err(IoFailure::on("sync", &old.path))?;
        let name = SegmentName {
            sequence: old.name.sequence + 1,
            first_index: head.start.index.next(),
        };
        let identity = self.dir.identity().clone();
        let header = SegmentHeader {
            name,
            previous: self.writer.end,
            identity,
        };
        let front = segment_writer::front(&header, head, self.dir.identity_file().header_seed);
        let segment = self.place(name, &front)?;
        self.writer.segment = Arc::new(segment);
        self.writer.offset = front.bytes.len() as u64;
        self.writer.end = front.end;
        self.writer.last_is_empty = false;
        self.write()
            .segments
            .insert(name.sequence, Arc::clone(&self.writer.segment));
        self.writer.changes.extend(front.changes);
        self.publish()
    }

    fn place(&self, name: SegmentName, front: &Front) -> Result<Segment<D::File>, IoFailure> {
        let (disk, dir) = (self.dir.disk(), self.dir.log_path());
        let missing = || IoFailure::new("take", &dir, &std::io::ErrorKind::NotFound.into());
        let spare = self.spares.take().ok_or_else(missing)?;
        let file = disk
            .open(&spare, Access::Write)
            .map_err(IoFailure::on("open", &spare))?;
        file.write_at(&front.bytes, 0)
            .map_err(IoFailure::on("write", &spare))?;
        file.sync().map_err(IoFailure::on("sync", &spare))?;
        let path = name.path(&dir);
        disk.rename(&spare, &path)
            .map_err(IoFailure::on("rename", &spare))?;
        disk.sync_dir(&dir).map_err(IoFailure::on("sync", &dir))?;
        Ok(Segment { path, name, file })
    }

    fn purgeable(&self, up_to: LogIndex) -> Option<Arc<Segment<D::File>>> {
        let view = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let (sequence, oldest) = view.segments.first_key_value()?;
        let is_last = view.segments.len() == 1;
        let needed = view
            .contents
            .last_within(*sequence)
            .is_some_and(|last| last > up_to);
        (!is_last && !needed).then(|| Arc::clone(oldest))
    }

    fn forget(&self, oldest: &Segment<D::File>) {
        let mut view = self.write();
        let start = view.contents.start_without(oldest.name.sequence + 1);
        view.contents.forget(start);
        view.segments.remove(&oldest.name.sequence);
    }
}
