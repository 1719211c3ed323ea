//! Records: what a frame's body is made of.
//!
//! ```text
//!  0        4      5      6         8          16          24
//!  +--------+------+------+---------+----------+-----------+---------...
//!  | length | type | kind | 0 (u16) | term u64 | index u64 | payload
//!  +--------+------+------+---------+----------+-----------+---------...
//!  length: bytes of the payload, u32       all little-endian
//!
//!  type            kind                     term         index          payload
//!  1 Entry         0 no-op, 1 command,      of entry     of entry       the entry's
//!                  2 configuration
//!  2 HardState     0 no vote, 1 vote        current      0              node u32, directory u128 of the vote
//!  3 Truncate      0                        0            first removed  -
//!  4 StartAt       0                        of position  of position    -
//!  5 Configuration 0                        0            of its entry   the configuration, encoded by `raft`
//! ```

use bytes::Bytes;
use dmq_raft::{
    Configuration, DirectoryId, Entry, EntryId, EntryKind, HardState, LogIndex, MemberId, NodeId,
    Term,
};

use crate::codec::Fields;

/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 24;

const ENTRY: u8 = 1;
const HARD_STATE: u8 = 2;
const TRUNCATE: u8 = 3;
const START_AT: u8 = 4;
const CONFIGURATION: u8 = 5;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry behind the last one.
    Entry(Entry),
    /// Term and vote from here on.
    HardState(HardState),
    /// This entry and all behind it are gone.
    Truncate(LogIndex),
    /// The log so far holds this position: cut behind it. Else: the log begins here.
    StartAt(EntryId),
    /// The configuration in force at the start point, and the index of its entry.
    Configuration(LogIndex, Configuration),
}

/// Appends a record to a frame's body.
pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::Entry(entry) => encode_entry(entry, out),
        Record::HardState(state) => {
            let vote = state.vote.map(encode_member);
            let payload = vote.as_ref().map_or(&[][..], |bytes| &bytes[..]);
            put(
                out,
                HARD_STATE,
                u8::from(vote.is_some()),
                (state.term, LogIndex(0)),
                payload,
            );
        }
        Record::Truncate(from) => put(out, TRUNCATE, 0, (Term(0), *from), &[]),
        Record::StartAt(at) => put(out, START_AT, 0, (at.term, at.index), &[]),
        Record::Configuration(index, configuration) => {
            put(
                out,
                CONFIGURATION,
                0,
                (Term(0), *index),
                &configuration.encode(),
            );
        }
    }
}

/// Appends an entry's record; apart from [`encode`] so that the hot path clones no entry.
pub(crate) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    let kind = match entry.kind {
        EntryKind::Noop => 0,
        EntryKind::Command => 1,
        EntryKind::Configuration => 2,
    };
    put(out, ENTRY, kind, (entry.term, entry.index), &entry.payload);
}

fn put(out: &mut Vec<u8>, kind_of_record: u8, kind: u8, at: (Term, LogIndex), payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    assert_eq!(
        len as usize,
        payload.len(),
        "sizes are checked before anything is encoded"
    );
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&[kind_of_record, kind, 0, 0]);
    out.extend_from_slice(&at.0.0.to_le_bytes());
    out.extend_from_slice(&at.1.0.to_le_bytes());
    out.extend_from_slice(payload);
}

fn encode_member(member: MemberId) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&member.node.0.to_le_bytes());
    bytes[4..].copy_from_slice(&member.directory.0.to_le_bytes());
    bytes
}

/// Reads the record at the front of `body`: the record and its whole length in bytes. `None` if the bytes
/// are not one that [`encode`] writes.
pub(crate) fn decode(body: &[u8]) -> Option<(Record, usize)> {
    let mut fields = Fields(body);
    let len = usize::try_from(fields.u32()?).ok()?;
    let (kind_of_record, kind, zero) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let (term, index) = (Term(fields.number()?), LogIndex(fields.number()?));
    let payload = fields.bytes(len)?;
    if zero != 0 {
        return None;
    }
    let (no_term, no_index) = (term.0 == 0, index.0 == 0);
    let record = match (kind_of_record, kind) {
        (ENTRY, kind) => Record::Entry(Entry {
            index,
            term,
            kind: decode_kind(kind)?,
            payload: Bytes::copy_from_slice(payload),
        }),
        (HARD_STATE, 0) if len == 0 && no_index => {
            Record::HardState(HardState { term, vote: None })
        }
        (HARD_STATE, 1) if no_index => Record::HardState(HardState {
            term,
            vote: Some(decode_member(payload)?),
        }),
        (TRUNCATE, 0) if len == 0 && no_term => Record::Truncate(index),
        (START_AT, 0) if len == 0 => Record::StartAt(EntryId::new(term, index)),
        (CONFIGURATION, 0) if no_term => {
            Record::Configuration(index, Configuration::decode(payload).ok()?)
        }
        _ => return None,
    };
    Some((record, RECORD_HEADER_BYTES + len))
}

