//! Segments: files `<sequence>-<first index>.seg` of one exact size, and the block at their front.
//!
//! ```text
//! block 0 (4 KiB):  magic "DMQSEGMT" | version u32 | sequence u64 | first index u64
//!                 | last frame before this segment u64, CRC32C of its header u32
//!                 | incarnation number u64, nonce u64 | node u32 | directory u128
//!                 | cluster id: length u32, UTF-8 | zeros | at 4092: CRC32C u32 of the header seed and all before
//! block 1 ...     : frames; the first repeats hard state, start point and configuration
//! ```

use std::path::{Path, PathBuf};

use dmq_raft::{Configuration, DirectoryId, EntryId, HardState, LogIndex, NodeId};

use crate::codec::{Fields, put_sized};
use crate::format_version::{DATA_DIR_VERSION, is_readable};
use crate::frame::{BLOCK, BLOCK_BYTES, ChainEnd, HeaderCrc, seeded_crc};
use crate::identity::{Identity, Incarnation};
use crate::mutant;
use crate::record::{self, Record};

/// Extension of a segment.
pub(crate) const SEGMENT_SUFFIX: &str = ".seg";
/// Offset of a segment's first frame, in bytes.
pub(crate) const FIRST_FRAME_OFFSET: u64 = BLOCK_BYTES;

const MAGIC: &[u8; 8] = b"DMQSEGMT";
const CHECKED_BYTES: usize = BLOCK - 4;

/// What the name of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Runs on without gaps from 1.
    pub(crate) sequence: u64,
    /// The index behind the start point of its first frame.
    pub(crate) first_index: LogIndex,
}

impl SegmentName {
    /// The path of the file in the directory of segments.
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!(
            "{:020}-{:020}{SEGMENT_SUFFIX}",
            self.sequence, self.first_index.0
        ))
    }

    /// Reads a name that ends in [`SEGMENT_SUFFIX`]; `None` if it is not one that [`Self::path`] makes.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (sequence, first) = name.strip_suffix(SEGMENT_SUFFIX)?.split_once('-')?;
        Some(Self {
            sequence: digits(sequence)?,
            first_index: LogIndex(digits(first)?),
        })
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = plain.then(|| text.parse().ok())??;
    (number <= LogIndex::MAX.0).then_some(number)
}

/// The block at the front of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// What the file's name says too.
    pub(crate) name: SegmentName,
    /// The last frame of the segment before.
    pub(crate) previous: ChainEnd,
    /// Whose log it is.
    pub(crate) identity: Identity,
}

/// Why the front of a segment was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSegment {
    /// Another version.
    Version(u32),
    /// Damaged, or not a segment of this directory.
    Damaged,
}

impl SegmentHeader {
    /// The block, of [`BLOCK_BYTES`].
    pub(crate) fn encode(&self, seed: u64) -> Vec<u8> {
        let Identity {
            cluster_id,
            incarnation,
            node,
            directory,
        } = &self.identity;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&DATA_DIR_VERSION.to_le_bytes());
        out.extend_from_slice(&self.name.sequence.to_le_bytes());
        out.extend_from_slice(&self.name.first_index.0.to_le_bytes());
        out.extend_from_slice(&self.previous.number.to_le_bytes());
        out.extend_from_slice(&self.previous.crc.0.to_le_bytes());
        out.extend_from_slice(&incarnation.number.to_le_bytes());
        out.extend_from_slice(&incarnation.nonce.to_le_bytes());
        out.extend_from_slice(&node.0.to_le_bytes());
        out.extend_from_slice(&directory.0.to_le_bytes());
        put_sized(&mut out, cluster_id.as_bytes());
        assert!(
            out.len() <= CHECKED_BYTES,
            "a cluster id is at most 64 bytes"
        );
        out.resize(CHECKED_BYTES, 0);
        let crc = seeded_crc(seed, &out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the block.
    pub(crate) fn decode(block: &[u8], seed: u64) -> Result<Self, BadSegment> {
        let (checked, crc) = block.split_last_chunk::<4>().ok_or(BadSegment::Damaged)?;
        if !checked.starts_with(MAGIC) || seeded_crc(seed, checked) != u32::from_le_bytes(*crc) {
            return Err(BadSegment::Damaged);
        }
        let mut fields = Fields(&checked[MAGIC.len()..]);
        let version = fields.u32().ok_or(BadSegment::Damaged)?;
        if !is_readable(version, DATA_DIR_VERSION) {
            return Err(BadSegment::Version(version));
        }
        Self::decode_fields(&mut fields).ok_or(BadSegment::Damaged)
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = SegmentName {
            sequence: fields.number()?,
            first_index: LogIndex(fields.number()?),
        };
        let previous = ChainEnd {
            number: fields.number()?,
            crc: HeaderCrc(fields.u32()?),
        };
        let incarnation = Incarnation {
            number: fields.number()?,
            nonce: fields.u64()?,
        };
        let node = NodeId(fields.u32()?);
        let directory = DirectoryId(fields.u128()?);
        let cluster_id = fields.text()?;
        let identity = Identity {
            cluster_id,
            incarnation,
            node,
            directory,
        };
        Some(Self {
            name,
            previous,
            identity,
        })
    }
}

/// What the first frame of every segment repeats, so that the segments before it can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// Term and vote.
    pub(crate) hard_state: HardState,
    /// Position before the segment's first entry.
    pub(crate) start: EntryId,
    /// The configuration in force at `start`, and the index of its entry.
    pub(crate) configuration: (LogIndex, Configuration),
}

