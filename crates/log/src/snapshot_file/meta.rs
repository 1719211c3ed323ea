//! What a snapshot file says about itself, and how one is offered to a peer.

use std::collections::BTreeMap;

use bytes::Bytes;
use dmq_raft::{Configuration, EntryId, LogIndex};
use prost::Message;

use crate::identity::Incarnation;

/// What is known when a snapshot begins: the position of the image and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that it covers.
    pub last: EntryId,
    /// The configuration in force at `last`, and the index of its entry.
    pub configuration: (LogIndex, Configuration),
    /// The cluster.
    pub cluster_id: String,
    /// The log history.
    pub incarnation: Incarnation,
    /// The feature level that defines the form of the content.
    pub feature_level: u32,
    /// The state hash of the image.
    pub state_hash: u128,
}

/// A whole snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its beginning.
    pub meta: SnapshotMeta,
    /// Bytes of the content, uncompressed.
    pub content_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// How many of what it holds, as its writer counted.
    pub counts: BTreeMap<String, u64>,
    /// SHA-256 of the file up to this very field.
    pub sha256: [u8; 32],
}

/// Which file a leader is about to send; a transfer resumes only if all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// The last entry that it covers.
    pub last: EntryId,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// [`SnapshotInfo::sha256`].
    pub sha256: [u8; 32],
}

impl SnapshotInfo {
    /// The offer of this file.
    pub fn offer(&self) -> SnapshotOffer {
        let (last, sha256) = (self.meta.last, self.sha256);
        SnapshotOffer {
            last,
            file_bytes: self.file_bytes,
            sha256,
        }
    }
}

impl SnapshotMeta {
    /// Its bytes (protobuf).
    pub fn encode(&self) -> Bytes {
        let (configuration_index, configuration) = &self.configuration;
        let record = MetaRecord {
            term: self.last.term.0,
            index: self.last.index.0,
            configuration_index: configuration_index.0,
            configuration: configuration.encode().to_vec(),
            cluster_id: self.cluster_id.clone(),
            incarnation_number: self.incarnation.number,
            incarnation_nonce: self.incarnation.nonce,
            feature_level: self.feature_level,
            state_hash: self.state_hash.to_be_bytes().to_vec(),
        };
        record.encode_to_vec().into()
    }

    /// Reads what [`Self::encode`] wrote; `None` if it did not.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let record = MetaRecord::decode(bytes).ok()?;
        let configuration = Configuration::decode(&record.configuration).ok()?;
        Some(Self {
            last: EntryId::checked(record.term, record.index)?,
            configuration: (
                LogIndex::checked(record.configuration_index)?,
                configuration,
            ),
            cluster_id: record.cluster_id,
            incarnation: Incarnation {
                number: record.incarnation_number,
                nonce: record.incarnation_nonce,
            },
            feature_level: record.feature_level,
            state_hash: u128::from_be_bytes(record.state_hash.try_into().ok()?),
        })
    }
}

impl SnapshotOffer {
    /// Its bytes (protobuf).
    pub fn encode(&self) -> Bytes {
        let record = OfferRecord {
            term: self.last.term.0,
            index: self.last.index.0,
            file_bytes: self.file_bytes,
            sha256: self.sha256.to_vec(),
        };
        record.encode_to_vec().into()
    }

    /// Reads what [`Self::encode`] wrote; `None` if it did not.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let record = OfferRecord::decode(bytes).ok()?;
        let last = EntryId::checked(record.term, record.index)?;
        let sha256 = record.sha256.try_into().ok()?;
        Some(Self {
            last,
            file_bytes: record.file_bytes,
            sha256,
        })
    }
}

/// What is known when a snapshot ends.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Totals {
    #[prost(uint64, tag = "1")]
    pub(super) content_bytes: u64,
    #[prost(uint64, tag = "2")]
    pub(super) chunks: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) state_hash: Vec<u8>,
    #[prost(btree_map = "string, uint64", tag = "4")]
    pub(super) counts: BTreeMap<String, u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct MetaRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    configuration_index: u64,
    #[prost(bytes = "vec", tag = "4")]
    configuration: Vec<u8>,
    #[prost(string, tag = "5")]
    cluster_id: String,
    #[prost(uint64, tag = "6")]
    incarnation_number: u64,
    #[prost(fixed64, tag = "7")]
    incarnation_nonce: u64,
    #[prost(uint32, tag = "8")]
    feature_level: u32,
    #[prost(bytes = "vec", tag = "9")]
    state_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct OfferRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    file_bytes: u64,
    #[prost(bytes = "vec", tag = "4")]
    sha256: Vec<u8>,
}
