//! Why a member gives a request no outcome.

use dmq_metadata::{MetadataIndex, NodeId, Rejection, Term};

use super::requests::{Membership, Voter};

/// Why a request got no outcome. Each variant tells the caller what to do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Ask the controller instead; nothing was done.
    #[error("this node is not the controller")]
    NotController {
        /// The controller, if one is known.
        leader: Option<NodeId>,
        /// Its REST address, if known.
        url: Option<String>,
    },
    /// The entry lost its place to another leader's; definitely not done, repeat it.
    #[error("the leader changed before the command was committed; it will not take effect")]
    LeaderChanged,
    /// A controller that does not reach a majority; nothing was done.
    #[error("no majority of the voters answers")]
    NoQuorum,
    /// The node has no configuration yet.
    #[error("the quorum is not initialised")]
    Uninitialized,
    /// The node is about to stop and takes nothing new.
    #[error("this node is stopping")]
    Stopping,
    /// A queue is full; nothing was done, repeat it later.
    #[error("the controller has too many requests in flight")]
    Overloaded,
    /// The disk has no room for the log; reads go on.
    #[error("no space left for the metadata log")]
    NoSpace,
    /// The time was over while the entry was in flight: it may or may not take effect.
    #[error("the command was not committed in time; whether it will be is unknown")]
    Timeout,
    /// An administrative request did not end in time: it may or may not take effect.
    #[error("{0}; whether it will take effect is unknown")]
    Undecided(String),
    /// The time was over before the index asked for was applied; nothing was changed.
    #[error("index {wanted} was not applied in time; this node is at {applied}")]
    ReadTimeout {
        /// The index asked for (or confirmed by the controller).
        wanted: MetadataIndex,
        /// Where the image is.
        applied: MetadataIndex,
    },
    /// The position was compacted or not kept.
    #[error("index {wanted} is no longer kept; {detail}")]
    Compacted {
        /// The index asked for.
        wanted: MetadataIndex,
        /// What is kept.
        detail: String,
    },
    /// `expectedTerm` is not the term.
    #[error("the term is {actual}")]
    StaleTerm {
        /// The present term.
        actual: Term,
    },
    /// `expectedMembershipIndex` is not the index of the newest committed configuration.
    #[error("the newest committed configuration is that of index {actual}")]
    StaleMembership {
        /// Its index.
        actual: MetadataIndex,
    },
    /// Another change of the membership has not ended; nothing was done.
    #[error("the change of members to voters {} is under way", names(&.target.voters))]
    MembershipChanging {
        /// What it leads to.
        target: Box<Membership>,
    },
    /// A new voter is not an observer that is caught up: says who, and what it lacks.
    #[error("{0}")]
    NotCaughtUp(String),
    /// No such member: says who.
    #[error("{0}")]
    UnknownMember(String),
    /// The request contradicts what is: pinned otherwise, not empty, a transfer already running ...
    #[error("{0}")]
    Conflict(String),
    /// The request breaks a rule that needs no metadata: an unknown member as target ...
    #[error("{0}")]
    Invalid(String),
    /// Something that was needed is not there at the moment: a voter to pin, a target that catches up ...
    #[error("{0}")]
    Unavailable(String),
    /// A refusal that the state machine (or a confirmed read of its state) gives.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// One command larger than a log entry may be.
    #[error("the command is {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A defect of this program or its disk; the text goes to the log and the caller.
    #[error("{0}")]
    Internal(String),
}

fn names(voters: &[Voter]) -> String {
    let names: Vec<String> = voters.iter().map(|voter| voter.id.to_string()).collect();
    names.join(", ")
}
