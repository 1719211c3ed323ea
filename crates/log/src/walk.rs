//! Walks the frames of one segment, and looks behind the first bad one.

use std::io;

use dmq_raft::{Configuration, EntryKind};

use crate::codec::Fields;
use crate::disk::DiskFile;
use crate::error::IoFailure;
use crate::frame::{BLOCK, BLOCK_BYTES, ChainEnd, FRAME_HEADER_BYTES, FrameHeader};
use crate::mutant;
use crate::record::{self, Record};
use crate::segment::{FIRST_FRAME_OFFSET, Segment};

/// The tail of a segment is read in windows of this size.
const WINDOW_BYTES: u64 = 1 << 20;

/// A frame that is whole and the next one in the chain.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// Its header.
    pub(crate) header: FrameHeader,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// A record and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct PlacedRecord {
    /// Offset in the segment, in bytes.
    pub(crate) offset: u64,
    /// CRC32C of its bytes.
    pub(crate) crc: u32,
    /// The record.
    pub(crate) record: Record,
    /// The configuration that it brings, if it is such an entry.
    pub(crate) configuration: Option<Configuration>,
}

/// Steps through the frames of a segment.
pub(crate) struct FrameWalk<'a, F> {
    file: &'a F,
    sequence: u64,
    seed: u64,
    segment_bytes: u64,
    /// Where the next frame would begin.
    pub(crate) offset: u64,
    /// The last good frame.
    pub(crate) end: ChainEnd,
}

impl<'a, F: DiskFile> FrameWalk<'a, F> {
    /// Begins at the first frame, which follows `end`.
    pub(crate) fn new(
        segment: &'a Segment<F>,
        segment_bytes: u64,
        seed: u64,
        end: ChainEnd,
    ) -> Self {
        let sequence = segment.name.sequence;
        Self {
            file: &segment.file,
            sequence,
            seed,
            segment_bytes,
            offset: FIRST_FRAME_OFFSET,
            end,
        }
    }

    /// The next frame; `None` at the first bad one, or at the end of the segment.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        if self.offset >= self.segment_bytes {
            return Ok(None);
        }
        let mut block = vec![0; BLOCK];
        self.file.read_exact_at(&mut block, self.offset)?;
        let Some((header, crc)) = FrameHeader::decode(&block[..FRAME_HEADER_BYTES], self.seed)
        else {
            return Ok(None);
        };
        if !self.follows(&header) {
            return Ok(None);
        }
        let Some(body) = self.read_body(&header, block)? else {
            return Ok(None);
        };
        let frame = Frame {
            offset: self.offset,
            header,
            body,
        };
        self.offset += header.frame_bytes();
        self.end = ChainEnd {
            number: header.number,
            crc,
        };
        Ok(Some(frame))
    }

    fn follows(&self, header: &FrameHeader) -> bool {
        header.sequence == self.sequence
            && header.number == self.end.number + 1
            && header.previous_crc == self.end.crc.0
            && header.synced_to < header.number
            && header.frame_bytes() <= self.segment_bytes - self.offset
    }

    fn read_body(&self, header: &FrameHeader, mut block: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let end = FRAME_HEADER_BYTES + header.body_bytes as usize;
        if end > BLOCK {
            block.resize(end, 0);
            self.file
                .read_exact_at(&mut block[BLOCK..], self.offset + BLOCK_BYTES)?;
        }
        let body = block[FRAME_HEADER_BYTES..end].to_vec();
        let is_good = crc32c::crc32c(&body) == header.body_crc;
        Ok((is_good || mutant::is("body-checksum-ignored")).then_some(body))
    }

    /// The largest `synced_to` of any header of this segment from here on. The frames behind a bad one are
    /// not to be trusted, but what they say had become durable did.
    pub(crate) fn synced_to_behind(&self) -> io::Result<Option<u64>> {
        let mut largest = None;
        for_windows(self.file, self.offset, self.segment_bytes, |_, window| {
            for block in window.chunks_exact(BLOCK) {
                if let Some((header, _)) =
                    FrameHeader::decode(&block[..FRAME_HEADER_BYTES], self.seed)
                    && header.sequence == self.sequence
                {
                    largest = largest.max(Some(header.synced_to));
                }
            }
            Ok(())
        })?;
        Ok(largest)
    }
}

impl Frame {
    /// The records of the body; `None` if it does not consist of records.
    pub(crate) fn records(&self) -> Option<Vec<PlacedRecord>> {
        let mut records = Vec::new();
        let mut rest = Fields(&self.body);
        while !rest.is_empty() {
            let at = self.body.len() - rest.0.len();
            let (record, len) = record::decode(rest.0)?;
            let crc = crc32c::crc32c(rest.bytes(len)?);
            let offset = self.offset + (FRAME_HEADER_BYTES + at) as u64;
            let configuration = configuration_of(&record)?;
            records.push(PlacedRecord {
                offset,
                crc,
                record,
                configuration,
            });
        }
        Some(records)
    }
}

/// The configuration of an entry that is one; `None` if it should be one and does not decode.
#[expect(
    clippy::option_option,
    reason = "outside: whether it decodes; inside: whether it is one"
)]
fn configuration_of(record: &Record) -> Option<Option<Configuration>> {
    match record {
        Record::Entry(entry) if entry.kind == EntryKind::Configuration => {
            Configuration::decode(&entry.payload).ok().map(Some)
        }
        _ => Some(None),
    }
}

/// Fills a segment with zeros from an offset to its end, writing only where it is not zero. Returns how many
/// bytes were not.
pub(crate) fn zero_tail<F: DiskFile>(
    segment: &Segment<F>,
    from: u64,
    segment_bytes: u64,
) -> Result<u64, IoFailure> {
    let mut zeroed = 0;
    let zeros = [0; BLOCK];
    for_windows(&segment.file, from, segment_bytes, |offset, window| {
        for (block, at) in window.chunks(BLOCK).zip((offset..).step_by(BLOCK)) {
            if block != &zeros[..block.len()] {
                segment.file.write_at(&zeros[..block.len()], at)?;
                zeroed += block.len() as u64;
            }
        }
        Ok(())
    })
    .map_err(IoFailure::on("clear the tail of", &segment.path))?;
    Ok(zeroed)
}

fn for_windows<F: DiskFile>(
    file: &F,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut offset = from;
    let mut window = Vec::new();
    while offset < to {
        let len = WINDOW_BYTES.min(to - offset);
        window.resize(usize::try_from(len).unwrap_or(BLOCK), 0);
        file.read_exact_at(&mut window, offset)?;
        visit(offset, &window)?;
        offset += len;
    }
    Ok(())
}
