//! Frames: the unit of durability. One frame is one group commit, on a 4 KiB boundary, one in flight at a time.
//!
//! ```text
//!   0 magic "DMQFRAME"
//!   8 segment sequence        u64
//!  16 frame number            u64   runs on without gaps, across segments too
//!  24 synced_to               u64   last frame known durable when this one was written
//!  32 body length             u32   bytes; 0 is an empty frame
//!  36 body CRC32C             u32
//!  40 previous header CRC32C  u32   field 60 of the frame before, across segments too
//!  44 zero                    16 bytes
//!  60 header CRC32C           u32   of the directory's header seed and bytes 0..60
//!  64 body: records, then zeros up to the next 4 KiB boundary
//! ```
//!
//! The header's checksum begins with a random number that never leaves the data directory, so a client
//! cannot put bytes into an entry that recovery would take for a header.

use crate::codec::Fields;
use crate::mutant;

/// Frames begin on multiples of this, in bytes: what disks write without tearing, or a multiple of it.
pub(crate) const BLOCK: usize = 4096;
/// The same, for offsets.
pub(crate) const BLOCK_BYTES: u64 = BLOCK as u64;
/// Bytes of a frame before its body.
pub(crate) const FRAME_HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"DMQFRAME";
const CHECKED_BYTES: usize = FRAME_HEADER_BYTES - 4;

const _: () = assert!(FRAME_HEADER_BYTES < BLOCK, "a header is in one block");

/// Where a frame stands in the chain of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Sequence of the segment that it was written to: a recycled file holds frames of an older one.
    pub(crate) sequence: u64,
    /// Number of the frame.
    pub(crate) number: u64,
    /// Last frame known durable when this one was written.
    pub(crate) synced_to: u64,
    /// Bytes of the body.
    pub(crate) body_bytes: u32,
    /// Checksum of the body.
    pub(crate) body_crc: u32,
    /// Checksum of the header before this one.
    pub(crate) previous_crc: u32,
}

impl FrameHeader {
    /// The header's bytes; the last four are its checksum.
    pub(crate) fn encode(&self, seed: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.synced_to.to_le_bytes());
        out[32..36].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[36..40].copy_from_slice(&self.body_crc.to_le_bytes());
        out[40..44].copy_from_slice(&self.previous_crc.to_le_bytes());
        let crc = seeded_crc(seed, &out[..CHECKED_BYTES]);
        out[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header; `None` if these bytes are not a header of this directory.
    pub(crate) fn decode(bytes: &[u8], seed: u64) -> Option<(Self, HeaderCrc)> {
        let (checked, rest) = bytes.split_at_checked(CHECKED_BYTES)?;
        let crc = u32::from_le_bytes(*rest.first_chunk()?);
        if !checked.starts_with(MAGIC) || crc != seeded_crc(seed, checked) {
            return None;
        }
        let mut fields = Fields(&checked[MAGIC.len()..]);
        let header = Self {
            sequence: fields.u64()?,
            number: fields.u64()?,
            synced_to: fields.u64()?,
            body_bytes: fields.u32()?,
            body_crc: fields.u32()?,
            previous_crc: fields.u32()?,
        };
        Some((header, HeaderCrc(crc)))
    }

    /// Bytes of the whole frame on disk.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_bytes as usize)
    }
}

/// The checksum of a header, which the next one repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderCrc(pub(crate) u32);

/// Bytes on disk of a frame with a body of this size.
pub(crate) const fn frame_bytes(body_bytes: usize) -> u64 {
    ((FRAME_HEADER_BYTES + body_bytes) as u64).next_multiple_of(BLOCK_BYTES)
}

/// CRC32C that begins with the directory's secret.
pub(crate) fn seeded_crc(seed: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), bytes)
}

/// The end of the chain: what the next frame links to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChainEnd {
    /// Number of the last frame; 0 before the first.
    pub(crate) number: u64,
    /// Checksum of its header; 0 before the first.
    pub(crate) crc: HeaderCrc,
}

/// Makes `buffer` a whole frame: room for the header was left at its front and the body follows. All frames
/// before this one are durable, because only one is in flight.
pub(crate) fn seal(buffer: &mut Vec<u8>, seed: u64, sequence: u64, end: ChainEnd) -> ChainEnd {
    let body = &buffer[FRAME_HEADER_BYTES..];
    let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
    assert_eq!(
        body_bytes as usize,
        body.len(),
        "a frame is smaller than a segment"
    );
    let header = FrameHeader {
        sequence,
        number: end.number + 1,
        synced_to: end.number + u64::from(mutant::is("synced-to-one-too-high")),
        body_bytes,
        body_crc: crc32c::crc32c(body),
        previous_crc: end.crc.0,
    };
    let bytes = header.encode(seed);
    buffer[..FRAME_HEADER_BYTES].copy_from_slice(&bytes);
    let padded = usize::try_from(header.frame_bytes()).unwrap_or(usize::MAX);
    buffer.resize(padded, 0);
    let mut crc = [0; 4];
    crc.copy_from_slice(&bytes[CHECKED_BYTES..]);
    ChainEnd {
        number: header.number,
        crc: HeaderCrc(u32::from_le_bytes(crc)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            sequence: 1,
            number: 2,
            synced_to: 1,
            body_bytes: 3,
            body_crc: 4,
            previous_crc: 5,
        }
    }

    #[test]
    fn a_header_is_read_with_its_own_seed_only() {
        let bytes = header().encode(42);
        assert_eq!(
            FrameHeader::decode(&bytes, 42).map(|(header, _)| header),
            Some(header())
        );
        assert_eq!(FrameHeader::decode(&bytes, 43), None);
        assert_eq!(FrameHeader::decode(&bytes[..63], 42), None);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let bytes = header().encode(42);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&flipped, 42), None, "bit {bit}");
        }
    }

    #[test]
    fn a_sealed_frame_links_to_the_one_before() {
        let mut frame = [vec![0; FRAME_HEADER_BYTES], b"body".to_vec()].concat();
        let before = ChainEnd {
            number: 8,
            crc: HeaderCrc(99),
        };
        let end = seal(&mut frame, 42, 3, before);
        let (header, crc) = FrameHeader::decode(&frame[..FRAME_HEADER_BYTES], 42).unwrap();
        assert_eq!((end.number, end.crc), (9, crc));
        assert_eq!(
            (header.sequence, header.synced_to, header.previous_crc),
            (3, 8, 99)
        );
        assert_eq!(frame.len(), BLOCK, "padded");
        assert_eq!(header.frame_bytes(), BLOCK_BYTES);
    }

    #[test]
    fn frames_end_on_block_boundaries() {
        let bytes = [
            0,
            1,
            BLOCK - FRAME_HEADER_BYTES,
            BLOCK - FRAME_HEADER_BYTES + 1,
            2 * BLOCK,
        ];
        assert_eq!(bytes.map(frame_bytes), [4096, 4096, 4096, 8192, 12288]);
    }

    /// The format of version 1. A change here is a new version (DESIGN 6.7).
    #[test]
    fn golden_bytes_of_version_1() {
        let bytes = header().encode(42);
        let fields = b"DMQFRAME\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
            \x03\0\0\0\x04\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(&bytes[..60], fields);
        let seeded = [&42u64.to_le_bytes()[..], fields].concat();
        assert_eq!(bytes[60..], crc32c::crc32c(&seeded).to_le_bytes());
    }
}
