//! Snapshot files: the container around a snapshot's content, and what a file says about itself.

use std::collections::BTreeMap;
use std::path::Path;

use dmq_log::sim::SimDisk;
use dmq_log::{
    Access, DataDir, Disk, DiskFile, Incarnation, SnapshotError, SnapshotMeta, SnapshotOffer,
    SnapshotReader, SnapshotStore,
};
use dmq_raft::{EntryId, LogIndex, Term};
use sha2::{Digest, Sha256};

use super::directory::{formatted, root};
use super::length;
use super::membership::of;
use crate::fuzz::{Answer, Form, Target};

/// The reader of snapshot files.
pub(super) const TARGET: Target = Target {
    name: "snapshot_file",
    form: Form::Binary,
    run,
    seeds,
    // A chunk says how long its content is: up to 1 MiB; the decompressor has its own tables.
    memory_base: 6 << 20,
    memory_factor: 64,
};

/// What a file says about itself, and how it is offered to a peer.
pub(super) const META: Target = Target {
    name: "snapshot_meta",
    form: Form::Protobuf,
    run: run_meta,
    seeds: seeds_of_meta,
    memory_base: 64 << 10,
    memory_factor: 64,
};

/// The input is sections: the header's meta, chunks (content length, checksum, stored bytes), the footer's totals;
/// lengths and checksums around them are put right. A file that is taken gives all of its content.
fn run(input: &[u8]) -> Answer {
    let disk = formatted();
    let path = root().join("snapshots/x.snap");
    put(&disk, &path, &assemble(&sections(input)));
    let reader = match SnapshotReader::open(&disk, &path) {
        Ok(reader) => reader,
        Err(SnapshotError::Corrupt(corruption)) => return Answer::refused(&corruption.reason),
        Err(error) => panic!("damage is no error of the disk: {error}"),
    };
    let chunks = reader.chunks().unwrap_or_else(|error| panic!("{error}"));
    let read = |chunk: Result<bytes::Bytes, SnapshotError>| match chunk {
        Ok(chunk) => chunk.len() as u64,
        Err(error) => panic!("verified, but not readable: {error}"),
    };
    let bytes: u64 = chunks.map(read).sum();
    assert_eq!(bytes, reader.info().content_bytes);
    Answer::taken(reader.info())
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let written = disk
        .open(path, Access::Create)
        .and_then(|file| file.write_at(bytes, 0));
    assert!(written.is_ok(), "{written:?}");
}

fn sections(mut input: &[u8]) -> Vec<&[u8]> {
    let mut sections = Vec::new();
    while let [low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (section, behind) = rest.split_at(len);
        sections.push(section);
        input = behind;
    }
    sections
}

/// The file, by the diagram in the container's own source.
fn assemble(sections: &[&[u8]]) -> Vec<u8> {
    let nothing: &[u8] = &[];
    let (meta, rest) = sections.split_first().unwrap_or((&nothing, &[]));
    let (totals, chunks) = rest.split_last().unwrap_or((&nothing, &[]));
    let mut out = b"DMQSNAPF".to_vec();
    out.extend(1_u32.to_le_bytes());
    put_sized(&mut out, meta);
    let crc = crc32c::crc32c(&out).to_le_bytes();
    out.extend(crc);
    for chunk in chunks {
        let (front, stored) = chunk.split_at(chunk.len().min(8));
        let mut numbers = front.to_vec();
        numbers.resize(8, 0);
        out.extend(1_u32.to_le_bytes());
        out.extend(length(stored));
        out.extend(numbers);
        out.extend_from_slice(stored);
    }
    let footer_at = out.len();
    out.extend(2_u32.to_le_bytes());
    put_sized(&mut out, totals);
    let sha256 = Sha256::digest(&out);
    out.extend(sha256);
    let mut file = out;
    let footer = [&file[footer_at..], &[0; 12]].concat();
    file.extend(length(&footer));
    file.extend(b"DMQSNAPE");
    file
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length(bytes));
    out.extend_from_slice(bytes);
}

/// The sections of real files.
fn seeds() -> Vec<Vec<u8>> {
    [
        &b""[..],
        b"some content, some content, some content",
        &[42; 9000],
    ]
    .iter()
    .map(|content| disassemble(&written(content)))
    .collect()
}

/// A file that the store wrote.
fn written(content: &[u8]) -> Vec<u8> {
    let disk = formatted();
    let write = || -> Result<Vec<u8>, String> {
        let dir = DataDir::open(&disk, root()).map_err(|error| error.to_string())?;
        let text = |error: SnapshotError| error.to_string();
        let store = SnapshotStore::open(&dir).map_err(text)?;
        let mut writer = store.create(meta()).map_err(text)?;
        writer.write(content).map_err(text)?;
        let counts = BTreeMap::from([("topics".to_owned(), 3)]);
        writer.finish(counts).map_err(text)?;
        let files = dmq_log::snapshot_files(&disk, root()).map_err(|error| error.to_string())?;
        let path = files.first().ok_or("no file")?;
        Ok(disk.contents(path).unwrap_or_default())
    };
    write().unwrap_or_else(|error| panic!("{error}"))
}

fn disassemble(file: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let bytes = file[at..].first_chunk().copied().unwrap_or_default();
        u32::from_le_bytes(bytes) as usize
    };
    let mut out = Vec::new();
    let mut section = |parts: &[&[u8]]| {
        let bytes = parts.concat();
        out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(bytes);
    };
    let meta_bytes = number(12);
    section(&[&file[16..16 + meta_bytes]]);
    let mut at = 16 + meta_bytes + 4;
    while number(at) == 1 {
        let stored = number(at + 4);
        section(&[&file[at + 8..at + 16 + stored]]);
        at += 16 + stored;
    }
    let totals = number(at + 4);
    section(&[&file[at + 8..at + 8 + totals]]);
    out
}

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        last: EntryId::new(Term(3), LogIndex(40)),
        configuration: (LogIndex(7), of(&[1, 2, 3], &[4])),
        cluster_id: "dmq".into(),
        incarnation: Incarnation {
            number: 1,
            nonce: 0,
        },
        feature_level: 1,
        state_hash: 0x1234_5678_9abc_def0 << 3,
    }
}

/// Both decoders see the input; what one takes it writes so that it reads the same again.
fn run_meta(input: &[u8]) -> Answer {
    if let Some(meta) = SnapshotMeta::decode(input) {
        assert_eq!(SnapshotMeta::decode(&meta.encode()), Some(meta.clone()));
        return Answer::taken(&meta);
    }
    if let Some(offer) = SnapshotOffer::decode(input) {
        assert_eq!(SnapshotOffer::decode(&offer.encode()), Some(offer.clone()));
        return Answer::taken(&offer);
    }
    Answer::refused(&"neither")
}

fn seeds_of_meta() -> Vec<Vec<u8>> {
    let offer = SnapshotOffer {
        last: EntryId::new(Term(3), LogIndex(40)),
        file_bytes: 12_345,
        sha256: [9; 32],
    };
    vec![meta().encode().to_vec(), offer.encode().to_vec()]
}
