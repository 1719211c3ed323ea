//! Who the quorum is: the latch `<name>-identity-1`, written before anything else exists.

use dmq_api::rest::quorum::QuorumResponse;
use dmq_crd::names;

use super::draft::Draft;
use super::view::View;
use super::{Action, Again, Stage};
use crate::desired;
use crate::observed::{Identity, Latch, Problem};

/// What is known of the identity.
pub(super) enum Settled {
    /// The latch says it.
    Known,
    /// Not yet, or not without a human.
    Stop(Stage, Again),
}

const BLOCKED: Settled = Settled::Stop(Stage::Blocked, Again::Idle);

/// Reads the latch, or makes it where that cannot hide an earlier quorum.
pub(super) fn settle(view: &View<'_>, draft: &mut Draft) -> Settled {
    match &view.observed.identity {
        Latch::Set(identity) => compare(view, identity, draft),
        Latch::Unreadable(why) => {
            let message = format!(
                "ConfigMap {} cannot be read: {why}. It says which quorum the volumes belong to and is never written \
                 over: put it right from a backup, or by what GET /api/v1/metadata/quorum of a pod shows",
                latch(view)
            );
            draft.stall(Problem::new("IdentityUnreadable", message));
            BLOCKED
        }
        Latch::Absent => make(view, draft),
    }
}

/// The latch against what the user wrote and what the quorum itself says.
fn compare(view: &View<'_>, identity: &Identity, draft: &mut Draft) -> Settled {
    if let Some(wanted) = &view.spec().cluster_id
        && *wanted != identity.cluster_id
    {
        let message = format!(
            "spec.clusterId is {wanted}, but the volumes of this name belong to {} (ConfigMap {}): write that one, \
             or remove the ConfigMaps {}, {} and the claims to begin anew",
            identity.cluster_id,
            latch(view),
            latch(view),
            names::voters(view.name(), 1),
        );
        draft.stall(Problem::new("ClusterIdMismatch", message));
        return BLOCKED;
    }
    if let Some(leader) = &view.observed.leader
        && leader.quorum.cluster_id != identity.cluster_id
    {
        let message = format!(
            "the running quorum calls itself {}, ConfigMap {} says {}: one of them was replaced by hand",
            leader.quorum.cluster_id,
            latch(view),
            identity.cluster_id
        );
        draft.stall(Problem::new("ClusterIdMismatch", message));
        return BLOCKED;
    }
    Settled::Known
}

/// No latch. Only if nothing points to an earlier quorum a new one is named; a running one names itself.
fn make(view: &View<'_>, draft: &mut Draft) -> Settled {
    let observed = view.observed;
    if let Some(leader) = &observed.leader {
        return take_over(view, &leader.quorum, draft);
    }
    if view.born() || observed.voters != Latch::Absent {
        return missing(view, draft, "a quorum was initialised");
    }
    if observed.stateful_set.is_some() {
        return match unanimous(view) {
            Some(said) => take_over(view, said, draft),
            None => missing(view, draft, "its StatefulSet exists"),
        };
    }
    if observed.claims.values().any(|claim| claim.terminating) {
        draft.wait(
            "ClaimsTerminating",
            "the claims of an earlier object of this name are being deleted",
        );
        return Settled::Stop(Stage::Bootstrapping, Again::Soon);
    }
    if let Some(problem) = leftovers(view) {
        draft.stall(problem);
        return BLOCKED;
    }
    let cluster = &observed.cluster;
    let uid = cluster.metadata.uid.clone().unwrap_or_default();
    create(
        Identity {
            cluster_id: desired::cluster_id(cluster),
            incarnation: "1".to_owned(),
            cluster_uid: uid,
        },
        Stage::Bootstrapping,
        draft,
    )
}

/// Claims whose latch is gone: nobody knows what is on them.
fn leftovers(view: &View<'_>) -> Option<Problem> {
    let logs: Vec<i32> = view
        .observed
        .claims
        .keys()
        .filter(|(template, _)| template == "log")
        .map(|(_, ordinal)| *ordinal)
        .collect();
    let highest = *logs.iter().max()?;
    let name = view.name();
    if view.spec().cluster_id.is_none() {
        let message = format!(
            "claims such as log-{name}-{highest} exist, but not ConfigMap {}: they may hold an earlier quorum. Create \
             this object again with that quorum's spec.clusterId, or delete the claims to begin anew",
            latch(view)
        );
        return Some(Problem::new("ClaimsWithoutIdentity", message));
    }
    (highest >= view.replicas).then(|| {
        let message = format!(
            "claim log-{name}-{highest} exists: the earlier quorum of this name had at least {} members, \
             spec.replicas is {}. Write as many, or delete the claims to begin anew",
            highest + 1,
            view.replicas
        );
        Problem::new("ClaimsWithoutIdentity", message)
    })
}

/// What the pods say if all of them answer, none has a configuration and all say the same.
fn unanimous<'a>(view: &View<'a>) -> Option<&'a QuorumResponse> {
    if !view.all_answer() {
        return None;
    }
    let mut said = view
        .ordinals()
        .filter_map(|ordinal| view.member(ordinal))
        .map(|member| &member.quorum);
    let first = said.next()?;
    said.all(|other| other.cluster_id == first.cluster_id && other.incarnation == first.incarnation)
        .then_some(first)
}

fn take_over(view: &View<'_>, said: &QuorumResponse, draft: &mut Draft) -> Settled {
    if let Some(wanted) = &view.spec().cluster_id
        && *wanted != said.cluster_id
    {
        let message = format!(
            "spec.clusterId is {wanted}, but the pods belong to {}",
            said.cluster_id
        );
        draft.stall(Problem::new("ClusterIdMismatch", message));
        return BLOCKED;
    }
    create(
        Identity {
            cluster_id: said.cluster_id.clone(),
            incarnation: said.incarnation.clone(),
            cluster_uid: view
                .observed
                .cluster
                .metadata
                .uid
                .clone()
                .unwrap_or_default(),
        },
        if view.born() {
            Stage::Steady
        } else {
            Stage::Bootstrapping
        },
        draft,
    )
}

/// Written, and read back before anything is built upon it.
fn create(identity: Identity, stage: Stage, draft: &mut Draft) -> Settled {
    draft.wait(
        "WritingIdentity",
        format!("writing down the cluster id {}", identity.cluster_id),
    );
    draft.act(Action::CreateIdentity(identity));
    Settled::Stop(stage, Again::Now)
}

fn missing(view: &View<'_>, draft: &mut Draft, proof: &str) -> Settled {
    let message = format!(
        "ConfigMap {} is gone although {proof}. It is made again from what the controller says as soon as one is \
         elected; until then nothing is touched. To begin anew instead, delete this object, its claims and ConfigMap {}",
        latch(view),
        names::voters(view.name(), 1)
    );
    draft.stall(Problem::new("IdentityMissing", message));
    Settled::Stop(Stage::Blocked, Again::Soon)
}

fn latch(view: &View<'_>) -> String {
    names::identity(view.name(), 1)
}
