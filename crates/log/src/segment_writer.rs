//! The bytes of new segments: zeros for a spare, and the front of a segment that begins.

use std::io;
use std::path::Path;

use crate::contents::Change;
use crate::disk::{Access, Disk, DiskFile};
use crate::frame::{self, ChainEnd, FRAME_HEADER_BYTES};
use crate::segment::{FIRST_FRAME_OFFSET, SegmentHead, SegmentHeader};

/// Zeros are written in pieces of this size, each synced, so that the log's own syncs do not wait behind one
/// big flush.
const ZERO_PIECE_BYTES: u64 = 4 << 20;

/// Creates a file of exactly this size, full of zeros, and syncs it. Real zeros, not a hole: overwriting
/// allocated blocks is what makes a later `fdatasync` cheap.
pub(crate) fn write_zeros<D: Disk>(disk: &D, path: &Path, len_bytes: u64) -> io::Result<()> {
    let file = disk.open(path, Access::Create)?;
    let piece = vec![0; usize::try_from(ZERO_PIECE_BYTES.min(len_bytes)).unwrap_or(usize::MAX)];
    let mut offset = 0;
    while offset < len_bytes {
        let len = usize::try_from(len_bytes - offset).map_or(piece.len(), |l| l.min(piece.len()));
        file.write_at(&piece[..len], offset)?;
        file.sync()?;
        offset += len as u64;
    }
    Ok(())
}

/// The front of a segment: its header block and its first frame.
pub(crate) struct Front {
    /// What is written at offset 0.
    pub(crate) bytes: Vec<u8>,
    /// The first frame, as the end of the chain.
    pub(crate) end: ChainEnd,
    /// What the first frame changes in the log.
    pub(crate) changes: [Change; 3],
}

/// Encodes the front of a segment.
pub(crate) fn front(header: &SegmentHeader, head: &SegmentHead, seed: u64) -> Front {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    frame.extend_from_slice(&head.encode());
    let end = frame::seal(&mut frame, seed, header.name.sequence, header.previous);
    let mut bytes = header.encode(seed);
    debug_assert_eq!(bytes.len() as u64, FIRST_FRAME_OFFSET);
    bytes.extend_from_slice(&frame);
    let (index, configuration) = head.configuration.clone();
    let changes = [
        Change::HardState(head.hard_state),
        Change::StartAt(head.start),
        Change::Configuration(index, configuration),
    ];
    Front {
        bytes,
        end,
        changes,
    }
}
