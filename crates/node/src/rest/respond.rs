//! Successful answers: JSON with the index and term that they show.

use axum::response::Response;
use dmq_api::rest::header;
use dmq_metadata::{MetadataIndex, Term};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::error::ApiError;
use super::submit::Submitted;
use crate::handle::View;

const METADATA_INDEX: HeaderName = HeaderName::from_static(header::METADATA_INDEX);
const METADATA_TERM: HeaderName = HeaderName::from_static(header::METADATA_TERM);
const METADATA_PROJECTED_INDEX: HeaderName =
    HeaderName::from_static(header::METADATA_PROJECTED_INDEX);

/// 200 with a JSON body.
pub(super) fn json<T: Serialize>(body: &T) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(body)
        .map_err(|error| ApiError::new(dmq_api::status::Code::Internal, error.to_string()))?;
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// 200 with what a view shows.
pub(super) fn viewed<T: Serialize>(view: &View, body: &T) -> Result<Response, ApiError> {
    json(body).map(|response| stamped(response, view.image.index(), view.term))
}

/// 200 with what a command did.
pub(super) fn committed<T: Serialize>(done: &Submitted, body: &T) -> Result<Response, ApiError> {
    json(body).map(|response| with_commit(response, done))
}

/// 204 for a command that leaves nothing to show.
pub(super) fn deleted(done: &Submitted) -> Response {
    with_commit(no_content(), done)
}

/// 204.
pub(super) fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The same answer with index and term.
pub(super) fn stamped(mut response: Response, index: MetadataIndex, term: Term) -> Response {
    let headers = response.headers_mut();
    headers.insert(METADATA_INDEX, HeaderValue::from(index.0));
    headers.insert(METADATA_TERM, HeaderValue::from(term.0));
    response
}

/// The same answer with an index alone.
pub(super) fn indexed(mut response: Response, index: MetadataIndex) -> Response {
    let value = HeaderValue::from(index.0);
    response.headers_mut().insert(METADATA_INDEX, value);
    response
}

/// The same answer with a partition epoch as entity tag.
pub(super) fn tagged(mut response: Response, epoch: u32) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{epoch}\"")) {
        response.headers_mut().insert(http::header::ETAG, tag);
    }
    response
}

fn with_commit(response: Response, done: &Submitted) -> Response {
    let mut response = stamped(response, done.index, done.term);
    let projected = HeaderValue::from(done.projected.0);
    response
        .headers_mut()
        .insert(METADATA_PROJECTED_INDEX, projected);
    response
}
