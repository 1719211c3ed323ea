//! The membership in force: who votes, who only replicates, and what a majority is.
//!
//! All quorum arithmetic of the crate lives here, joint consensus (dissertation 4.3) included: while one
//! voter set replaces another, both must agree, and callers need not know.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;

use crate::mutant;
use crate::{DirectoryId, MemberId, NodeId};

/// A voter set with its learners; *joint* while one voter set replaces another. Counted by (node id,
/// directory id), never by node id alone. The empty one is that of an uninitialised member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// Members whose votes and acknowledgements count; the new set while joint.
    pub voters: BTreeSet<MemberId>,
    /// The voter set that is being replaced, whose majority must agree as well; empty unless joint.
    pub outgoing: BTreeSet<MemberId>,
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
    /// A node stands twice in one set, under two directories.
    #[error("node {0} appears twice")]
    Duplicate(NodeId),
    /// A member both votes and does not.
    #[error("member {0} is both voter and learner")]
    VoterAndLearner(MemberId),
}

/// The simple form: one voter set.
const FORM_SIMPLE: u32 = 1;
/// The joint form: two voter sets. A form of its own, so that a binary which does not know it refuses it
/// instead of counting with half of the voters.
const FORM_JOINT: u32 = 2;

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
    #[prost(message, repeated, tag = "4")]
    outgoing: Vec<MemberRecord>,
}

