//! Numbers and identifiers of the domain: a newtype for each, so that a term is never taken for an epoch.

use std::fmt;

use uuid::Uuid;

/// Defines an ordered newtype over a plain number or UUID that prints as its content.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// Defines `next` for numbers that grow by one with every change.
macro_rules! counter {
    ($($name:ident),*) => {$(
        impl $name {
            /// The value after this one; the highest value stays, which no real history reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
    )*};
}

id! {
    /// Number of a node of the quorum. Range: 1 and up.
    NodeId(u32)
}
id! {
    /// UUID of one data directory: a wiped disk comes back under another one (KIP-853).
    DirectoryId(Uuid)
}
id! {
    /// Raft term; 0 means "before the first election".
    Term(u64)
}
id! {
    /// Index of an entry in the metadata log. The first entry has 1; 0 means "before the first entry".
    MetadataIndex(u64)
}
id! {
    /// Number of a broker. Range: 0 and up, as in Kafka.
    BrokerId(u32)
}
id! {
    /// Fencing number of a broker's registration: the metadata index at which it was made (KIP-631).
    BrokerEpoch(u64)
}
id! {
    /// UUID of one run of a broker process; a restart draws another one (KIP-631).
    BrokerIncarnation(Uuid)
}
id! {
    /// UUID of a topic; a re-created topic has another one (KIP-516).
    TopicId(Uuid)
}
id! {
    /// Number of a partition within its topic. Range: 0 to the topic's partition count less one.
    PartitionId(u32)
}
id! {
    /// Fencing number of a partition's leader: grows whenever the leader changes or is lost.
    LeaderEpoch(u32)
}
id! {
    /// Version of a partition's state: grows with every change of its row (KIP-841).
    PartitionEpoch(u32)
}
id! {
    /// UUID of one request, drawn by the node that took it; for traces and for `GET /requests/{id}`.
    RequestId(Uuid)
}
id! {
    /// Time at work in milliseconds: what controllers measured since the first one took office.
    /// It never runs backwards and is no date; deduplication expires by it.
    LogTime(u64)
}
id! {
    /// Milliseconds since 1970-01-01 UTC by some controller's clock. For people; decides nothing.
    WallTime(i64)
}
id! {
    /// Version of command semantics, encodings and hashed bytes. A new image has 0.
    FeatureLevel(u32)
}

counter!(Term, MetadataIndex, LeaderEpoch, PartitionEpoch);

/// One unbroken log history: restore and forced recovery draw the next one.
/// Two are equal only if both parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Counts the histories of a cluster from 1.
    pub number: u64,
    /// 64 random bits; 0 for the first history.
    pub nonce: u64,
}

impl Incarnation {
    /// The history that `initialize` begins.
    pub const FIRST: Self = Self {
        number: 1,
        nonce: 0,
    };
}

impl fmt::Display for Incarnation {
    /// `1` for the first history, else `<number>-<nonce as 16 hex digits>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nonce {
            0 => self.number.fmt(f),
            nonce => write!(f, "{}-{nonce:016x}", self.number),
        }
    }
}

impl FeatureLevel {
    /// The level of a new image, at which only `SET_FEATURE_LEVEL` and no-ops apply.
    pub const ZERO: Self = Self(0);
    /// The highest level that this binary reads, applies and writes.
    pub const MAX: Self = Self(1);
}

impl LogTime {
    /// The time `milliseconds` later; the end of time stays.
    #[must_use]
    pub const fn after_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}