impl SegmentHead {
    /// The records of the first frame, in their order.
    pub(crate) fn records(&self) -> [Record; 3] {
        let (index, mut configuration) = self.configuration.clone();
        if mutant::is("segment-without-configuration") {
            configuration = Configuration::default();
        }
        let mut hard_state = self.hard_state;
        if mutant::is("segment-without-vote") {
            hard_state.vote = None;
        }
        [
            Record::HardState(hard_state),
            Record::StartAt(self.start),
            Record::Configuration(index, configuration),
        ]
    }

    /// The body of the first frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for record in &self.records() {
            record::encode(record, &mut body);
        }
        body
    }
}

/// An open segment, shared by the writer and the readers.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    /// Its name when it was opened; a purged one is renamed, but stays readable here.
    pub(crate) path: PathBuf,
    /// What its name says.
    pub(crate) name: SegmentName,
    /// The file.
    pub(crate) file: F,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            name: SegmentName {
                sequence: 7,
                first_index: LogIndex(12),
            },
            previous: ChainEnd {
                number: 5,
                crc: HeaderCrc(6),
            },
            identity: Identity {
                cluster_id: "dmq".into(),
                incarnation: Incarnation {
                    number: 1,
                    nonce: 0,
                },
                node: NodeId(3),
                directory: DirectoryId(0x77),
            },
        }
    }

    #[test]
    fn names_are_read_back_and_nothing_else_is_a_name() {
        let name = header().name;
        let path = name.path(Path::new("/log"));
        let text = path.file_name().and_then(|name| name.to_str()).unwrap();
        assert_eq!(text, "00000000000000000007-00000000000000000012.seg");
        assert_eq!(SegmentName::parse(text), Some(name));
        for bad in [
            "7-12.seg",
            "x.seg",
            ".seg",
            &text.replace('7', "+"),
            &text.replace(".seg", ""),
        ] {
            assert_eq!(SegmentName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_header_fills_a_block_and_every_byte_of_it_is_checked() {
        let block = header().encode(42);
        assert_eq!(block.len(), BLOCK);
        assert_eq!(SegmentHeader::decode(&block, 42), Ok(header()));
        assert_eq!(SegmentHeader::decode(&block, 43), Err(BadSegment::Damaged));
        for at in 0..block.len() {
            let mut flipped = block.clone();
            flipped[at] ^= 0x10;
            assert_eq!(
                SegmentHeader::decode(&flipped, 42),
                Err(BadSegment::Damaged),
                "byte {at}"
            );
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut block = header().encode(42);
        block[8..12].copy_from_slice(&5u32.to_le_bytes());
        let crc = seeded_crc(42, &block[..CHECKED_BYTES]);
        block[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            SegmentHeader::decode(&block, 42),
            Err(BadSegment::Version(5))
        );
    }
}
