//! Newtypes of the consensus core: who takes part, in which term, at which index.

use std::fmt;

/// Number of a node, unique within one quorum. Range: 1 and up; 0 is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// UUID of one data directory: a wiped disk comes back under another one (KIP-853).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u128);

/// A participant of the quorum. Two members with one node id but different directories are strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId {
    /// The node's number.
    pub node: NodeId,
    /// The data directory that the node runs on.
    pub directory: DirectoryId,
}

/// Raft term (dissertation section 3.3). 0 means "before the first election".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// Index in the Raft log. The first entry has index 1; 0 means "before the first entry".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// Position of an entry: equal positions mean equal logs up to there (Log Matching, dissertation 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Term in which a leader created the entry. First, so that `Ord` is Raft's up-to-date order.
    pub term: Term,
    /// Index of the entry.
    pub index: LogIndex,
}

impl EntryId {
    /// The position before the first entry of a new log.
    pub const ZERO: Self = Self {
        term: Term(0),
        index: LogIndex(0),
    };

    /// A position from its two parts.
    pub const fn new(term: Term, index: LogIndex) -> Self {
        Self { term, index }
    }

    /// A position that somebody else wrote; `None` beyond [`Term::MAX`] or [`LogIndex::MAX`].
    pub fn checked(term: u64, index: u64) -> Option<Self> {
        Some(Self::new(Term::checked(term)?, LogIndex::checked(index)?))
    }
}

impl LogIndex {
    /// The largest index that is taken from a disk or a peer: 2^63 - 1, which a signed number of eight bytes still
    /// holds (a SQL `BIGINT`, a Java `long`). What is counted on from there cannot overflow in this world's time.
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    /// An index that somebody else wrote; `None` beyond [`Self::MAX`].
    pub fn checked(index: u64) -> Option<Self> {
        (index <= Self::MAX.0).then_some(Self(index))
    }

    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The index before this one; 0 stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Term {
    /// The largest term that is taken from a disk or a peer: 2^63 - 1, as for [`LogIndex::MAX`].
    pub const MAX: Self = Self(i64::MAX.cast_unsigned());

    /// A term that somebody else wrote; `None` beyond [`Self::MAX`].
    pub fn checked(term: u64) -> Option<Self> {
        (term <= Self::MAX.0).then_some(Self(term))
    }

    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Display for DirectoryId {
    /// The usual hyphenated form of a UUID.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        f.write_str(&parts.join("-"))
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.directory)
    }
}
