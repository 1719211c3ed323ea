//! Does what was planned: builds frames, writes and syncs them, goes to the next segment.

use std::io;
use std::sync::Arc;

use dmq_raft::Entry;

use crate::contents::{Change, Slot};
use crate::crash_point::reach;
use crate::data_dir::DataDir;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::IoFailure;
use crate::frame::{self, ChainEnd, FRAME_HEADER_BYTES};
use crate::log::SharedView;
use crate::mutant;
use crate::plan::{Position, Step};
use crate::record::{self, Record};
use crate::scan::Tail;
use crate::segment::{Segment, SegmentHead, SegmentHeader, SegmentName};
use crate::segment_writer::{self, Front};
use crate::spare::SpareMaker;

/// The end of the newest segment. After an error it is not to be used any more.
pub(crate) struct Writer<D: Disk> {
    dir: DataDir<D>,
    shared: SharedView<D::File>,
    spares: SpareMaker<D>,
    segment: Arc<Segment<D::File>>,
    /// Where the next frame goes, in bytes.
    offset: u64,
    /// The last frame.
    end: ChainEnd,
    /// Whether the last frame is an empty one, so that nothing acknowledged lies in it.
    last_is_empty: bool,
    /// The frame being built: room for the header, then records. Kept for its capacity.
    buffer: Vec<u8>,
    /// What the frame being built will change.
    changes: Vec<Change>,
}

impl<D: Disk> Writer<D> {
    /// Goes on behind the last good frame.
    pub(crate) fn new(
        dir: DataDir<D>,
        shared: SharedView<D::File>,
        spares: SpareMaker<D>,
        segment: Arc<Segment<D::File>>,
        tail: Tail,
    ) -> Self {
        Self {
            dir,
            shared,
            spares,
            segment,
            offset: tail.offset,
            end: tail.end,
            last_is_empty: tail.last_is_empty,
            buffer: vec![0; FRAME_HEADER_BYTES],
            changes: Vec::new(),
        }
    }

    /// Where the next frame goes.
    pub(crate) fn position(&self) -> Position {
        Position {
            segment_bytes: self.dir.segment_bytes(),
            offset: self.offset,
            first_index: self.segment.name.first_index,
        }
    }

