//! Reads a whole log and checks every rule of DESIGN 6.2, without changing anything. Recovery and `log
//! verify` are built on it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contents::{Change, Contents, Slot};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Corruption, IoFailure, OpenError};
use crate::frame::{BLOCK, ChainEnd, FrameHeader};
use crate::identity::IdentityFile;
use crate::mutant;
use crate::record::Record;
use crate::segment::{
    BadSegment, FIRST_FRAME_OFFSET, SEGMENT_SUFFIX, Segment, SegmentHeader, SegmentName,
};
use crate::walk::{Frame, FrameWalk, PlacedRecord};

/// What was found.
pub(crate) struct Scan<F> {
    /// The log.
    pub(crate) contents: Contents,
    /// Its segments.
    pub(crate) segments: BTreeMap<u64, Arc<Segment<F>>>,
    /// The end of the newest segment.
    pub(crate) tail: Tail,
    /// Number of good frames.
    pub(crate) frames: u64,
}

/// The end of the newest segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// Where the first frame begins that is bad, or was never written. In bytes.
    pub(crate) offset: u64,
    /// The last good frame.
    pub(crate) end: ChainEnd,
    /// Whether it is an empty one.
    pub(crate) last_is_empty: bool,
    /// Whether a frame was begun behind the last good one.
    pub(crate) torn: bool,
    /// Where the good frames begin that nothing says are durable. In bytes.
    pub(crate) unsynced_offset: u64,
}

