//! Which brokers hold the replicas of a new topic.

use crate::ids::BrokerId;
use crate::names::Rack;

/// A broker as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Number of the broker.
    pub id: BrokerId,
    /// Its failure domain; brokers without one share one.
    pub rack: Option<Rack>,
    /// A fenced broker may follow, never lead.
    pub fenced: bool,
}