    /// Takes the steps in order. On return everything is durable, and readers see it.
    pub(crate) fn execute(&mut self, steps: &[Step<'_>]) -> Result<(), IoFailure> {
        for step in steps {
            match step {
                Step::Entry(entry, configuration) => {
                    let slot = self.add_entry(entry);
                    let change = Change::Entry(entry.index, slot, configuration.clone());
                    self.changes.push(change);
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

    /// Writes an empty frame, unless the last one is empty.
    pub(crate) fn write_empty_frame(&mut self) -> Result<(), IoFailure> {
        if self.last_is_empty {
            return Ok(());
        }
        debug_assert_eq!(self.buffer.len(), FRAME_HEADER_BYTES);
        self.seal_and_sync()?;
        self.last_is_empty = true;
        Ok(())
    }

    fn add(&mut self, record: &Record, change: Change) {
        record::encode(record, &mut self.buffer);
        self.changes.push(change);
    }

    fn add_entry(&mut self, entry: &Entry) -> Slot {
        let at = self.buffer.len();
        record::encode_entry(entry, &mut self.buffer);
        let offset = self.offset + at as u64;
        Slot {
            term: entry.term,
            segment: self.segment.name.sequence,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            payload_bytes: u32::try_from(entry.payload.len()).unwrap_or(u32::MAX),
            crc: crc32c::crc32c(&self.buffer[at..]),
            kind: entry.kind,
        }
    }

    /// Writes and syncs the frame that was built, if it has records.
    fn write_frame(&mut self) -> Result<(), IoFailure> {
        if self.buffer.len() == FRAME_HEADER_BYTES {
            return Ok(());
        }
        self.seal_and_sync()?;
        self.last_is_empty = false;
        self.publish()
    }

    /// The one write and the one sync of a group commit.
    fn seal_and_sync(&mut self) -> Result<(), IoFailure> {
        let seed = self.dir.identity_file().header_seed;
        let Segment { path, name, file } = &*self.segment;
        let end = frame::seal(&mut self.buffer, seed, name.sequence, self.end);
        debug_assert!(self.offset + self.buffer.len() as u64 <= self.dir.segment_bytes());
        reach("frame-built").map_err(IoFailure::on("write", path))?;
        let written = file.write_at(&self.buffer, self.offset);
        written.map_err(IoFailure::on("write", path))?;
        self.pass(["frame-written", "hard-state-written"])?;
        sync_frame(file).map_err(IoFailure::on("sync", path))?;
        self.pass(["frame-synced", "hard-state-synced"])?;
        self.offset += self.buffer.len() as u64;
        self.end = end;
        self.buffer.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }

    /// Passes the first point; the second too if the frame holds term and vote.
    fn pass(&self, points: [&'static str; 2]) -> Result<(), IoFailure> {
        let is_hard_state = |change: &Change| matches!(change, Change::HardState(_));
        let count = 1 + usize::from(self.changes.iter().any(is_hard_state));
        let path = &self.segment.path;
        points[..count]
            .iter()
            .try_for_each(|point| reach(point).map_err(IoFailure::on("sync", path)))
    }

    /// Shows readers what has become durable. The plan has checked every change; were one refused all the
    /// same, disk and memory would differ, which nothing may build on.
    fn publish(&mut self) -> Result<(), IoFailure> {
        let mut view = self.shared.write();
        for change in self.changes.drain(..) {
            view.contents.apply(change).map_err(|rule| {
                let error = io::Error::other(rule);
                IoFailure::new("apply a record of", &self.segment.path, &error)
            })?;
        }
        Ok(())
    }

    /// Goes to a new segment, in the order of DESIGN 6.2: sync the old one; write header and first frame
    /// into a spare; sync it; rename it; sync the directory.
    fn switch(&mut self, head: &SegmentHead) -> Result<(), IoFailure> {
        let old = &*self.segment;
        old.file.sync().map_err(IoFailure::on("sync", &old.path))?;
        reach("switch-old-synced").map_err(IoFailure::on("sync", &old.path))?;
        let sequence = old.name.sequence + 1;
        let name = SegmentName {
            sequence,
            first_index: head.start.index.next(),
        };
        let identity = self.dir.identity().clone();
        let header = SegmentHeader {
            name,
            previous: self.end,
            identity,
        };
        let front = segment_writer::front(&header, head, self.dir.identity_file().header_seed);
        self.segment = Arc::new(self.place(name, &front)?);
        self.offset = front.bytes.len() as u64;
        self.end = front.end;
        self.last_is_empty = false;
        let segment = Arc::clone(&self.segment);
        self.shared.write().segments.insert(sequence, segment);
        self.changes.extend(front.changes);
        self.publish()
    }

    fn place(&self, name: SegmentName, front: &Front) -> Result<Segment<D::File>, IoFailure> {
        let (disk, dir) = (self.dir.disk(), self.dir.log_path());
        let missing = || IoFailure::new("take", &dir, &io::ErrorKind::NotFound.into());
        let spare = self.spares.take().ok_or_else(missing)?;
        let on = |operation| IoFailure::on(operation, &spare);
        let file = disk.open(&spare, Access::Write).map_err(on("open"))?;
        file.write_at(&front.bytes, 0).map_err(on("write"))?;
        reach("switch-front-written").map_err(on("sync"))?;
        if !mutant::is("segment-not-synced") {
            file.sync().map_err(on("sync"))?;
        }
        reach("switch-front-synced").map_err(on("sync"))?;
        let path = name.path(&dir);
        disk.rename(&spare, &path).map_err(on("rename"))?;
        reach("switch-renamed").map_err(on("rename"))?;
        if !mutant::is("segment-name-not-synced") {
            disk.sync_dir(&dir).map_err(IoFailure::on("sync", &dir))?;
        }
        reach("switch-named").map_err(IoFailure::on("sync", &dir))?;
        Ok(Segment { path, name, file })
    }
}

fn sync_frame<F: DiskFile>(file: &F) -> io::Result<()> {
    if mutant::is("frame-not-synced") {
        return Ok(());
    }
    match file.sync() {
        Err(_) if mutant::is("sync-error-retried") => file.sync(),
        done => done,
    }
}