/// What a scan passes on its way.
pub(crate) enum Passed<'a> {
    /// A segment begins.
    Segment(&'a Path, SegmentName),
    /// A good frame.
    Frame(&'a Path, &'a Frame, &'a [PlacedRecord]),
}

/// Reads the log in `dir`. The newest segment is opened with `newest_access`, the others for reading.
pub(crate) fn scan<D: Disk>(
    disk: &D,
    dir: &Path,
    file: &IdentityFile,
    newest_access: Access,
    visit: &mut dyn FnMut(Passed<'_>),
) -> Result<Scan<D::File>, OpenError> {
    let names = segment_names(disk, dir)?;
    let mut scanner = Scanner {
        file,
        contents: Contents::default(),
        before: None,
        frames: 0,
        visit,
    };
    let mut segments = BTreeMap::new();
    let mut tail = None;
    for (position, name) in names.iter().enumerate() {
        let is_newest = position + 1 == names.len();
        let access = if is_newest {
            newest_access
        } else {
            Access::Read
        };
        let segment = open_segment(disk, dir, *name, file.segment_bytes, access)?;
        tail = Some(scanner.segment(&segment, is_newest)?);
        segments.insert(name.sequence, Arc::new(segment));
    }
    let Scanner {
        contents, frames, ..
    } = scanner;
    match tail {
        Some(tail) => Ok(Scan {
            contents,
            segments,
            tail,
            frames,
        }),
        None => Err(corrupt(dir, 0, "there is no segment, though `format` wrote one").into()),
    }
}

fn corrupt(file: &Path, offset: u64, reason: impl Into<String>) -> Corruption {
    Corruption {
        file: file.into(),
        offset,
        reason: reason.into(),
    }
}

/// The segments, oldest first; sequences have no gap.
fn segment_names<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<SegmentName>, OpenError> {
    let entries = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(corrupt(dir, 0, "the directory of the segments is missing").into());
        }
        other => other.map_err(IoFailure::on("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.name.ends_with(SEGMENT_SUFFIX))
    {
        let bad_name = || corrupt(&dir.join(&entry.name), 0, "not the name of a segment");
        names.push(SegmentName::parse(&entry.name).ok_or_else(bad_name)?);
    }
    names.sort();
    match names
        .windows(2)
        .find(|pair| pair[1].sequence != pair[0].sequence + 1)
    {
        Some(gap) => {
            let reason = format!(
                "segment {} must follow {}",
                gap[0].sequence + 1,
                gap[0].sequence
            );
            Err(corrupt(&gap[1].path(dir), 0, reason).into())
        }
        None => Ok(names),
    }
}

fn open_segment<D: Disk>(
    disk: &D,
    dir: &Path,
    name: SegmentName,
    segment_bytes: u64,
    access: Access,
) -> Result<Segment<D::File>, OpenError> {
    let path = name.path(dir);
    let file = disk
        .open(&path, access)
        .map_err(IoFailure::on("open", &path))?;
    let len = file.len().map_err(IoFailure::on("stat", &path))?;
    if len != segment_bytes {
        let reason = format!("has {len} bytes, a segment here has {segment_bytes}");
        return Err(corrupt(&path, len.min(segment_bytes), reason).into());
    }
    Ok(Segment { path, name, file })
}

struct Scanner<'a, 'v> {
    file: &'a IdentityFile,
    contents: Contents,
    /// Where the segment before ended; `None` before the oldest one.
    before: Option<(PathBuf, u64, ChainEnd)>,
    frames: u64,
    visit: &'v mut dyn FnMut(Passed<'_>),
}

impl Scanner<'_, '_> {
    fn segment<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        is_newest: bool,
    ) -> Result<Tail, OpenError> {
        let header = self.header(segment)?;
        (self.visit)(Passed::Segment(&segment.path, header.name));
        let IdentityFile {
            segment_bytes,
            header_seed,
            ..
        } = *self.file;
        let mut walk = FrameWalk::new(segment, segment_bytes, header_seed, header.previous);
        let frames = self.frames(segment, &mut walk)?;
        self.before = Some((segment.path.clone(), walk.offset, walk.end));
        let tail = Tail {
            offset: walk.offset,
            end: walk.end,
            last_is_empty: frames
                .last()
                .is_some_and(|(_, header)| header.body_bytes == 0),
            torn: false,
            unsynced_offset: walk.offset,
        };
        if !is_newest {
            return Ok(tail);
        }
        let behind = walk
            .synced_to_behind()
            .map_err(IoFailure::on("read", &segment.path))?;
        let synced_to = synced_to(segment, &walk, &frames, behind)?;
        let unsynced = frames.iter().find(|(_, header)| header.number > synced_to);
        let unsynced_offset = unsynced.map_or(walk.offset, |(at, _)| *at);
        Ok(Tail {
            torn: behind.is_some(),
            unsynced_offset,
            ..tail
        })
    }

    /// The header block; it must continue the chain of the segment before.
    fn header<F: DiskFile>(&self, segment: &Segment<F>) -> Result<SegmentHeader, OpenError> {
        let path = &segment.path;
        let mut block = vec![0; BLOCK];
        segment
            .file
            .read_exact_at(&mut block, 0)
            .map_err(IoFailure::on("read", path))?;
        let header =
            SegmentHeader::decode(&block, self.file.header_seed).map_err(|bad| match bad {
                BadSegment::Damaged => corrupt(path, 0, "the segment's header is damaged"),
                BadSegment::Version(found) => corrupt(
                    path,
                    0,
                    format!("format version {found} is not read by this binary"),
                ),
            })?;
        if header.name != segment.name {
            return Err(corrupt(path, 0, "the header names another segment").into());
        }
        if header.identity != self.file.identity {
            let reason = format!("belongs to another directory ({})", header.identity);
            return Err(corrupt(path, 0, reason).into());
        }
        self.check_chain(&header)?;
        Ok(header)
    }

    /// Where frames end early in an older segment, the next segment does not follow; the damage is named
    /// where it is.
    fn check_chain(&self, header: &SegmentHeader) -> Result<(), Corruption> {
        match &self.before {
            Some((path, offset, end)) if *end != header.previous => {
                let (found, wanted) = (end.number, header.previous.number);
                let reason = format!(
                    "the segment's good frames end with {found}, the next segment follows {wanted}"
                );
                Err(corrupt(path, *offset, reason))
            }
            _ => Ok(()),
        }
    }

    /// Takes all good frames.
    fn frames<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        walk: &mut FrameWalk<'_, F>,
    ) -> Result<Vec<(u64, FrameHeader)>, OpenError> {
        let path = &segment.path;
        let mut frames = Vec::new();
        while let Some(frame) = walk.next().map_err(IoFailure::on("read", path))? {
            let is_first = frames.is_empty();
            let here = |reason: &str| corrupt(path, frame.offset, reason);
            let records = frame
                .records()
                .ok_or_else(|| here("a frame that is not of records"))?;
            if is_first {
                check_head(segment.name, &records).map_err(here)?;
            }
            if !records.is_empty() && walk.offset >= self.file.segment_bytes {
                // The writer always leaves a block; without one the frame could never be protected.
                return Err(here("a frame that leaves no room for an empty one behind it").into());
            }
            self.take(segment.name, is_first, &records).map_err(here)?;
            (self.visit)(Passed::Frame(path, &frame, &records));
            frames.push((frame.offset, frame.header));
        }
        if frames.is_empty() {
            return Err(corrupt(path, FIRST_FRAME_OFFSET, "the first frame is damaged").into());
        }
        self.frames += frames.len() as u64;
        Ok(frames)
    }

    fn take(
        &mut self,
        name: SegmentName,
        is_first: bool,
        records: &[PlacedRecord],
    ) -> Result<(), &'static str> {
        for placed in records {
            let change = change_of(name, placed);
            let is_head = matches!(change, Change::StartAt(_) | Change::Configuration(..));
            if is_head && !is_first {
                return Err("a start point that is not in the first frame of a segment");
            }
            self.contents.apply(change)?;
        }
        Ok(())
    }
}

