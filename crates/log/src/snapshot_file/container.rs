//! The container around a snapshot's content.
//!
//! ```text
//! header:  magic "DMQSNAPF" | version u32 | length of meta u32 | meta (protobuf) | CRC32C of all before u32
//! chunks:  1 u32 | stored bytes u32 | content bytes u32 | CRC32C of the content u32 | content as zstd
//!          each of 1 MiB of content, the last one of what is left
//! footer:  2 u32 | length of totals u32 | totals (protobuf): content bytes, chunks, counts, state hash
//!          | SHA-256 of all before, 32 bytes | length of the footer u32 | magic "DMQSNAPE"
//! ```

use std::io;
use std::path::Path;

use prost::Message;
use sha2::{Digest, Sha256};

use super::error::SnapshotError;
use super::meta::{SnapshotInfo, SnapshotMeta, Totals};
use crate::codec::Fields;
use crate::disk::DiskFile;
use crate::error::Corruption;
use crate::format_version::{SNAPSHOT_VERSION, is_readable};
use crate::mutant;

/// Bytes of content in one chunk; the last one has fewer.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"DMQSNAPF";
const END_MAGIC: &[u8; 8] = b"DMQSNAPE";
const CHUNK: u32 = 1;
const FOOTER: u32 = 2;
const HEADER_FRONT_BYTES: usize = 16;
const CHUNK_HEADER_BYTES: usize = 16;
const SHA256_BYTES: usize = 32;
const FOOTER_TAIL_BYTES: usize = SHA256_BYTES + 4 + END_MAGIC.len();
/// Larger values of a length field are damage, not sizes to allocate.
const META_BYTES_MAX: usize = 1 << 20;
const STORED_BYTES_MAX: usize = CHUNK_BYTES + (CHUNK_BYTES >> 8) + 1024;
/// zstd's fastest: a snapshot is taken beside a running quorum.
const ZSTD_LEVEL: i32 = 1;

