//! Probes around a restart: may this member be stopped, has it caught up again?

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::query::{PostRestartQuery, PreRestartQuery};
use dmq_api::rest::quorum::{PostRestartResponse, PreRestartResponse};
use dmq_api::status::Code;
use dmq_metadata::{MetadataIndex, NodeId};

use super::error::ApiError;
use super::extract::Params;
use super::respond;
use crate::handle::{Consistency, Handle, MemberStatus, NodeStatus, ReadRequest, RequestError};

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
    let status = confirmed_status(&handle).await?;
    let node = query.node_id.map_or(status.node, NodeId);
    respond::json(&pre_restart(&status, node)?)
}

/// The status of a controller that a majority has confirmed in this very term. One that was deposed and has
/// not heard of it yet would call its lost voters healthy.
async fn confirmed_status(handle: &Handle) -> Result<Arc<NodeStatus>, RequestError> {
    let before = led(handle.status())?;
    let read = ReadRequest {
        consistency: Consistency::Linearizable,
        min_index: MetadataIndex(0),
        timeout: None,
    };
    handle.read(read).await?;
    let after = led(handle.status())?;
    if after.term == before.term {
        Ok(after)
    } else {
        Err(RequestError::LeaderChanged)
    }
}

fn led(status: Arc<NodeStatus>) -> Result<Arc<NodeStatus>, RequestError> {
    if status.is_leader() {
        return Ok(status);
    }
    Err(RequestError::NotController {
        leader: status.leader,
        url: status.leader_url.clone(),
    })
}

/// The verdict on stopping `node`, as the controller's status shows it.
fn pre_restart(status: &NodeStatus, node: NodeId) -> Result<PreRestartResponse, ApiError> {
    let is_voter = status.voters.iter().any(|voter| voter.id == node);
    if !is_voter && !status.observers.iter().any(|observer| observer.id == node) {
        let (value, rule) = (node.to_string(), "not a member of the quorum");
        return Err(ApiError::of_field(
            Code::InvalidRequest,
            "nodeId",
            &value,
            rule,
        ));
    }
    let majority = status.voters.len() / 2 + 1;
    let others = status.voters.iter().filter(|voter| voter.id != node);
    let successors: Vec<u32> = others
        .filter(|voter| can_take_over(status, voter))
        .map(|voter| voter.id.0)
        .collect();
    let safe = !is_voter || successors.len() >= majority;
    let reason = format!(
        "{} of {} voters would stay and be caught up, {majority} are needed",
        successors.len(),
        status.voters.len(),
    );
    Ok(PreRestartResponse {
        node_id: node.0,
        safe,
        reason: (!safe).then_some(reason),
        is_leader: status.node == node,
        successors,
        majority: u32::try_from(majority).unwrap_or(u32::MAX),
        commit_index: status.commit.0,
    })
}

fn can_take_over(status: &NodeStatus, voter: &MemberStatus) -> bool {
    if voter.id == status.node {
        return !status.stopping;
    }
    voter.progress.as_ref().is_some_and(|progress| {
        !progress.stopping
            && !progress.receiving_snapshot
            && progress
                .last_contact
                .is_some_and(|contact| contact <= CONTACT_WITHIN)
            && status.last.0.saturating_sub(progress.matched.0) <= CAUGHT_UP_LAG_MAX
    })
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
