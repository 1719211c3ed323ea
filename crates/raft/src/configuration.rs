//! The membership in force: who votes, who only replicates, and what a majority is.
//!
//! All quorum arithmetic of the crate lives here. Joint consensus (dissertation 4.3) adds a second
//! voter set to this type and nothing to its callers.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;

use crate::{DirectoryId, MemberId, NodeId};

/// A voter set with its learners. Counted by (node id, directory id), never by node id alone.
/// The empty one is that of an uninitialised member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// Members whose votes and acknowledgements count.
    pub voters: BTreeSet<MemberId>,
    /// Members that replicate without being counted.
    pub learners: BTreeSet<MemberId>,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Not the encoding of one.
    #[error("malformed configuration: {0}")]
    Malformed(String),
    /// Written by a newer version, with rules that this one does not know.
    #[error("configuration of form {found}, this version knows up to {known}")]
    UnknownForm {
        /// The form in the encoding.
        found: u32,
        /// The highest form that this version reads.
        known: u32,
    },
    /// There must be at least one voter.
    #[error("no voters")]
    NoVoters,
    /// A node takes part twice: as voter and learner, or under two directories.
    #[error("node {0} appears twice")]
    Duplicate(NodeId),
}

/// The simple form: one voter set. A joint one will be form 2, so that a binary which does not know
/// it refuses it instead of counting with half of the voters.
const FORM_SIMPLE: u32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct MemberRecord {
    #[prost(uint32, tag = "1")]
    node: u32,
    #[prost(bytes = "vec", tag = "2")]
    directory: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ConfigurationRecord {
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(message, repeated, tag = "2")]
    voters: Vec<MemberRecord>,
    #[prost(message, repeated, tag = "3")]
    learners: Vec<MemberRecord>,
}

impl Configuration {
    /// A configuration of voters without learners.
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            learners: BTreeSet::new(),
        }
    }

    /// Whether the member has no configuration yet.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty() && self.learners.is_empty()
    }

    /// Whether this member's vote counts.
    pub fn is_voter(&self, member: &MemberId) -> bool {
        self.voters.contains(member)
    }

    /// Whether this member replicates without being counted.
    pub fn is_learner(&self, member: &MemberId) -> bool {
        self.learners.contains(member)
    }

    /// Voters and learners, each once, in the order of their ids within either group.
    pub fn members(&self) -> impl Iterator<Item = &MemberId> {
        self.voters.iter().chain(&self.learners)
    }

    /// Whether the members for which `says` holds decide. False without voters.
    pub fn has_quorum(&self, says: impl Fn(&MemberId) -> bool) -> bool {
        let count = self.voters.iter().filter(|member| says(member)).count();
        count > self.voters.len() / 2
    }

    /// The highest value that a quorum has reached, if every voter's own is `value_of`: the commit
    /// index from matched indexes, or a confirmed round from answered rounds. The default value
    /// without voters.
    pub fn quorum_value<T: Copy + Ord + Default>(&self, value_of: impl Fn(&MemberId) -> T) -> T {
        let reached = |least: T| self.has_quorum(|member| value_of(member) >= least);
        let values = self.voters.iter().map(&value_of);
        values
            .filter(|value| reached(*value))
            .max()
            .unwrap_or_default()
    }

    /// Checks what every configuration in a log must fulfil.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigurationError> {
        if self.voters.is_empty() {
            return Err(ConfigurationError::NoVoters);
        }
        let mut seen = BTreeSet::new();
        match self.members().find(|member| !seen.insert(member.node)) {
            Some(twice) => Err(ConfigurationError::Duplicate(twice.node)),
            None => Ok(()),
        }
    }

    /// The bytes of a configuration entry; equal configurations have equal bytes.
    pub fn encode(&self) -> Bytes {
        let records = |set: &BTreeSet<MemberId>| set.iter().map(MemberRecord::from).collect();
        let record = ConfigurationRecord {
            form: FORM_SIMPLE,
            voters: records(&self.voters),
            learners: records(&self.learners),
        };
        record.encode_to_vec().into()
    }

    /// Reads what [`Self::encode`] wrote. Does not [`Self::validate`]: the start of an empty log has
    /// an empty configuration.
    ///
    /// # Errors
    /// Malformed bytes, or a form that this version does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let record = ConfigurationRecord::decode(bytes)
            .map_err(|error| ConfigurationError::Malformed(error.to_string()))?;
        if record.form != FORM_SIMPLE {
            let (found, known) = (record.form, FORM_SIMPLE);
            return Err(ConfigurationError::UnknownForm { found, known });
        }
        let members = |records: Vec<MemberRecord>| -> Result<BTreeSet<MemberId>, _> {
            records.into_iter().map(MemberId::try_from).collect()
        };
        Ok(Self {
            voters: members(record.voters)?,
            learners: members(record.learners)?,
        })
    }
}

