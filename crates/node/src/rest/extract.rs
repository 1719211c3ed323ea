//! What handlers take from a request. Every refusal here needs no metadata.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use dmq_api::problem::Problem;
use dmq_api::rest::{header, query};
use dmq_api::status::Code;
use dmq_metadata::{Fingerprint, Idempotency, IdempotencyKey, MetadataIndex, Principal};
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::state::App;
use super::{body, json};
use crate::auth::AuthError;
use crate::handle::{Ack, CommandRequest, Consistency, ReadRequest};

/// Longest wait that a client may ask for.
const TIMEOUT_MAX_MS: u64 = 60_000;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerAddr(pub(super) SocketAddr);

/// Parameters of the path.
pub(super) struct Path<T>(pub(super) T);

/// Query parameters; unknown ones are refused.
pub(super) struct Params<T>(pub(super) T);

/// A JSON body, which may not be missing.
pub(super) struct Json<T>(pub(super) T);

/// A JSON body that may be left out.
pub(super) struct OptionalJson<T>(pub(super) T);

/// Proof that the caller may use admin routes.
pub(super) struct Admin(pub(super) Principal);

/// A write: body, query and the headers that a write may carry.
pub(super) struct Write<Q, B> {
    pub(super) query: Q,
    pub(super) body: B,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) if_match: Option<u32>,
}

/// A body that a write does not have.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoBody {}

/// The parameters that all writes have.
pub(super) trait WriteParams: DeserializeOwned + Send {
    /// What the answer waits for.
    fn ack(&self) -> Option<query::Ack>;
    /// Longest wait.
    fn timeout_ms(&self) -> Option<u64>;
}

impl WriteParams for query::WriteQuery {
    fn ack(&self) -> Option<query::Ack> {
        self.ack
    }

    fn timeout_ms(&self) -> Option<u64> {
        self.timeout_ms
    }
}

impl WriteParams for query::TryWriteQuery {
    fn ack(&self) -> Option<query::Ack> {
        self.ack
    }

    fn timeout_ms(&self) -> Option<u64> {
        self.timeout_ms
    }
}

impl<Q: WriteParams, B> Write<Q, B> {
    /// The command on behalf of `principal`, under this write's conditions.
    pub(super) fn command(
        &self,
        principal: Principal,
        command: dmq_metadata::Command,
    ) -> Result<CommandRequest, ApiError> {
        dmq_metadata::validate::check(&command)?;
        self.check_if_match(&command)?;
        Ok(CommandRequest {
            command,
            principal,
            idempotency: self.idempotency.clone(),
            ack: match self.query.ack().unwrap_or_default() {
                query::Ack::Applied => Ack::Applied,
                query::Ack::Projected => Ack::Projected,
            },
            timeout: timeout(self.query.timeout_ms())?,
        })
    }

    /// A condition that would not be looked at is refused: its sender counts on it.
    fn check_if_match(&self, command: &dmq_metadata::Command) -> Result<(), ApiError> {
        use dmq_metadata::Command;
        let honoured = matches!(
            command,
            Command::UpdatePartition(_) | Command::UpdateLeader(_)
        );
        let Some(epoch) = self.if_match.filter(|_| !honoured) else {
            return Ok(());
        };
        let rule = "only requests that change one partition may carry it";
        let value = format!("\"{epoch}\"");
        Err(ApiError::of_field(
            Code::InvalidHeader,
            "If-Match",
            &value,
            rule,
        ))
    }
}

/// A read of this freshness, with defaults for what is absent.
pub(super) fn read_request(
    consistency: Option<query::Consistency>,
    min_index: Option<u64>,
    timeout_ms: Option<u64>,
) -> Result<ReadRequest, ApiError> {
    Ok(ReadRequest {
        consistency: match consistency.unwrap_or_default() {
            query::Consistency::Local => Consistency::Local,
            query::Consistency::Linearizable => Consistency::Linearizable,
        },
        min_index: MetadataIndex(min_index.unwrap_or(0)),
        timeout: timeout(timeout_ms)?,
    })
}

/// The wait that a request asks for. The default is the member's: it follows from the election timeout.
pub(super) fn timeout(given: Option<u64>) -> Result<Option<Duration>, ApiError> {
    let Some(milliseconds) = given else {
        return Ok(None);
    };
    if (1..=TIMEOUT_MAX_MS).contains(&milliseconds) {
        return Ok(Some(Duration::from_millis(milliseconds)));
    }
    let rule = format!("1 to {TIMEOUT_MAX_MS}");
    let value = milliseconds.to_string();
    Err(ApiError::of_field(
        Code::InvalidRequest,
        "timeoutMs",
        &value,
        &rule,
    ))
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(bad_path(&rejection)),
        }
    }
}

fn bad_path(rejection: &PathRejection) -> ApiError {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::ParseErrorAtKey {
            key,
            value,
            expected_type,
        } = error.kind()
    {
        let rule = format!("must be a number ({expected_type})");
        return ApiError::of_field(Code::InvalidParameter, key, value, &rule);
    }
    ApiError::new(Code::InvalidParameter, rejection.body_text())
}

impl<T, S> FromRequestParts<S> for Params<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        params(parts).map(Self)
    }
}

fn params<T: DeserializeOwned>(parts: &Parts) -> Result<T, ApiError> {
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => {
            let text = rejection.body_text();
            let detail = text
                .strip_prefix("Failed to deserialize query string: ")
                .unwrap_or(&text);
            Err(bad_parameter(parts, detail))
        }
    }
}