impl Configuration {
    /// A configuration of voters without learners.
    pub fn of_voters(voters: impl IntoIterator<Item = MemberId>) -> Self {
        Self {
            voters: voters.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The configuration that leads from this simple one to other voters: both sets decide. Learners that
    /// become voters are learners no more.
    #[must_use]
    pub fn joint_with(&self, voters: BTreeSet<MemberId>) -> Self {
        let learners = self.learners.difference(&voters).copied().collect();
        Self {
            outgoing: self.voters.clone(),
            voters,
            learners,
        }
    }

    /// The simple configuration that a joint one leads to.
    #[must_use]
    pub fn final_one(&self) -> Self {
        Self {
            outgoing: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// Whether the member has no configuration yet.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty() && self.learners.is_empty()
    }

    /// Whether two voter sets decide together.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether this member's vote counts, in either set.
    pub fn is_voter(&self, member: &MemberId) -> bool {
        self.voters.contains(member) || self.outgoing.contains(member)
    }

    /// Whether this member replicates without being counted.
    pub fn is_learner(&self, member: &MemberId) -> bool {
        self.learners.contains(member)
    }

    /// Whether this member takes part in any way.
    pub fn is_member(&self, member: &MemberId) -> bool {
        self.is_voter(member) || self.is_learner(member)
    }

    /// Everybody whose vote counts, each once, in the order of their ids.
    pub fn all_voters(&self) -> impl Iterator<Item = &MemberId> {
        self.voters.union(&self.outgoing)
    }

    /// Voters and learners, each once, in the order of their ids within either group.
    pub fn members(&self) -> impl Iterator<Item = &MemberId> {
        self.all_voters().chain(&self.learners)
    }

    /// Whether the members for which `says` holds decide: a majority of the voters, and of the outgoing
    /// ones while joint. False without voters.
    pub fn has_quorum(&self, says: impl Fn(&MemberId) -> bool) -> bool {
        let majority = |set: &BTreeSet<MemberId>| {
            set.iter().filter(|member| says(member)).count() > set.len() / 2
        };
        let by_one_set = !self.is_joint() || mutant::is("vote-by-new-set-alone");
        majority(&self.voters) && (by_one_set || majority(&self.outgoing))
    }

    /// The highest value that a quorum has reached, if every voter's own is `value_of`: the commit
    /// index from matched indexes, or a confirmed round from answered rounds. The default value
    /// without voters.
    pub fn quorum_value<T: Copy + Ord + Default>(&self, value_of: impl Fn(&MemberId) -> T) -> T {
        if mutant::is("learner-counts") {
            return majority_value(
                &self.voters.union(&self.learners).copied().collect(),
                &value_of,
            );
        }
        if mutant::is("commit-by-old-set-alone") && self.is_joint() {
            return majority_value(&self.outgoing, &value_of);
        }
        let reached = majority_value(&self.voters, &value_of);
        if self.is_joint() && !mutant::is("commit-by-new-set-alone") {
            reached.min(majority_value(&self.outgoing, &value_of))
        } else {
            reached
        }
    }

    /// Checks what every configuration in a log must fulfil. A node may stand in two sets under different
    /// directories, for that is how a wiped member is replaced, but never twice in one.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigurationError> {
        if self.voters.is_empty() {
            return Err(ConfigurationError::NoVoters);
        }
        for set in [&self.voters, &self.outgoing, &self.learners] {
            // The sets are ordered by node id first.
            let twice = set
                .iter()
                .zip(set.iter().skip(1))
                .find(|(a, b)| a.node == b.node);
            if let Some((member, _)) = twice {
                return Err(ConfigurationError::Duplicate(member.node));
            }
        }
        match self.learners.iter().find(|learner| self.is_voter(learner)) {
            Some(both) => Err(ConfigurationError::VoterAndLearner(*both)),
            None => Ok(()),
        }
    }

    /// The bytes of a configuration entry; equal configurations have equal bytes.
    pub fn encode(&self) -> Bytes {
        let records = |set: &BTreeSet<MemberId>| set.iter().map(MemberRecord::from).collect();
        let form = if self.is_joint() {
            FORM_JOINT
        } else {
            FORM_SIMPLE
        };
        let record = ConfigurationRecord {
            form,
            voters: records(&self.voters),
            learners: records(&self.learners),
            outgoing: records(&self.outgoing),
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
        if ![FORM_SIMPLE, FORM_JOINT].contains(&record.form) {
            let (found, known) = (record.form, FORM_JOINT);
            return Err(ConfigurationError::UnknownForm { found, known });
        }
        if (record.form == FORM_JOINT) == record.outgoing.is_empty() {
            let text = "outgoing voters belong to the joint form, and to it alone";
            return Err(ConfigurationError::Malformed(text.to_owned()));
        }
        let members = |records: Vec<MemberRecord>| -> Result<BTreeSet<MemberId>, _> {
            records.into_iter().map(MemberId::try_from).collect()
        };
        Ok(Self {
            voters: members(record.voters)?,
            outgoing: members(record.outgoing)?,
            learners: members(record.learners)?,
        })
    }
}

/// The highest value that a majority of `set` has reached.
fn majority_value<T: Copy + Ord + Default>(
    set: &BTreeSet<MemberId>,
    value_of: impl Fn(&MemberId) -> T,
) -> T {
    let reached = |least: T| set.iter().filter(|m| value_of(m) >= least).count() > set.len() / 2;
    let values = set.iter().map(&value_of);
    values
        .filter(|value| reached(*value))
        .max()
        .unwrap_or_default()
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
        let of_form = |form| ConfigurationRecord {
            form,
            ..Default::default()
        };
        let refused = ConfigurationError::UnknownForm { found: 3, known: 2 };
        assert_eq!(
            Configuration::decode(&of_form(3).encode_to_vec()),
            Err(refused)
        );
        assert!(Configuration::decode(&of_form(2).encode_to_vec()).is_err());
        let mut outgoing = of_form(1);
        outgoing.outgoing.push(MemberRecord::from(&member(1)));
        assert!(Configuration::decode(&outgoing.encode_to_vec()).is_err());
        for bytes in [&[][..], &[8, 1, 18, 3, 8, 1], &[8, 1, 18, 2, 8, 1]] {
            assert!(Configuration::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_node_stands_once_in_a_set_and_somebody_must_vote() {
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
            Err(ConfigurationError::VoterAndLearner(member(1)))
        );
    }

    #[test]
    fn a_wiped_member_may_stand_beside_its_next_directory() {
        let again = MemberId {
            node: NodeId(2),
            directory: DirectoryId(9),
        };
        let mut configuration = of(&[1, 2, 3]);
        configuration.learners.insert(again);
        assert_eq!(configuration.validate(), Ok(()));
        let joint = configuration.joint_with([member(1), again, member(3)].into());
        assert_eq!(joint.validate(), Ok(()));
        assert!(joint.is_voter(&again) && joint.is_voter(&member(2)) && joint.learners.is_empty());
        assert_eq!(joint.all_voters().count(), 4);
        assert!(!joint.final_one().is_voter(&member(2)));
    }

    #[test]
    fn both_sets_decide_while_joint() {
        let joint = of(&[1, 2, 3]).joint_with([member(3), member(4), member(5)].into());
        let says = |nodes: &[u32]| joint.has_quorum(|m| nodes.contains(&m.node.0));
        assert!(says(&[2, 3, 4]) && says(&[1, 2, 4, 5]));
        assert!(!says(&[1, 2, 3]), "the new set alone is missing");
        assert!(!says(&[3, 4, 5]), "the old set alone is missing");
        let reached = joint.quorum_value(|m| [9, 9, 4, 7, 1][m.node.0 as usize - 1]);
        assert_eq!(reached, 4);
        assert_eq!(joint.final_one(), of(&[3, 4, 5]));
    }

    #[test]
    fn a_joint_one_reads_back_and_has_a_form_of_its_own() {
        let joint = of(&[1]).joint_with([member(2)].into());
        let bytes = joint.encode();
        assert_eq!(bytes[..2], [8, 2]);
        assert_eq!(Configuration::decode(&bytes), Ok(joint));
    }
}