/// The last frame known to be durable. A bad frame at or below it is damage; behind it, torn.
fn synced_to<F: DiskFile>(
    segment: &Segment<F>,
    walk: &FrameWalk<'_, F>,
    frames: &[(u64, FrameHeader)],
    behind: Option<u64>,
) -> Result<u64, Corruption> {
    let good = frames.iter().map(|(_, header)| header.synced_to).max();
    let synced_to = good.max(behind).unwrap_or(0);
    let first_bad = walk.end.number + 1;
    if first_bad <= synced_to && !mutant::is("damage-taken-for-torn") {
        let reason = format!(
            "frame {first_bad} is damaged, and a later one says that frames up to {synced_to} \
             were durable"
        );
        return Err(corrupt(&segment.path, walk.offset, reason));
    }
    Ok(synced_to)
}

/// The first frame of a segment is exactly what [`crate::segment::SegmentHead`] writes.
fn check_head(name: SegmentName, records: &[PlacedRecord]) -> Result<(), &'static str> {
    let mut kinds = records.iter().map(|placed| &placed.record);
    match (kinds.next(), kinds.next(), kinds.next(), kinds.next()) {
        (
            Some(Record::HardState(_)),
            Some(Record::StartAt(start)),
            Some(Record::Configuration(..)),
            None,
        ) if start.index.next() == name.first_index => Ok(()),
        _ => Err("the first frame does not repeat hard state, start point and configuration"),
    }
}

/// What a record changes; entries stay where they lie.
fn change_of(name: SegmentName, placed: &PlacedRecord) -> Change {
    match &placed.record {
        Record::HardState(state) => Change::HardState(*state),
        Record::Truncate(from) => Change::Truncate(*from),
        Record::StartAt(at) => Change::StartAt(*at),
        Record::Configuration(index, configuration) => {
            Change::Configuration(*index, configuration.clone())
        }
        Record::Entry(entry) => {
            let slot = Slot {
                term: entry.term,
                segment: name.sequence,
                offset: u32::try_from(placed.offset).unwrap_or(u32::MAX),
                payload_bytes: u32::try_from(entry.payload.len()).unwrap_or(u32::MAX),
                crc: placed.crc,
                kind: entry.kind,
            };
            Change::Entry(entry.index, slot, placed.configuration.clone())
        }
    }
}