/// The header's bytes.
pub(super) fn encode_header(meta: &SnapshotMeta) -> Vec<u8> {
    let meta = meta.encode();
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
    crate::codec::put_sized(&mut out, &meta);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// One chunk's bytes.
pub(super) fn encode_chunk(content: &[u8]) -> io::Result<Vec<u8>> {
    assert!(content.len() <= CHUNK_BYTES, "the writer cuts the content");
    let stored = zstd::bulk::compress(content, ZSTD_LEVEL)?;
    let mut out = Vec::with_capacity(CHUNK_HEADER_BYTES + stored.len());
    out.extend_from_slice(&CHUNK.to_le_bytes());
    out.extend_from_slice(
        &u32::try_from(stored.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(
        &u32::try_from(content.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(&crc32c::crc32c(content).to_le_bytes());
    out.extend_from_slice(&stored);
    Ok(out)
}

/// The footer's bytes; `so_far` has seen all before. Returns the SHA-256 too.
pub(super) fn encode_footer(totals: &Totals, mut so_far: Sha256) -> (Vec<u8>, [u8; 32]) {
    let mut out = FOOTER.to_le_bytes().to_vec();
    crate::codec::put_sized(&mut out, &totals.encode_to_vec());
    so_far.update(&out);
    let sha256: [u8; 32] = so_far.finalize().into();
    out.extend_from_slice(&sha256);
    let len = u32::try_from(out.len() + 4 + END_MAGIC.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(END_MAGIC);
    (out, sha256)
}

/// Walks through a container from its front. Every part is checked as far as it can be by itself; the
/// SHA-256 at the end covers all of them.
pub(super) struct Walk<'a, F> {
    file: &'a F,
    path: &'a Path,
    file_bytes: u64,
    /// Where the next part begins, in bytes.
    pub(super) offset: u64,
    sha256: Sha256,
    content_bytes: u64,
    chunks: u64,
}

/// A part of a container behind its header.
pub(super) enum Part {
    /// Content.
    Chunk(Vec<u8>),
    /// The end: totals and SHA-256 fit all that came before.
    Footer(Totals, [u8; 32]),
}

impl<'a, F: DiskFile> Walk<'a, F> {
    /// Reads the header.
    pub(super) fn new(file: &'a F, path: &'a Path) -> Result<(Self, SnapshotMeta), SnapshotError> {
        let file_bytes = file.len().map_err(SnapshotError::on("stat", path))?;
        let sha256 = Sha256::new();
        let (content_bytes, chunks) = (0, 0);
        let mut walk = Self {
            file,
            path,
            file_bytes,
            offset: 0,
            sha256,
            content_bytes,
            chunks,
        };
        let meta = walk.header()?;
        Ok((walk, meta))
    }

    fn header(&mut self) -> Result<SnapshotMeta, SnapshotError> {
        let front = self.read(0, HEADER_FRONT_BYTES)?;
        let mut fields = Fields(&front);
        let magic = fields.array::<8>();
        let version = fields.u32().unwrap_or(0);
        let len = fields.u32().unwrap_or(u32::MAX) as usize;
        if magic.as_ref() != Some(MAGIC) || len > META_BYTES_MAX {
            return Err(self.corrupt("not the header of a snapshot"));
        }
        if !is_readable(version, SNAPSHOT_VERSION) {
            return Err(self.corrupt(format!("version {version} is not read by this binary")));
        }
        let header = self.read(0, HEADER_FRONT_BYTES + len + 4)?;
        let (checked, crc) = header.split_at(HEADER_FRONT_BYTES + len);
        if crc32c::crc32c(checked).to_le_bytes() != crc {
            return Err(self.corrupt("the header does not have its checksum"));
        }
        let meta = SnapshotMeta::decode(&checked[HEADER_FRONT_BYTES..]);
        let meta = meta.ok_or_else(|| self.corrupt("the header does not decode"))?;
        self.pass(&header);
        Ok(meta)
    }

    /// The next part.
    pub(super) fn next(&mut self) -> Result<Part, SnapshotError> {
        let kind = self.read(self.offset, 4)?;
        match u32::from_le_bytes(*kind.first_chunk().unwrap_or(&[0; 4])) {
            CHUNK => self.chunk().map(Part::Chunk),
            FOOTER => self.footer(),
            _ => Err(self.corrupt("neither a chunk nor the footer")),
        }
    }

    fn chunk(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let front = self.read(self.offset, CHUNK_HEADER_BYTES)?;
        let mut fields = Fields(&front[4..]);
        let mut number = || fields.u32().unwrap_or(u32::MAX);
        let (stored_bytes, content_bytes, crc) = (number(), number(), number());
        let (stored_bytes, content_bytes) = (stored_bytes as usize, content_bytes as usize);
        if stored_bytes > STORED_BYTES_MAX || content_bytes > CHUNK_BYTES {
            return Err(self.corrupt("a chunk larger than chunks are"));
        }
        let chunk = self.read(self.offset, CHUNK_HEADER_BYTES + stored_bytes)?;
        let content = zstd::bulk::decompress(&chunk[CHUNK_HEADER_BYTES..], content_bytes)
            .map_err(|error| self.corrupt(format!("a chunk does not decompress: {error}")))?;
        if content.len() != content_bytes || crc32c::crc32c(&content) != crc {
            return Err(self.corrupt("a chunk does not have its checksum"));
        }
        self.pass(&chunk);
        self.chunks += 1;
        self.content_bytes += content.len() as u64;
        Ok(content)
    }

    fn footer(&mut self) -> Result<Part, SnapshotError> {
        let (footer, totals) = self.read_footer(self.offset)?;
        let (checked, tail) = footer.split_at(footer.len() - FOOTER_TAIL_BYTES);
        self.sha256.update(checked);
        let sha256: [u8; 32] = self.sha256.clone().finalize().into();
        if tail[..SHA256_BYTES] != sha256 && !mutant::is("snapshot-digest-ignored") {
            return Err(self.corrupt("the file does not have its SHA-256"));
        }
        if (totals.content_bytes, totals.chunks) != (self.content_bytes, self.chunks) {
            return Err(self.corrupt("the footer's totals are not those of the chunks"));
        }
        self.offset += footer.len() as u64;
        Ok(Part::Footer(totals, sha256))
    }

    /// The footer at this offset; it ends with the file.
    fn read_footer(&self, offset: u64) -> Result<(Vec<u8>, Totals), SnapshotError> {
        let len = self.file_bytes.saturating_sub(offset);
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= META_BYTES_MAX);
        let footer = self.read(
            offset,
            len.ok_or_else(|| self.corrupt("no footer at the end"))?,
        )?;
        decode_footer(&footer)
            .map(|totals| (footer, totals))
            .ok_or_else(|| self.corrupt("the footer does not decode"))
    }

    /// Reads the footer without looking at the chunks; nothing but its own form is checked.
    pub(super) fn skip_to_footer(&self) -> Result<(Totals, [u8; 32]), SnapshotError> {
        let end = (4 + END_MAGIC.len()) as u64;
        let tail = self.read(self.file_bytes.saturating_sub(end), 4)?;
        let len = u32::from_le_bytes(*tail.first_chunk().unwrap_or(&[0; 4]));
        let (footer, totals) = self.read_footer(self.file_bytes.saturating_sub(len.into()))?;
        let sha256 = footer[footer.len() - FOOTER_TAIL_BYTES..].first_chunk();
        Ok((totals, *sha256.unwrap_or(&[0; 32])))
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    fn pass(&mut self, part: &[u8]) {
        self.sha256.update(part);
        self.offset += part.len() as u64;
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, SnapshotError> {
        if offset.saturating_add(len as u64) > self.file_bytes {
            return Err(self.corrupt("the file ends early"));
        }
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(SnapshotError::on("read", self.path))?;
        Ok(bytes)
    }

    fn corrupt(&self, reason: impl Into<String>) -> SnapshotError {
        let (file, reason) = (self.path.into(), reason.into());
        SnapshotError::Corrupt(Corruption {
            file,
            offset: self.offset,
            reason,
        })
    }
}

fn decode_footer(footer: &[u8]) -> Option<Totals> {
    let mut fields = Fields(footer);
    let kind = fields.u32()?;
    let totals = Totals::decode(fields.sized()?).ok()?;
    let _sha256: [u8; SHA256_BYTES] = fields.array()?;
    let len = fields.u32()? as usize;
    let ends = fields.array()? == *END_MAGIC && fields.is_empty();
    (kind == FOOTER && len == footer.len() && ends).then_some(totals)
}

/// Reads a whole container and checks all of it.
pub(super) fn verify<F: DiskFile>(file: &F, path: &Path) -> Result<SnapshotInfo, SnapshotError> {
    let (mut walk, meta) = Walk::new(file, path)?;
    loop {
        if let Part::Footer(totals, sha256) = walk.next()? {
            return info(&walk, meta, totals, sha256);
        }
    }
}

/// What header and footer say, without a look at the chunks.
pub(super) fn peek<F: DiskFile>(file: &F, path: &Path) -> Result<SnapshotInfo, SnapshotError> {
    let (walk, meta) = Walk::new(file, path)?;
    let (totals, sha256) = walk.skip_to_footer()?;
    info(&walk, meta, totals, sha256)
}

fn info<F: DiskFile>(
    walk: &Walk<'_, F>,
    meta: SnapshotMeta,
    totals: Totals,
    sha256: [u8; 32],
) -> Result<SnapshotInfo, SnapshotError> {
    if totals.state_hash != meta.state_hash.to_be_bytes() {
        return Err(walk.corrupt("header and footer name different state hashes"));
    }
    let Totals {
        content_bytes,
        counts,
        ..
    } = totals;
    Ok(SnapshotInfo {
        meta,
        content_bytes,
        file_bytes: walk.file_bytes(),
        counts,
        sha256,
    })
}

/// Bytes of the whole and good parts at the front of an unfinished container; 0 if not even the header is.
pub(super) fn good_prefix<F: DiskFile>(file: &F, path: &Path) -> Result<u64, SnapshotError> {
    let damage_is = |good: u64, error: SnapshotError| match error {
        SnapshotError::Corrupt(_) => Ok(good),
        other => Err(other),
    };
    let mut walk = match Walk::new(file, path) {
        Ok((walk, _)) => walk,
        Err(error) => return damage_is(0, error),
    };
    loop {
        match walk.next() {
            Ok(Part::Chunk(_)) => {}
            Ok(Part::Footer(..)) => return Ok(walk.offset),
            Err(error) => return damage_is(walk.offset, error),
        }
    }
}
