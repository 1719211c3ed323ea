//! Health for orchestrators, metrics, and the description of this interface.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::quorum::HealthResponse;
use dmq_api::status::Code;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::error::ApiError;
use super::respond;
use super::state::App;
use crate::handle::Handle;
use crate::metrics;

/// A node whose event loop does not answer within this time is not live.
const LIVE_WITHIN: Duration = Duration::from_secs(2);

/// Event loop and disk work. Neither leader nor database count.
#[utoipa::path(
    get, path = "/livez", tag = "health", operation_id = "getLiveness",
    responses(
        (status = 200, description = "Live", body = HealthResponse),
        (status = 503, description = "Not live: restart it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn livez(State(handle): State<Handle>) -> Result<Response, ApiError> {
    let answer = tokio::time::timeout(LIVE_WITHIN, handle.liveness()).await;
    match answer.unwrap_or_else(|_| Err("the event loop does not answer".to_owned())) {
        Ok(()) => up(),
        Err(reason) => Err(ApiError::new(Code::NotLive, reason)),
    }
}

/// The state reached what was committed when the node started; stays so until the node stops.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "getReadiness",
    responses(
        (status = 200, description = "Ready", body = HealthResponse),
        (status = 503, description = "Not ready yet, uninitialised, or stopping", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(handle): State<Handle>) -> Result<Response, ApiError> {
    let status = handle.status();
    if status.stopping {
        return Err(ApiError::new(Code::Stopping, "the node is stopping"));
    }
    if status.membership_index.0 == 0 {
        return Err(ApiError::new(
            Code::Uninitialized,
            "the quorum is not initialised",
        ));
    }
    if !status.ready {
        let detail = "the node has not reached what was committed when it started";
        return Err(ApiError::new(Code::NotReady, detail));
    }
    up()
}

fn up() -> Result<Response, ApiError> {
    respond::json(&HealthResponse {
        status: "UP".to_owned(),
    })
}

/// Metrics in the `OpenMetrics` text format.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "getMetrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = metrics::CONTENT_TYPE))
)]
pub(super) async fn get_metrics(State(app): State<App>) -> Result<Response, ApiError> {
    app.metrics
        .observe_status(&app.handle.status(), app.handle.view().image.counts());
    let text = app.metrics.encode();
    let text = text.map_err(|error| ApiError::new(Code::Internal, error.to_string()))?;
    Ok(with_type(text.into(), metrics::CONTENT_TYPE))
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", operation_id = "getOpenApi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn get_openapi() -> Result<Response, ApiError> {
    Ok(with_type(super::openapi_json().into(), "application/json"))
}

fn with_type(body: axum::body::Body, content_type: &'static str) -> Response {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
