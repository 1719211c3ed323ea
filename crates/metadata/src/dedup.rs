//! The row of deduplication: what a request with an idempotency key was answered.

use crate::ids::{LogTime, MetadataIndex};
use crate::names::{IdempotencyKey, Principal};
use crate::outcome::Outcome;

/// How long an answer is kept, in log time: 5 minutes.
pub const DEDUP_RETENTION_MS: u64 = 5 * 60 * 1000;
/// Most answers kept at a time; beyond, requests with a key get `TOO_MANY_REQUESTS`.
/// At 300 bytes each that is 30 MB, and 333 keyed requests per second for 5 minutes.
pub const DEDUP_ENTRIES_MAX: usize = 100_000;

/// Key of deduplication: keys of different principals never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupKey {
    /// Who sent the request.
    pub principal: Principal,
    /// The client's key.
    pub key: IdempotencyKey,
}

/// 128 bits that tell one request body from another; see [`Fingerprint::of`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

/// The client's part of deduplication in an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: IdempotencyKey,
    /// Of method, path and body, so that a key is not used for two things.
    pub fingerprint: Fingerprint,
}

/// What a keyed request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupEntry {
    /// Principal and idempotency key.
    pub key: DedupKey,
    /// Fingerprint of the request that was answered.
    pub fingerprint: Fingerprint,
    /// Index of the entry that was answered.
    pub index: MetadataIndex,
    /// Log time of that entry; the row expires [`DEDUP_RETENTION_MS`] later.
    pub log_time: LogTime,
    /// The answer, rejections included.
    pub outcome: Outcome,
}

impl Fingerprint {
    /// Fingerprint of the parts of a request, in order; their lengths count too.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest128())
    }
}

impl DedupEntry {
    /// Whether the answer is no longer kept at this time.
    pub fn is_expired(&self, now: LogTime) -> bool {
        self.log_time.after_ms(DEDUP_RETENTION_MS) <= now
    }
}
