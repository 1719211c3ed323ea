//! The content of a snapshot: rows in their order, under the hash that the header promises.

use dmq_metadata::Image;
use dmq_metadata::snapshot::{self, Reader, SnapshotError};

use super::metadata::world;
use crate::fuzz::{Answer, Form, Target};

/// The reader of a snapshot's content.
pub(super) const TARGET: Target = Target {
    name: "snapshot_content",
    form: Form::Protobuf,
    run,
    seeds,
    memory_base: 1 << 20,
    memory_factor: 1024,
};

/// The input is a protobuf message whose first field holds the records; what is not of that form is content as it is.
/// Read in one piece and in small ones it is the same; rows under a wrong hash are read once more under the right one,
/// so that the rules behind it are reached; what was read is written so that it reads the same again.
fn run(input: &[u8]) -> Answer {
    let bytes = content(input);
    let (bytes, result) = match read(&bytes, bytes.len()) {
        Err(SnapshotError::HashMismatch { found, expected }) => {
            let bytes = replaced(&bytes, &expected.0.to_be_bytes(), &found.0.to_be_bytes());
            let result = read(&bytes, bytes.len());
            (bytes, result)
        }
        other => (bytes, other),
    };
    let in_pieces = read(&bytes, 7);
    match (&result, &in_pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one.state_hash(), other.state_hash()),
        (one, other) => assert_eq!(one.as_ref().err(), other.as_ref().err()),
    }
    match result {
        Err(error) => Answer::refused(&error),
        Ok(image) => {
            assert_eq!(
                image.state_hash(),
                image.rehash(),
                "the hash is that of the rows"
            );
            let written = write(&image);
            let again = read(&written, written.len()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.state_hash(), image.state_hash());
            assert_eq!(write(&again), written, "the same image has the same bytes");
            Answer::taken(&image.counts())
        }
    }
}

/// Key of the first field, with a length behind it.
const KEY: u8 = 1 << 3 | 2;

/// The records without the keys before them: lengths stay, as the content has them.
fn content(mut input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&KEY, rest)) = input.split_first() {
        let Some((len, head)) = varint(rest) else {
            break;
        };
        let end = head.saturating_add(len).min(rest.len());
        out.extend_from_slice(&rest[..end]);
        input = &rest[end..];
    }
    out.extend_from_slice(input);
    out
}

/// A length and the bytes that say it.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return Some((len, at + 1));
        }
    }
    None
}

/// The content as a message.
fn message(content: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), content);
    while let Some((len, head)) = varint(rest) {
        let end = (head + len).min(rest.len());
        out.push(KEY);
        out.extend_from_slice(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

fn read(bytes: &[u8], piece: usize) -> Result<Image, SnapshotError> {
    let mut reader = Reader::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.push(piece)?;
    }
    reader.finish()
}

fn write(image: &Image) -> Vec<u8> {
    let mut out = Vec::new();
    let sink = |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok::<_, std::convert::Infallible>(())
    };
    match snapshot::write(image, sink) {
        Ok(()) => out,
    }
}

/// The header comes first, so the first place is the header's.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
        out[at..at + new.len()].copy_from_slice(new);
    }
    out
}

fn seeds() -> Vec<Vec<u8>> {
    let empty = Image::new(world().image.cluster_id().clone());
    [empty, world().image.clone()]
        .iter()
        .map(|image| message(&write(image)))
        .collect()
}