impl From<&MemberId> for MemberRecord {
    fn from(member: &MemberId) -> Self {
        Self {
            node: member.node.0,
            directory: member.directory.0.to_be_bytes().to_vec(),
        }
    }
}

impl TryFrom<MemberRecord> for MemberId {
    type Error = ConfigurationError;

    fn try_from(record: MemberRecord) -> Result<Self, ConfigurationError> {
        let length = record.directory.len();
        let directory: [u8; 16] = record.directory.try_into().map_err(|_| {
            ConfigurationError::Malformed(format!("directory id of {length} bytes, must be 16"))
        })?;
        let directory = DirectoryId(u128::from_be_bytes(directory));
        Ok(Self {
            node: NodeId(record.node),
            directory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u32) -> MemberId {
        MemberId {
            node: NodeId(node),
            directory: DirectoryId(u128::from(node) << 100 | 7),
        }
    }

    fn of(nodes: &[u32]) -> Configuration {
        Configuration::of_voters(nodes.iter().copied().map(member))
    }

    #[test]
    fn a_quorum_is_more_than_half_of_the_voters() {
        for (size, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            let configuration = of(&(1..=size).collect::<Vec<_>>());
            assert!(
                configuration.has_quorum(|m| m.node.0 <= needed),
                "{needed} of {size}"
            );
            assert!(
                !configuration.has_quorum(|m| m.node.0 < needed),
                "under {needed} of {size}"
            );
        }
        assert!(!Configuration::default().has_quorum(|_| true));
    }

    #[test]
    fn the_quorum_value_is_the_highest_one_that_a_majority_reached() {
        let values = |configuration: &Configuration, values: &[u64]| {
            configuration.quorum_value(|m| values[m.node.0 as usize - 1])
        };
        assert_eq!(values(&of(&[1]), &[4]), 4);
        assert_eq!(values(&of(&[1, 2]), &[4, 9]), 4);
        assert_eq!(values(&of(&[1, 2, 3]), &[9, 1, 5]), 5);
        assert_eq!(values(&of(&[1, 2, 3, 4]), &[9, 1, 5, 7]), 5);
        assert_eq!(values(&of(&[1, 2, 3, 4, 5]), &[3, 3, 8, 1, 9]), 3);
        assert_eq!(values(&Configuration::default(), &[]), 0);
    }

    #[test]
    fn learners_and_strangers_do_not_count() {
        let mut configuration = of(&[1, 2, 3]);
        configuration.learners.insert(member(4));
        let stranger = MemberId {
            node: NodeId(2),
            directory: DirectoryId(0),
        };
        assert!(!configuration.has_quorum(|m| [member(1), member(4), stranger].contains(m)));
    }

    #[test]
    fn encoding_has_these_bytes_and_reads_back() {
        let mut configuration = of(&[1]);
        configuration.learners.insert(member(2));
        let bytes = configuration.encode();
        let mut golden = vec![8, 1, 18, 20, 8, 1, 18, 16, 0, 0, 0, 16];
        golden.extend([0; 11]);
        golden.extend([7, 26, 20, 8, 2, 18, 16, 0, 0, 0, 32]);
        golden.extend([0; 11]);
        golden.push(7);
        assert_eq!(bytes.to_vec(), golden);
        assert_eq!(Configuration::decode(&bytes), Ok(configuration));
        let empty = Configuration::default();
        assert_eq!(Configuration::decode(&empty.encode()), Ok(empty));
    }

    #[test]
    fn unknown_forms_and_broken_bytes_are_refused() {
        let joint = ConfigurationRecord {
            form: 2,
            ..Default::default()
        }
        .encode_to_vec();
        let refused = ConfigurationError::UnknownForm { found: 2, known: 1 };
        assert_eq!(Configuration::decode(&joint), Err(refused));
        for bytes in [&[][..], &[8, 1, 18, 3, 8, 1], &[8, 1, 18, 2, 8, 1]] {
            assert!(Configuration::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_node_may_appear_once_and_somebody_must_vote() {
        assert_eq!(of(&[]).validate(), Err(ConfigurationError::NoVoters));
        assert_eq!(of(&[1, 2]).validate(), Ok(()));
        let mut twice = of(&[1, 2]);
        twice.voters.insert(MemberId {
            node: NodeId(2),
            directory: DirectoryId(0),
        });
        assert_eq!(
            twice.validate(),
            Err(ConfigurationError::Duplicate(NodeId(2)))
        );
        let mut both = of(&[1, 2]);
        both.learners.insert(member(1));
        assert_eq!(
            both.validate(),
            Err(ConfigurationError::Duplicate(NodeId(1)))
        );
    }
}
