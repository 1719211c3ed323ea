//! What users read: the status of the object and the Events on it, made from what was seen and what is planned. Pure.
//!
//! The same observation gives the same status, byte for byte: nothing in it changes from poll to poll (no index, no lag,
//! no times of its own), so that it is written only when there is news. Figures that move are metrics.
//!
//! Reading order: `members` (who is there), `facts` (what follows from it), `verdict` and `conditions`
//! (what it means), `phase` (in one word), `events` (what changed).

mod conditions;
mod events;
mod facts;
mod members;
mod phase;
mod projection;
mod stalled;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::names::label;
use dmq_crd::status::Leader;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use self::events::{EventNote, events};
use self::facts::Facts;
use crate::observed::Observed;
use crate::plan::Plan;

/// The status of the object: what was seen, and what the plan says of it. `previous` is the status that is stored: it
/// keeps what cannot be seen now (versions of silent members, the last term, when a condition flipped, the operation).
pub fn status(
    observed: &Observed,
    plan: &Plan,
    previous: Option<&DmqMetadataClusterStatus>,
) -> DmqMetadataClusterStatus {
    let facts = Facts::new(observed, plan, previous);
    let (current_revision, update_revision) = facts.revisions();
    let quorum = facts.counts();
    DmqMetadataClusterStatus {
        observed_generation: observed.cluster.metadata.generation,
        phase: Some(phase::phase(&facts)),
        cluster_id: facts.cluster_id(),
        leader: leader(&facts),
        term: facts.term(),
        membership_index: facts.membership_index(),
        voters: quorum.map(|counts| counts.voters),
        learners: quorum.map(|counts| counts.learners),
        quorum_size: quorum.map(facts::Counts::quorum_size),
        healthy_voters: quorum.map(|counts| counts.healthy),
        failures_tolerated: quorum.map(|counts| counts.failures_tolerated(facts.has_leader())),
        replicas: count(observed.pods.len()),
        ready_replicas: facts.ready_pods(),
        updated_replicas: facts.updated_pods(),
        selector: Some(selector(facts.name())),
        version: facts.version(),
        target_version: facts.target_version(),
        current_revision,
        update_revision,
        conditions: conditions::conditions(&facts),
        operation: previous.and_then(|previous| previous.operation.clone()),
        members: facts.members,
    }
}

/// The confirmed leader. `since` stays while node id and term do: the time of one reign, as far as this operator saw it.
fn leader(facts: &Facts<'_>) -> Option<Leader> {
    let leader = facts.observed.leader.as_ref()?;
    let id = i32::try_from(leader.id).ok()?;
    let term = facts.term();
    let reign = facts.previous.and_then(|previous| {
        let before = previous.leader.as_ref()?;
        (before.id == id && previous.term == term).then(|| before.since.clone())
    });
    let pod_name = dmq_crd::names::pod(facts.name(), leader.ordinal);
    Some(Leader {
        id,
        endpoint: endpoint(facts, &pod_name),
        pod_name,
        since: reign.unwrap_or_else(|| seconds(facts.observed.now)),
    })
}

/// REST address inside of the Kubernetes cluster, by the stable name of the pod.
fn endpoint(facts: &Facts<'_>, pod: &str) -> String {
    let cluster = &facts.observed.cluster;
    let domain = cluster.spec.cluster_domain.as_deref();
    format!(
        "http://{pod}.{service}.{namespace}.svc.{domain}:{port}",
        service = dmq_crd::names::raft_service(facts.name()),
        namespace = facts.namespace(),
        domain = domain.unwrap_or(&facts.observed.settings.cluster_domain),
        port = cluster.spec.service.rest_port,
    )
}

/// The selector of the scale subresource: what the StatefulSet and the Services select by.
fn selector(name: &str) -> String {
    format!("{}=dmq-metadata,{}={name}", label::NAME, label::INSTANCE)
}

/// Kubernetes keeps whole seconds: anything finer would differ from what is read back.
fn seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Counts of pods and members are small.
fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}