fn decode_kind(kind: u8) -> Option<EntryKind> {
    match kind {
        0 => Some(EntryKind::Noop),
        1 => Some(EntryKind::Command),
        2 => Some(EntryKind::Configuration),
        _ => None,
    }
}

fn decode_member(payload: &[u8]) -> Option<MemberId> {
    let mut fields = Fields(payload);
    let (node, directory) = (NodeId(fields.u32()?), DirectoryId(fields.u128()?));
    fields.is_empty().then_some(MemberId { node, directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> MemberId {
        MemberId {
            node: NodeId(3),
            directory: DirectoryId(0x0102),
        }
    }

    fn entry(kind: EntryKind, payload: &'static [u8]) -> Record {
        let (index, term, payload) = (LogIndex(0x11), Term(0x22), Bytes::from_static(payload));
        Record::Entry(Entry {
            index,
            term,
            kind,
            payload,
        })
    }

    fn encoded(record: &Record) -> Vec<u8> {
        let mut out = Vec::new();
        encode(record, &mut out);
        out
    }

    fn examples() -> Vec<Record> {
        vec![
            entry(EntryKind::Noop, b""),
            entry(EntryKind::Command, b"payload"),
            Record::HardState(HardState {
                term: Term(7),
                vote: None,
            }),
            Record::HardState(HardState {
                term: Term(7),
                vote: Some(member()),
            }),
            Record::Truncate(LogIndex(9)),
            Record::StartAt(EntryId::new(Term(2), LogIndex(5))),
            Record::Configuration(LogIndex(4), Configuration::of_voters([member()])),
        ]
    }

    #[test]
    fn decode_returns_what_encode_wrote() {
        for record in examples() {
            let mut bytes = encoded(&record);
            let len = bytes.len();
            bytes.extend_from_slice(b"the next record");
            assert_eq!(decode(&bytes), Some((record, len)));
        }
    }

    #[test]
    fn a_record_that_is_cut_is_none() {
        for record in examples() {
            let bytes = encoded(&record);
            for len in 0..bytes.len() {
                assert_eq!(decode(&bytes[..len]), None, "{record:?} cut to {len} bytes");
            }
        }
    }

    #[test]
    fn unknown_types_kinds_and_reserved_bytes_are_none() {
        let good = encoded(&examples()[1]);
        for (at, value) in [(4, 0), (4, 6), (5, 3), (6, 1), (7, 1)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(decode(&bytes), None, "byte {at} = {value}");
        }
    }

    /// A field that a type does not use is zero, or a flipped bit in it would go unnoticed.
    #[test]
    fn unused_fields_are_zero_or_the_record_is_none() {
        let unused = [(2, 16), (3, 16), (4, 8), (6, 8)];
        for (example, at) in unused {
            let mut bytes = encoded(&examples()[example]);
            bytes[at] = 1;
            assert_eq!(decode(&bytes), None, "{:?}", examples()[example]);
        }
    }

    /// Recovery counts on from what it reads (`testkit/corpus/segment_head/crash-b1f79c29ba91467c`).
    #[test]
    fn indexes_and_terms_that_nothing_can_be_added_to_are_none() {
        let counted = [(0, 8), (0, 16), (2, 8), (4, 16), (5, 8), (5, 16), (6, 16)];
        for (example, at) in counted {
            let mut bytes = encoded(&examples()[example]);
            bytes[at..at + 8].copy_from_slice(&LogIndex::MAX.0.to_le_bytes());
            assert!(decode(&bytes).is_some(), "{:?}", examples()[example]);
            bytes[at + 7] = 0x80;
            assert_eq!(decode(&bytes), None, "{:?}", examples()[example]);
        }
    }

    /// The format of version 1. A change here is a new version (DESIGN 6.7).
    #[test]
    fn golden_bytes_of_version_1() {
        let golden: [&[u8]; 6] = [
            b"\x00\0\0\0\x01\x00\0\0\x22\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0",
            b"\x07\0\0\0\x01\x01\0\0\x22\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0payload",
            b"\x00\0\0\0\x02\x00\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x14\0\0\0\x02\x01\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
              \x03\0\0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\x00\0\0\0\x03\x00\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0",
            b"\x00\0\0\0\x04\x00\0\0\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0",
        ];
        for (record, golden) in examples().iter().zip(golden) {
            assert_eq!(encoded(record), golden, "{record:?}");
        }
    }
}
