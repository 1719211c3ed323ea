//! Who a data directory belongs to (DESIGN 6.1), and the file that says so.
//!
//! ```text
//! identity:  magic "DMQIDENT" | version u32 | segment_bytes u64 | header_seed u64
//!          | incarnation number u64, nonce u64 | node u32 | directory u128
//!          | cluster id: length u32, UTF-8 | CRC32C of all before u32
//! ```

use std::fmt;

use dmq_raft::{DirectoryId, MemberId, NodeId};

use crate::codec::{Fields, put_sized};
use crate::format_version::{DATA_DIR_VERSION, is_readable};

const MAGIC: &[u8; 8] = b"DMQIDENT";

/// One unbroken log history: a number and 64 random bits; equal only if both are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// 1 for the first, then counting restores and forced recoveries.
    pub number: u64,
    /// 0 for the first, random bits for the others.
    pub nonce: u64,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nonce {
            0 => write!(f, "{}", self.number),
            nonce => write!(f, "{}-{nonce:016x}", self.number),
        }
    }
}

/// What `format` writes once and nothing changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the DMQ cluster, 1-64 of `[A-Za-z0-9_-]`.
    pub cluster_id: String,
    /// The log history that the directory takes part in.
    pub incarnation: Incarnation,
    /// The node's number.
    pub node: NodeId,
    /// This directory's own id.
    pub directory: DirectoryId,
}

impl Identity {
    /// The member that runs on this directory.
    pub fn member(&self) -> MemberId {
        MemberId {
            node: self.node,
            directory: self.directory,
        }
    }

    /// Whether both are the same node's place in the same history; the directory id may differ.
    pub fn is_same_node(&self, other: &Self) -> bool {
        self.cluster_id == other.cluster_id
            && self.incarnation == other.incarnation
            && self.node == other.node
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster_id,
            incarnation,
            node,
            directory,
        } = self;
        write!(
            f,
            "cluster {cluster_id}, incarnation {incarnation}, node {node}, "
        )?;
        write!(f, "directory {directory}")
    }
}

/// The content of the identity file: the identity, and what only the log's format needs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdentityFile {
    /// Who the directory belongs to.
    pub(crate) identity: Identity,
    /// Exact size of every segment of this directory, in bytes.
    pub(crate) segment_bytes: u64,
    /// Seeds the checksum of every frame header, so that no payload can forge one. Never shown, hence no
    /// `Debug` on this type.
    pub(crate) header_seed: u64,
}

/// Why an identity file was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadIdentity {
    /// Another version.
    Version(u32),
    /// Damaged, or not an identity file.
    Damaged,
}

impl IdentityFile {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Identity {
            cluster_id,
            incarnation,
            node,
            directory,
        } = &self.identity;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&DATA_DIR_VERSION.to_le_bytes());
        out.extend_from_slice(&self.segment_bytes.to_le_bytes());
        out.extend_from_slice(&self.header_seed.to_le_bytes());
        out.extend_from_slice(&incarnation.number.to_le_bytes());
        out.extend_from_slice(&incarnation.nonce.to_le_bytes());
        out.extend_from_slice(&node.0.to_le_bytes());
        out.extend_from_slice(&directory.0.to_le_bytes());
        put_sized(&mut out, cluster_id.as_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads the bytes of the file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadIdentity> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(BadIdentity::Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) || !body.starts_with(MAGIC) {
            return Err(BadIdentity::Damaged);
        }
        let mut fields = Fields(&body[MAGIC.len()..]);
        let version = fields.u32().ok_or(BadIdentity::Damaged)?;
        if !is_readable(version, DATA_DIR_VERSION) {
            return Err(BadIdentity::Version(version));
        }
        Self::decode_fields(&mut fields)
            .filter(|_| fields.is_empty())
            .ok_or(BadIdentity::Damaged)
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let segment_bytes = fields.u64()?;
        let header_seed = fields.u64()?;
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
            identity,
            segment_bytes,
            header_seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> IdentityFile {
        IdentityFile {
            identity: Identity {
                cluster_id: "dmq".into(),
                incarnation: Incarnation {
                    number: 2,
                    nonce: 77,
                },
                node: NodeId(3),
                directory: DirectoryId(0x1234_5678),
            },
            segment_bytes: 1 << 16,
            header_seed: 99,
        }
    }

    #[test]
    fn decode_returns_what_encode_wrote() {
        assert!(IdentityFile::decode(&example().encode()) == Ok(example()));
    }

    #[test]
    fn every_flipped_bit_and_every_prefix_is_damage() {
        let bytes = example().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                IdentityFile::decode(&flipped) == Err(BadIdentity::Damaged),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                IdentityFile::decode(&bytes[..len]) == Err(BadIdentity::Damaged),
                "{len}"
            );
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = example().encode();
        bytes.truncate(bytes.len() - 4);
        bytes[8..12].copy_from_slice(&9u32.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        assert!(IdentityFile::decode(&bytes) == Err(BadIdentity::Version(9)));
    }
}