/// Names the parameter, and its value where the reader of the query left it out.
fn bad_parameter(parts: &Parts, detail: &str) -> ApiError {
    let Some(name) = parameter_named_in(detail) else {
        return ApiError::from(Problem::new(Code::InvalidParameter, detail));
    };
    let detail = match (detail.split_once(": "), value_of(parts, &name)) {
        (Some((before, rule)), Some(value)) if before == name => {
            format!("{name} is '{}': {rule}", value.escape_debug())
        }
        _ => detail.to_owned(),
    };
    ApiError::from(Problem::new(Code::InvalidParameter, detail).with_field(name))
}

/// The first 100 characters of a parameter's value: an answer need not repeat a long one.
fn value_of(parts: &Parts, name: &str) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    let (_, value) = pairs.into_iter().find(|(key, _)| key == name)?;
    Some(value.chars().take(100).collect())
}

/// `name: what is wrong`, or a name in back quotes.
fn parameter_named_in(detail: &str) -> Option<String> {
    let in_quotes = || {
        detail
            .split('`')
            .nth(1)
            .filter(|_| detail.contains("field `"))
    };
    let before_colon = || detail.split_once(": ").map(|(name, _)| name);
    let name = in_quotes().or_else(before_colon)?;
    (!name.contains(' ')).then(|| name.to_owned())
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, content) = request.into_parts();
        let bytes = body::read(&parts.headers, content).await?;
        body::require_json(&parts.headers)?;
        json::read(&bytes).map(Self)
    }
}

impl<T, S> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, content) = request.into_parts();
        let bytes = body::read(&parts.headers, content).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        body::require_json(&parts.headers)?;
        json::read(&bytes).map(Self)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<PeerAddr>().map(|peer| peer.0);
        let admitted = app.auth.admit(&parts.headers, peer).await;
        // Whoever changes the quorum, or tried to, can be found in the log.
        let (method, path) = (&parts.method, parts.uri.path());
        match &admitted {
            Ok(_) => tracing::info!(%method, path, ?peer, "admin request"),
            Err(error) => tracing::warn!(%method, path, ?peer, %error, "admin request refused"),
        }
        admitted.map(Self).map_err(|error| match error {
            AuthError::Unauthenticated(detail) => ApiError::new(Code::Unauthenticated, detail),
            AuthError::Forbidden(detail) => ApiError::new(Code::Forbidden, detail),
        })
    }
}

impl<Q, B, S> FromRequest<S> for Write<Q, B>
where
    Q: WriteParams,
    B: RequestBody,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let (parts, content) = request.into_parts();
        let bytes = body::read(&parts.headers, content).await?;
        Ok(Self {
            query: params(&parts)?,
            idempotency: idempotency(&parts, &bytes)?,
            if_match: if_match(&parts)?,
            body: B::read(&parts, &bytes)?,
        })
    }
}

/// How the body of a write is read.
pub(super) trait RequestBody: Sized {
    /// Reads it.
    fn read(parts: &Parts, bytes: &[u8]) -> Result<Self, ApiError>;
}

impl RequestBody for NoBody {
    /// Without a body; an empty object does no harm.
    fn read(parts: &Parts, bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.is_empty() {
            return Ok(Self {});
        }
        if parts.headers.contains_key(CONTENT_TYPE) {
            body::require_json(&parts.headers)?;
        }
        json::read(bytes)
    }
}

/// Bodies that are JSON and may not be missing.
macro_rules! json_bodies {
    ($($body:ty),*) => {$(
        impl RequestBody for $body {
            fn read(parts: &Parts, bytes: &[u8]) -> Result<Self, ApiError> {
                body::require_json(&parts.headers)?;
                json::read(bytes)
            }
        }
    )*};
}

json_bodies! {
    dmq_api::rest::topics::CreateTopicRequest,
    dmq_api::rest::topics::UpdatePartitionRequest,
    dmq_api::rest::topics::ElectLeaderRequest,
    dmq_api::rest::brokers::RegisterBrokerRequest,
    dmq_api::rest::features::SetFeaturesRequest
}

/// The key, and a fingerprint of all that makes the request what it is.
fn idempotency(parts: &Parts, body: &[u8]) -> Result<Option<Idempotency>, ApiError> {
    let Some(value) = parts.headers.get(header::IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = IdempotencyKey::parse(value.to_str().unwrap_or_default())?;
    let method = parts.method.as_str().as_bytes();
    let if_match = parts
        .headers
        .get(IF_MATCH)
        .map_or(&b""[..], |value| value.as_bytes());
    let path = parts.uri.path().as_bytes();
    let fingerprint = Fingerprint::of(&[method, path, if_match, body]);
    Ok(Some(Idempotency { key, fingerprint }))
}

/// `If-Match: "<partition epoch>"`; `*` asks for nothing that the rest of the request does not.
fn if_match(parts: &Parts) -> Result<Option<u32>, ApiError> {
    let Some(value) = parts.headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let epoch = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let epoch = epoch.and_then(|epoch| epoch.parse().ok()).ok_or_else(|| {
        let rule = "one quoted partition epoch, for example \"7\", or *";
        ApiError::of_field(Code::InvalidHeader, "If-Match", text, rule)
    })?;
    Ok(Some(epoch))
}
