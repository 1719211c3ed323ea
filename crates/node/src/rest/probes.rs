//! Probes around a restart: may this member be stopped, has it caught up again?

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::query::{PostRestartQuery, PreRestartQuery};
use dmq_api::rest::quorum::{PostRestartResponse, PreRestartResponse};
use dmq_api::status::Code;
use dmq_metadata::{MetadataIndex, NodeId};

use super::error::ApiError;
use super::extract::Params;
use super::{confirm, respond};
use crate::handle::{Handle, MemberStatus, NodeStatus};

/// A voter within this many entries of the leader counts as caught up: it is so again in no time.
const CAUGHT_UP_LAG_MAX: u64 = 1_000;
/// A voter that was silent for longer counts as gone.
const CONTACT_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Would stopping a member leave a majority that is caught up? Only the controller can tell.
#[utoipa::path(
    get, path = "/api/v1/metadata/quorum/probe/pre-restart", tag = "quorum", operation_id = "probePreRestart",
    params(PreRestartQuery),
    responses(
        (status = 200, description = "The verdict", body = PreRestartResponse),
        (status = 422, description = "Not a member", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not the controller, or no majority confirms it: ask the controller, with nodeId", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn probe_pre_restart(
    State(handle): State<Handle>,
    Params(query): Params<PreRestartQuery>,
) -> Result<Response, ApiError> {
    let status = confirm::led(&handle).await?;
    let node = query.node_id.map_or(status.node, NodeId);
    respond::json(&pre_restart(&status, node)?)
}

/// The verdict on stopping `node`, as the controller's status shows it.
fn pre_restart(status: &NodeStatus, node: NodeId) -> Result<PreRestartResponse, ApiError> {
    if !status.members().any(|member| member.id == node) {
        let (value, rule) = (node.to_string(), "not a member of the quorum");
        return Err(ApiError::of_field(
            Code::InvalidRequest,
            "nodeId",
            &value,
            rule,
        ));
    }
    let sets = [
        (&status.voters, "voters"),
        (&status.outgoing, "outgoing voters"),
    ];
    let short = sets
        .into_iter()
        .find_map(|(set, what)| shortage(status, set, node, what));
    let others = status.voters.iter().filter(|voter| voter.id != node);
    let successors = others.filter(|voter| why_not(status, voter).is_none());
    Ok(PreRestartResponse {
        node_id: node.0,
        safe: short.is_none(),
        reason: short,
        is_leader: status.node == node,
        successors: successors.map(|voter| voter.id.0).collect(),
        majority: u32::try_from(majority(status.voters.len())).unwrap_or(u32::MAX),
        commit_index: status.commit.0,
    })
}

const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Why a voter set without `node` would be no majority that is caught up; `None` if it would, or if the set does not
/// have the node. While one set replaces another, both have to have a majority.
fn shortage(status: &NodeStatus, set: &[MemberStatus], node: NodeId, what: &str) -> Option<String> {
    let staying: Vec<&MemberStatus> = set.iter().filter(|voter| voter.id != node).collect();
    if staying.len() == set.len() {
        return None;
    }
    let missing: Vec<String> = staying
        .iter()
        .filter_map(|voter| Some(format!("{} {}", voter.id, why_not(status, voter)?)))
        .collect();
    let (left, needed) = (staying.len() - missing.len(), majority(set.len()));
    if left >= needed {
        return None;
    }
    let all = set.len();
    let text = format!("{left} of {all} {what} would stay and be caught up, {needed} are needed");
    if missing.is_empty() {
        return Some(text);
    }
    Some(format!("{text}; voter {}", missing.join(", voter ")))
}

/// Why a voter could not take over now, as a phrase behind its id.
fn why_not(status: &NodeStatus, voter: &MemberStatus) -> Option<String> {
    if voter.id == status.node {
        return status.stopping.then(|| "is stopping".to_owned());
    }
    let Some(progress) = &voter.progress else {
        return Some("is not known to the controller".to_owned());
    };
    let lag = status.last.0.saturating_sub(progress.matched.0);
    match progress.last_contact {
        None => Some("has not answered this controller yet".to_owned()),
        Some(silent) if silent > CONTACT_WITHIN => {
            Some(format!("is silent for {} ms", silent.as_millis()))
        }
        Some(_) if progress.stopping => Some("is stopping".to_owned()),
        Some(_) if progress.receiving_snapshot => Some("is being sent a snapshot".to_owned()),
        Some(_) if lag > CAUGHT_UP_LAG_MAX => Some(format!("is {lag} entries behind")),
        Some(_) => None,
    }
}

/// Has this node caught up since it was started?
#[utoipa::path(
    get, path = "/api/v1/metadata/quorum/probe/post-restart", tag = "quorum", operation_id = "probePostRestart",
    params(PostRestartQuery),
    responses((status = 200, description = "The verdict", body = PostRestartResponse))
)]
pub(super) async fn probe_post_restart(
    State(handle): State<Handle>,
    Params(query): Params<PostRestartQuery>,
) -> Result<Response, ApiError> {
    let wanted = MetadataIndex(query.index.unwrap_or(0));
    respond::json(&post_restart(&handle.status(), wanted))
}

fn post_restart(status: &NodeStatus, wanted: MetadataIndex) -> PostRestartResponse {
    let reason = if status.stopping {
        Some("the node is stopping".to_owned())
    } else if status.leader.is_none() {
        Some("the node knows no controller".to_owned())
    } else if !status.ready {
        Some("the node has not reached what was committed when it started".to_owned())
    } else if status.applied < wanted {
        Some(format!(
            "index {wanted} is not applied, the node is at {}",
            status.applied
        ))
    } else {
        None
    };
    PostRestartResponse {
        node_id: status.node.0,
        caught_up: reason.is_none(),
        reason,
        applied_index: status.applied.0,
        leader_id: status.leader.map(|leader| leader.0),
        term: status.term.0,
    }
}
