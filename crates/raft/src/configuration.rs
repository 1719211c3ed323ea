//! The membership in force: who votes, who only replicates, and what a majority is.

use std::collections::BTreeSet;

use crate::MemberId;

/// A voter set with its learners. Counted by (node id, directory id), never by node id alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// Members whose votes and acknowledgements count.
    pub voters: BTreeSet<MemberId>,
    /// Members that replicate without being counted.
    pub learners: BTreeSet<MemberId>,
}
