//! A small data directory to damage, and its bytes as the format's own pages describe them: written here a second time,
//! so that reader and writer cannot agree on a mistake.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dmq_log::sim::SimDisk;
use dmq_log::{
    DataDir, DataDirError, FormatOptions, Identity, Incarnation, Log, LogOptions, OpenError,
    Record, Recovered,
};
use dmq_raft::{Entry, EntryKind, HardState, LogIndex, MemberId, Term};

use super::length;
use super::membership::member;

/// Eight blocks.
pub(super) const SEGMENT_BYTES: u64 = 32 << 10;
/// A block.
pub(super) const BLOCK: usize = 4096;
const ROOT: &str = "/data/node-1";
const FRAME_HEADER_BYTES: usize = 64;

/// The directory of the node.
pub(super) fn root() -> &'static Path {
    Path::new(ROOT)
}

/// The one segment of a new directory.
pub(super) fn segment() -> PathBuf {
    root().join(format!("log/{:020}-{:020}.seg", 1, 1))
}

/// A disk with a new directory on it; each call gives another disk.
pub(super) fn formatted() -> SimDisk {
    static FORMATTED: OnceLock<SimDisk> = OnceLock::new();
    let disk = FORMATTED.get_or_init(|| {
        let disk = SimDisk::new(7);
        let options = FormatOptions {
            if_empty: false,
            segment_bytes: SEGMENT_BYTES,
        };
        let done = DataDir::format(&disk, root(), &identity(), &options);
        assert!(done.is_ok(), "{done:?}");
        disk
    });
    disk.fork()
}

/// Whose directory it is.
pub(super) fn identity() -> Identity {
    let MemberId { node, directory } = member(1);
    Identity {
        cluster_id: "dmq".into(),
        incarnation: Incarnation {
            number: 1,
            nonce: 0,
        },
        node,
        directory,
    }
}

/// The random number that begins the checksum of every header; the identity file holds it at byte 20.
pub(super) fn header_seed(disk: &SimDisk) -> u64 {
    let bytes = disk.contents(&root().join("identity")).unwrap_or_default();
    let seed = bytes.get(20..28).and_then(|seed| seed.first_chunk());
    seed.map_or(0, |seed| u64::from_le_bytes(*seed))
}

/// Opens directory and log. A refusal must name a file of this directory.
pub(super) fn open(disk: &SimDisk) -> Result<(Log<SimDisk>, Recovered), String> {
    let dir = DataDir::open(disk, root()).map_err(|error| expected_dir(&error))?;
    Log::open(&dir, LogOptions::default()).map_err(|error| expected(&error))
}

fn expected_dir(error: &DataDirError) -> String {
    assert!(
        matches!(
            error,
            DataDirError::Damaged { .. }
                | DataDirError::Version { .. }
                | DataDirError::Pinned { .. }
        ),
        "{error}"
    );
    error.to_string()
}

fn expected(error: &OpenError) -> String {
    let OpenError::Corrupt(corruption) = error else {
        panic!("damage is no error of the disk: {error}")
    };
    assert!(corruption.file.starts_with(root()), "{corruption}");
    corruption.reason.clone()
}

/// A frame's fields beside its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameFields {
    /// Sequence of its segment.
    pub(super) sequence: u64,
    /// Its number.
    pub(super) number: u64,
    /// The last durable frame.
    pub(super) synced_to: u64,
    /// Checksum of the header before.
    pub(super) previous_crc: u32,
}

/// A whole frame, padded to blocks, and the checksum of its header.
pub(super) fn frame(seed: u64, fields: FrameFields, body: &[u8]) -> (Vec<u8>, u32) {
    let mut out = b"DMQFRAME".to_vec();
    out.extend(fields.sequence.to_le_bytes());
    out.extend(fields.number.to_le_bytes());
    out.extend(fields.synced_to.to_le_bytes());
    out.extend(length(body));
    out.extend(crc32c::crc32c(body).to_le_bytes());
    out.extend(fields.previous_crc.to_le_bytes());
    out.resize(FRAME_HEADER_BYTES - 4, 0);
    let crc = seeded_crc(seed, &out);
    out.extend(crc.to_le_bytes());
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    (out, crc)
}

/// A checksum that begins with the directory's random number.
pub(super) fn seeded_crc(seed: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), bytes)
}

/// A record's bytes.
pub(super) fn record(record: &Record) -> Vec<u8> {
    let mut vote = Vec::new();
    let (kind_of_record, kind, term, index, payload) = match record {
        Record::Entry(entry) => {
            let kind = match entry.kind {
                EntryKind::Noop => 0,
                EntryKind::Command => 1,
                EntryKind::Configuration => 2,
            };
            (1, kind, entry.term.0, entry.index.0, entry.payload.to_vec())
        }
        Record::HardState(HardState { term, vote: given }) => {
            if let Some(member) = given {
                vote.extend(member.node.0.to_le_bytes());
                vote.extend(member.directory.0.to_le_bytes());
            }
            (2, u8::from(given.is_some()), term.0, 0, vote)
        }
        Record::Truncate(from) => (3, 0, 0, from.0, Vec::new()),
        Record::StartAt(at) => (4, 0, at.term.0, at.index.0, Vec::new()),
        Record::Configuration(index, configuration) => {
            (5, 0, 0, index.0, configuration.encode().to_vec())
        }
    };
    let mut out = length(&payload).to_vec();
    out.extend([kind_of_record, kind, 0, 0]);
    out.extend(term.to_le_bytes());
    out.extend(index.to_le_bytes());
    out.extend(payload);
    out
}

/// An entry of a command.
pub(super) fn command(index: u64, term: u64, payload: &[u8]) -> Record {
    Record::Entry(Entry {
        index: LogIndex(index),
        term: Term(term),
        kind: EntryKind::Command,
        payload: payload.to_vec().into(),
    })
}

/// Term and vote.
pub(super) fn hard_state(term: u64, vote: Option<u32>) -> Record {
    Record::HardState(HardState {
        term: Term(term),
        vote: vote.map(member),
    })
}
