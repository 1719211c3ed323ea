//! Feature level and state hash.

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::features::{FeaturesResponse, SetFeaturesRequest, StateHashResponse};
use dmq_api::rest::query::{ReadQuery, StateHashQuery, TryWriteQuery};
use dmq_metadata::{Command, FeatureLevel, MetadataIndex, Reply};

use super::error::ApiError;
use super::extract::{Admin, Params, Write, timeout};
use super::respond;
use super::submit::{submit, try_out};
use super::topics::freshness;
use crate::handle::Handle;

/// The feature level in force, and those that this node supports.
#[utoipa::path(
    get, path = "/api/v1/metadata/features", tag = "cluster", operation_id = "getFeatures",
    params(ReadQuery),
    responses(
        (status = 200, description = "The levels", body = FeaturesResponse),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_features(
    State(handle): State<Handle>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let view = handle.read(freshness(&query)?).await?;
    respond::viewed(&view, &features(view.image.feature_level()))
}

/// A binary reads and writes its own level and the previous one; level 0 is that of an empty image.
fn features(level: FeatureLevel) -> FeaturesResponse {
    FeaturesResponse {
        feature_level: level.0,
        supported_min: FeatureLevel::MAX.0.saturating_sub(1).max(1),
        supported_max: FeatureLevel::MAX.0,
    }
}

/// Raises the feature level.
#[utoipa::path(
    put, path = "/api/v1/metadata/features", tag = "cluster", operation_id = "setFeatures",
    request_body = SetFeaturesRequest, security(("adminToken" = [])),
    params(TryWriteQuery, ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes")),
    responses(
        (status = 200, description = "The levels", body = FeaturesResponse),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The level cannot be set", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The level is not supported", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn set_features(
    Admin(principal): Admin,
    State(handle): State<Handle>,
    write: Write<TryWriteQuery, SetFeaturesRequest>,
) -> Result<Response, ApiError> {
    let level = write
        .body
        .feature_level
        .ok_or_else(|| ApiError::missing("featureLevel"))?;
    let request = write.command(principal, Command::SetFeatureLevel(FeatureLevel(level)))?;
    let shown = |reply: &Reply| match reply {
        Reply::FeatureLevelSet(level) => Some(features(*level)),
        _ => None,
    };
    if write.query.validate_only == Some(true) {
        return try_out(&handle, request, shown).await;
    }
    submit(&handle, request).await?.answer(shown)
}

/// The hash of the state at an index: equal on all nodes.
#[utoipa::path(
    get, path = "/api/v1/metadata/state-hash", tag = "cluster", operation_id = "getStateHash",
    params(StateHashQuery),
    responses(
        (status = 200, description = "The hash", body = StateHashResponse),
        (status = 410, description = "The hash at that index is not kept", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The index was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_state_hash(
    State(handle): State<Handle>,
    Params(query): Params<StateHashQuery>,
) -> Result<Response, ApiError> {
    let timeout = timeout(query.timeout_ms)?;
    let hash = handle
        .state_hash(query.index.map(MetadataIndex), timeout)
        .await?;
    respond::json(&StateHashResponse {
        index: hash.index.0,
        state_hash: hash.hash.to_string(),
        feature_level: hash.feature_level.0,
        node_id: handle.status().node.0,
    })
}
