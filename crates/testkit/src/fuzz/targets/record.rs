//! Records: the body of one good frame, whatever it says.

use dmq_log::{Record, Visit, verify};
use dmq_raft::{Entry, EntryId, EntryKind, LogIndex, Term};

use super::directory::{
    self, BLOCK, FrameFields, command, formatted, hard_state, header_seed, segment,
};
use super::membership::of;
use crate::fuzz::{Answer, Form, Target};

/// The decoder of records, and the rules by which they add up to a log.
pub(super) const TARGET: Target = Target {
    name: "record",
    form: Form::Binary,
    run,
    seeds,
    memory_base: 1 << 20,
    memory_factor: 64,
};

/// The second frame of a new log has the input as its body. It is refused with file and offset, or taken: then the
/// records are exactly the input, every entry can be read, and a second start finds the same.
fn run(input: &[u8]) -> Answer {
    if input.is_empty() {
        return Answer::refused(&"an empty frame has no records");
    }
    let disk = formatted();
    let seed = header_seed(&disk);
    let path = segment();
    let bytes = disk.contents(&path).unwrap_or_default();
    let first_crc = bytes[BLOCK + 60..]
        .first_chunk()
        .map_or(0, |crc| u32::from_le_bytes(*crc));
    let fields = FrameFields {
        sequence: 1,
        number: 2,
        synced_to: 1,
        previous_crc: first_crc,
    };
    let (frame, _) = directory::frame(seed, fields, input);
    disk.damage(&path, |bytes| {
        bytes[2 * BLOCK..2 * BLOCK + frame.len()].copy_from_slice(&frame);
    });
    match directory::open(&disk) {
        Err(reason) => Answer::refused(&reason),
        Ok((log, recovered)) => {
            check_entries(&log, &recovered);
            drop(log);
            let records = records_at(&disk, 2);
            let again: Vec<u8> = records.iter().flat_map(directory::record).collect();
            assert_eq!(again, input, "the records are the input");
            let second = directory::open(&disk).map(|(_, recovered)| recovered);
            let second =
                second.unwrap_or_else(|reason| panic!("taken once, refused then: {reason}"));
            assert_eq!(
                (second.hard_state, second.start, &second.entries),
                (recovered.hard_state, recovered.start, &recovered.entries)
            );
            Answer::taken(&records)
        }
    }
}

fn check_entries(log: &dmq_log::Log<dmq_log::sim::SimDisk>, recovered: &dmq_log::Recovered) {
    assert_eq!(log.last(), recovered.last());
    let (first, last) = (recovered.start.index.next(), recovered.last().index);
    if first <= last {
        let read = log.reader().read(first..=last, usize::MAX);
        let read = read.unwrap_or_else(|error| panic!("recovered, but not readable: {error}"));
        assert_eq!(read.len(), recovered.entries.len());
        for (entry, meta) in read.iter().zip(&recovered.entries) {
            assert_eq!((entry.term, entry.kind), (meta.term, meta.kind));
        }
    }
}

fn records_at(disk: &dmq_log::sim::SimDisk, wanted: u64) -> Vec<Record> {
    let mut found = Vec::new();
    let mut visit = |visit: Visit<'_>| {
        if let Visit::Frame {
            number, records, ..
        } = visit
            && number == wanted
        {
            found.extend(records.into_iter().map(|(_, record)| record.clone()));
        }
    };
    let report = verify(disk, directory::root(), &mut visit);
    assert!(report.is_ok(), "an open log verifies: {report:?}");
    found
}

fn seeds() -> Vec<Vec<u8>> {
    let noop = Record::Entry(Entry {
        index: LogIndex(1),
        term: Term(1),
        kind: EntryKind::Noop,
        payload: bytes::Bytes::default(),
    });
    let configuration = Record::Entry(Entry {
        index: LogIndex(2),
        term: Term(1),
        kind: EntryKind::Configuration,
        payload: of(&[1, 2, 3], &[4]).encode(),
    });
    let bodies = [
        vec![hard_state(1, Some(1))],
        vec![hard_state(1, None), noop.clone(), configuration.clone()],
        vec![
            hard_state(1, Some(1)),
            noop,
            configuration,
            command(3, 1, b"payload"),
            Record::Truncate(LogIndex(3)),
            hard_state(2, None),
            command(3, 2, b"another"),
        ],
    ];
    let encoded = |records: &Vec<Record>| records.iter().flat_map(directory::record).collect();
    bodies.iter().map(encoded).collect()
}

/// A start point, for the targets that may have one.
pub(super) fn start_at(term: u64, index: u64) -> Record {
    Record::StartAt(EntryId::new(Term(term), LogIndex(index)))
}
