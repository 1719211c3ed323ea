//! Changes of the membership between the words of the handle and those of the core.

use std::collections::BTreeSet;

use dmq_metadata::MetadataIndex;
use dmq_raft::{Configuration, LogIndex, MemberId};

use crate::handle::{Membership, MembershipChange, Voter};
use crate::identity::{directory_id, node_id, raft_directory_id, raft_node_id};

/// A member as the core names it.
pub(super) fn to_member(voter: &Voter) -> MemberId {
    MemberId {
        node: raft_node_id(voter.id),
        directory: raft_directory_id(voter.directory),
    }
}

/// A change as the core takes it.
pub(super) fn to_change(change: &MembershipChange) -> dmq_raft::MembershipChange {
    match change {
        MembershipChange::Voters(voters) => {
            dmq_raft::MembershipChange::Voters(voters.iter().map(to_member).collect())
        }
        MembershipChange::AddObserver(observer) => {
            dmq_raft::MembershipChange::AddLearner(to_member(observer))
        }
        MembershipChange::RemoveObserver(node) => {
            dmq_raft::MembershipChange::RemoveLearner(raft_node_id(*node))
        }
    }
}

/// A configuration as callers see it.
pub(super) fn membership(index: LogIndex, configuration: &Configuration) -> Membership {
    let voters = |members: &BTreeSet<MemberId>| {
        let voter = |member: &MemberId| Voter {
            id: node_id(member.node),
            directory: directory_id(member.directory),
        };
        members.iter().map(voter).collect()
    };
    Membership {
        index: MetadataIndex(index.0),
        voters: voters(&configuration.voters),
        observers: voters(&configuration.learners),
    }
}
