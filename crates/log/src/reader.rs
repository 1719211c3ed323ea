//! Reads entries while the writer appends.

use std::ops::RangeInclusive;
use std::sync::Arc;

use dmq_raft::{ENTRY_OVERHEAD_BYTES, Entry, EntryId, LogIndex, Term};

use crate::contents::{Contents, Slot};
use crate::disk::{Disk, DiskFile};
use crate::error::{Corruption, IoFailure, ReadError};
use crate::log::SharedView;
use crate::mutant;
use crate::record::{self, RECORD_HEADER_BYTES, Record};
use crate::segment::Segment;

/// One read from the disk covers at most this many bytes.
const PIECE_BYTES: u32 = 1 << 20;

/// Reads durable entries; cheap to clone, for any thread. The writer never waits for the disk on behalf of a
/// reader, nor a reader for the writer's syncs.
pub struct LogReader<D: Disk> {
    shared: SharedView<D::File>,
}

impl<D: Disk> Clone for LogReader<D> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

/// Entries that lie in one segment, close enough for one read.
struct Piece<F> {
    segment: Arc<Segment<F>>,
    first: LogIndex,
    slots: Vec<Slot>,
}

/// Why a piece was not what the slots say.
enum Mismatch {
    Io(IoFailure),
    Bytes { offset: u32 },
}

impl<D: Disk> LogReader<D> {
    pub(crate) fn new(shared: SharedView<D::File>) -> Self {
        Self { shared }
    }

    /// Reads consecutive entries from the front of the range: at least one, then as many as are durable and
    /// fit into `max_bytes`, counted by [`Entry::size_bytes`]. An empty range reads nothing.
    pub fn read(
        &self,
        range: RangeInclusive<LogIndex>,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        let (mut next, end) = (*range.start(), *range.end());
        let mut left = max_bytes;
        while next <= end {
            let piece = match self.piece(next, end, left, entries.is_empty()) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // Later pieces are a bonus: what was read so far is still good.
                Err(_) if !entries.is_empty() => break,
                Err(error) => return Err(error),
            };
            let Some(read) = self.read_piece(&piece)? else {
                continue;
            };
            left = left.saturating_sub(read.iter().map(Entry::size_bytes).sum());
            next = LogIndex(next.0 + read.len() as u64);
            entries.extend(read);
        }
        Ok(entries)
    }

    /// Term of a durable entry, or of the start point.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.shared.read().contents.term_at(index)
    }

    /// Position before the first entry.
    pub fn start(&self) -> EntryId {
        self.shared.read().contents.start()
    }

    /// Position of the last durable entry; the start point if there is none.
    pub fn last(&self) -> EntryId {
        self.shared.read().contents.last()
    }

    /// Which entries to read next, and where from. `None` if not even one fits.
    fn piece(
        &self,
        first: LogIndex,
        end: LogIndex,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Option<Piece<D::File>>, ReadError> {
        let view = self.shared.read();
        let contents = &view.contents;
        let front = contents
            .slot(first)
            .ok_or_else(|| missing(contents, first))?;
        let mut left = max_bytes;
        let mut slots = Vec::new();
        let mut index = first;
        while let Some(slot) = contents.slot(index).filter(|_| index <= end) {
            let size = slot.payload_bytes as usize + ENTRY_OVERHEAD_BYTES;
            let far = slot.segment != front.segment || slot.offset - front.offset > PIECE_BYTES;
            let is_first = at_least_one && slots.is_empty();
            if far || (size > left && !is_first) {
                break;
            }
            left = left.saturating_sub(size);
            slots.push(*slot);
            index = index.next();
        }
        let segment = view.segments.get(&front.segment);
        let segment = segment.ok_or_else(|| missing(contents, first))?;
        let piece = Piece {
            segment: Arc::clone(segment),
            first,
            slots,
        };
        Ok((!piece.slots.is_empty()).then_some(piece))
    }

    /// `None` if the piece changed while it was being read: its segment was purged and became another one.
    fn read_piece(&self, piece: &Piece<D::File>) -> Result<Option<Vec<Entry>>, ReadError> {
        match decode_piece(piece) {
            Ok(entries) => Ok(Some(entries)),
            Err(_) if !self.is_current(piece) => Ok(None),
            Err(Mismatch::Io(failure)) => Err(failure.into()),
            Err(Mismatch::Bytes { offset }) => Err(ReadError::Corrupt(Corruption {
                file: piece.segment.path.clone(),
                offset: offset.into(),
                reason: "an entry is not what was written".into(),
            })),
        }
    }

    fn is_current(&self, piece: &Piece<D::File>) -> bool {
        let view = self.shared.read();
        let indexes = (piece.first.0..).map(LogIndex);
        indexes
            .zip(&piece.slots)
            .all(|(index, slot)| view.contents.slot(index) == Some(slot))
    }
}

fn missing(contents: &Contents, index: LogIndex) -> ReadError {
    if index <= contents.start().index {
        ReadError::Compacted {
            start: contents.start(),
        }
    } else {
        ReadError::Beyond {
            last: contents.last(),
        }
    }
}

fn decode_piece<F: DiskFile>(piece: &Piece<F>) -> Result<Vec<Entry>, Mismatch> {
    let (Some(front), Some(back)) = (piece.slots.first(), piece.slots.last()) else {
        return Ok(Vec::new());
    };
    let len = (back.offset - front.offset) as usize + record_bytes(back);
    let mut bytes = vec![0; len];
    let Segment { file, path, .. } = &*piece.segment;
    let read = file.read_exact_at(&mut bytes, front.offset.into());
    read.map_err(|error| Mismatch::Io(IoFailure::new("read", path, &error)))?;
    let indexes = (piece.first.0..).map(LogIndex);
    let decode = |(index, slot): (LogIndex, &Slot)| {
        let at = (slot.offset - front.offset) as usize;
        let record = &bytes[at..at + record_bytes(slot)];
        decode_entry(record, index, slot).ok_or(Mismatch::Bytes {
            offset: slot.offset,
        })
    };
    indexes.zip(&piece.slots).map(decode).collect()
}

/// The entry, if its bytes are those that were known to be good.
fn decode_entry(bytes: &[u8], index: LogIndex, slot: &Slot) -> Option<Entry> {
    if crc32c::crc32c(bytes) != slot.crc && !mutant::is("read-checksum-ignored") {
        return None;
    }
    match record::decode(bytes)? {
        (Record::Entry(entry), _) if entry.id() == EntryId::new(slot.term, index) => Some(entry),
        _ => None,
    }
}

fn record_bytes(slot: &Slot) -> usize {
    RECORD_HEADER_BYTES + slot.payload_bytes as usize
}
