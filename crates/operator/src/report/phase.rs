//! The state of the quorum in one word, for the column STATUS. Programs read the conditions.
//!
//! It says how the quorum does, not what is asked of a human: a healthy quorum whose scaling was refused is `Running`,
//! one that serves without all of its members is `Degraded`, and only what serves nobody is `Failed`.

use dmq_crd::status::Phase;

use super::facts::{Counts, Facts};
use super::stalled;
use crate::observed::Latch;
use crate::plan::Stage;

pub(super) fn phase(facts: &Facts<'_>) -> Phase {
    match facts.stage() {
        Stage::Deleting => Phase::Deleting,
        Stage::Suspended => Phase::Suspended,
        Stage::DataLost => Phase::Failed,
        Stage::QuorumLost => Phase::QuorumLost,
        Stage::Bootstrapping | Stage::Invalid | Stage::Blocked if !facts.has_leader() => {
            before_birth(facts)
        }
        _ if !facts.has_leader() => Phase::NoLeader,
        Stage::Rolling => Phase::Updating,
        _ if is_degraded(facts) => Phase::Degraded,
        _ => Phase::Running,
    }
}

fn before_birth(facts: &Facts<'_>) -> Phase {
    let observed = facts.observed;
    if !stalled::problems(facts).is_empty() {
        Phase::Failed
    } else if observed.identity == Latch::Absent && observed.stateful_set.is_none() {
        Phase::Pending
    } else {
        Phase::Bootstrapping
    }
}

fn is_degraded(facts: &Facts<'_>) -> bool {
    facts.ready_pods() < facts.wanted_pods() || !facts.counts().is_some_and(Counts::is_whole)
}
