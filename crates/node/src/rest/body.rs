//! Takes a request body of bounded size in bounded time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use dmq_api::status::Code;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt;

use super::error::ApiError;

/// Largest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of a refused body that are read and dropped: a client that still sends would not see the
/// answer if the connection were closed at once.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A body has this long to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A refused body is drained for this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a whole body.
pub(super) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, ApiError> {
    if announced_length(headers).is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        if !headers.contains_key(EXPECT) {
            drain(&mut body).await;
        }
        return Err(too_large());
    }
    let collected = tokio::time::timeout(READ_TIMEOUT, collect(&mut body)).await;
    collected.unwrap_or_else(|_| {
        let detail = format!(
            "the body did not arrive within {} s",
            READ_TIMEOUT.as_secs()
        );
        Err(ApiError::new(Code::RequestTimeout, detail))
    })
}

/// Refuses a body that is not announced as JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers
        .get(CONTENT_TYPE)
        .map_or("", |value| value.to_str().unwrap_or("?"));
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let rule = "the body must be application/json";
    Err(ApiError::of_field(
        Code::UnsupportedMediaType,
        "Content-Type",
        given,
        rule,
    ))
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// One frame, the usual case, is taken without a copy.
async fn collect(body: &mut Body) -> Result<Bytes, ApiError> {
    let Some(first) = next(body).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next(body).await? else {
        return within_limit(first, body).await;
    };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while whole.len() <= BODY_BYTES_MAX {
        match next(body).await? {
            Some(data) => whole.extend_from_slice(&data),
            None => return within_limit(whole.freeze(), body).await,
        }
    }
    within_limit(whole.freeze(), body).await
}

async fn within_limit(whole: Bytes, body: &mut Body) -> Result<Bytes, ApiError> {
    if whole.len() <= BODY_BYTES_MAX {
        return Ok(whole);
    }
    drain(body).await;
    Err(too_large())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => {
                let detail = format!("the body broke off: {error}");
                return Err(ApiError::new(Code::MalformedRequest, detail));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn drain(body: &mut Body) {
    let dropping = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // Running out of time is as good an end as any.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, dropping).await;
}

fn too_large() -> ApiError {
    let detail = format!("the body is larger than {BODY_BYTES_MAX} bytes");
    ApiError::new(Code::BodyTooLarge, detail)
}
