//! Who leads: from this node's own view, on every node.

use axum::extract::State;
use axum::response::Response;
use dmq_api::rest::controller::ControllerResponse;

use super::error::ApiError;
use super::{convert, respond};
use crate::handle::{Handle, NodeStatus};

/// Who the controller is, as far as this node knows. Answers 200 on every node.
#[utoipa::path(
    get, path = "/api/v1/metadata/controller", tag = "quorum", operation_id = "getController",
    responses((status = 200, description = "The controller, and what this node is doing", body = ControllerResponse))
)]
pub(super) async fn get_controller(State(handle): State<Handle>) -> Result<Response, ApiError> {
    let status = handle.status();
    let response = respond::json(&controller(&status, convert::now_ms()))?;
    Ok(respond::stamped(response, status.applied, status.term))
}

/// The controller as this status shows it at a time.
pub(super) fn controller(status: &NodeStatus, now: i64) -> ControllerResponse {
    let leader_id = status.leader.map(|leader| leader.0);
    ControllerResponse {
        is_leader: status.is_leader(),
        leader_id,
        leader_url: status.leader_url.clone(),
        term: status.term.0,
        state: convert::state(status.state),
        node_id: status.node.0,
        cluster_id: status.cluster.to_string(),
        incarnation: status.incarnation.to_string(),
        commit_index: status.commit.0,
        applied_index: status.applied.0,
        projected_index: status.projection.index.0,
        feature_level: status.feature_level.0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        alarms: status.alarms.clone(),
        controller_id: leader_id,
        controller_url: status.leader_url.clone(),
        controller_term: status.term.0,
        timestamp: now,
    }
}
