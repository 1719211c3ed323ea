//! A row of any kind, as hashes, snapshots and stores see it.

use std::iter::Sum;
use std::{fmt, ops};

use crate::broker::Broker;
use crate::dedup::DedupEntry;
use crate::ids::{FeatureLevel, LogTime};
use crate::partition::Partition;
use crate::topic::Topic;

/// The one row without a key: what the image knows besides topics, brokers and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Version of command semantics in force.
    pub feature_level: FeatureLevel,
    /// Time at work so far.
    pub log_time: LogTime,
}

/// A borrowed row. The order of the variants is the canonical order of the kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    /// The settings.
    Settings(&'a Settings),
    /// A topic.
    Topic(&'a Topic),
    /// A partition.
    Partition(&'a Partition),
    /// A broker.
    Broker(&'a Broker),
    /// An answer.
    Dedup(&'a DedupEntry),
}

/// Sum of row hashes modulo 2^128: the order of the rows does not matter, and a row can be taken out again.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(pub u128);

impl ops::AddAssign for StateHash {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl ops::SubAssign for StateHash {
    fn sub_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl Sum for StateHash {
    fn sum<I: Iterator<Item = Self>>(hashes: I) -> Self {
        hashes.fold(Self::default(), |mut total, hash| {
            total += hash;
            total
        })
    }
}

impl fmt::Display for StateHash {
    /// 32 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
