//! The driver's refusals in the words of the handle, with what only the node knows: addresses.

use dmq_log::Disk;
use dmq_metadata::{MetadataIndex, Term};
use dmq_replica::Answer;

use super::RunningMember;
use super::changes::membership;
use crate::handle::RequestError;
use crate::identity::node_id;

impl<D: Disk> RunningMember<D> {
    /// Every variant is named: a new one has to say here what callers get.
    pub(super) fn explain(&self, error: dmq_replica::RequestError) -> RequestError {
        use dmq_replica::RequestError as Replica;
        match error {
            Replica::NotController { leader } => self.not_controller(leader),
            Replica::Uninitialized => RequestError::Uninitialized,
            Replica::LeaderChanged => RequestError::LeaderChanged,
            Replica::OutcomeUnknown => RequestError::Timeout,
            Replica::NoQuorum => RequestError::NoQuorum,
            Replica::Overloaded => RequestError::Overloaded,
            Replica::NoSpace => RequestError::NoSpace,
            Replica::TooLarge {
                size_bytes,
                limit_bytes,
            } => RequestError::TooLarge {
                size: size_bytes,
                limit: limit_bytes,
            },
            Replica::Transferring => {
                RequestError::Unavailable("leadership is being handed over".to_owned())
            }
            Replica::Stopping => RequestError::Stopping,
            Replica::NotApplied { wanted, applied } => RequestError::ReadTimeout {
                wanted: MetadataIndex(wanted.0),
                applied: MetadataIndex(applied.0),
            },
            Replica::Rejected(rejection) => RequestError::Rejected(rejection),
            Replica::StaleTerm { actual } => RequestError::StaleTerm {
                actual: Term(actual.0),
            },
            Replica::StaleMembership { actual } => RequestError::StaleMembership {
                actual: MetadataIndex(actual.0),
            },
            Replica::MembershipChanging { index, target } => RequestError::MembershipChanging {
                target: Box::new(membership(index, &target)),
            },
            Replica::NotCaughtUp(text) => RequestError::NotCaughtUp(text),
            Replica::UnknownMember(text) => RequestError::UnknownMember(text),
            Replica::Undecided(text) => RequestError::Undecided(text),
            Replica::Conflict(text) => RequestError::Conflict(text),
            Replica::Invalid(text) => RequestError::Invalid(text),
            Replica::Unavailable(text) => RequestError::Unavailable(text),
        }
    }

    /// The address belongs to the leader that the driver named, or is left out.
    fn not_controller(&self, leader: Option<dmq_raft::NodeId>) -> RequestError {
        let leader = leader.map(node_id);
        let status = self.status.borrow();
        let url = status
            .leader_url
            .clone()
            .filter(|_| status.leader == leader);
        RequestError::NotController { leader, url }
    }
}

/// The driver gave an answer to another kind of question: a defect.
pub(super) fn unexpected(answer: &Answer) -> RequestError {
    RequestError::Internal(format!("unexpected answer of the driver: {answer:?}"))
}
