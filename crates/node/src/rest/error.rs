//! From refusals to answers: every error leaves this server as a problem document.

use axum::response::{IntoResponse, Response};
use dmq_api::problem::{self, Problem};
use dmq_api::rest::header;
use dmq_api::status::Code;
use dmq_metadata::{MetadataIndex, NodeId, Rejection, Term};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::convert;
use crate::handle::RequestError;

/// An error on its way to a client.
#[derive(Debug)]
pub(super) struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error with this text.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(code, detail))
    }

    /// An error of one field: names it, its value and the rule.
    pub(super) fn of_field(code: Code, field: &str, value: &str, rule: &str) -> Self {
        Self::from(Problem::of_field(code, field, value, rule))
    }

    /// A required field that is not there.
    pub(super) fn missing(field: &str) -> Self {
        let problem = Problem::new(
            Code::InvalidRequest,
            format!("{field} is missing: required"),
        );
        Self::from(problem.with_field(field))
    }

    /// The same error, saying at which entry it was decided.
    #[must_use]
    pub(super) fn at(self, index: MetadataIndex, term: Term) -> Self {
        self.with_header(header::METADATA_INDEX, index.0.into())
            .with_header(header::METADATA_TERM, term.0.into())
    }

    /// The same error with one more header.
    #[must_use]
    pub(super) fn with_header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.0.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// The code of the problem.
    pub(super) fn code(&self) -> &str {
        &self.0.problem.code
    }

    /// The field that is wrong.
    pub(super) fn field(&self) -> Option<&str> {
        self.0.problem.field.as_deref()
    }

    /// The same error under another code and field.
    #[must_use]
    pub(super) fn recast(mut self, code: Code, field: &str) -> Self {
        let detail = std::mem::take(&mut self.0.problem.detail);
        self.0.problem = Problem::new(code, detail).with_field(field);
        self
    }

    fn not_controller(leader: Option<NodeId>, url: Option<String>) -> Self {
        let Some(leader) = leader else {
            return Self::new(Code::NoLeader, "no controller is known at the moment");
        };
        let detail = format!("the controller is node {leader}");
        let mut problem = Problem::new(Code::NotController, detail);
        problem.leader_id = Some(leader.0);
        problem.leader_url = url;
        Self::from(problem).with_header(header::CONTROLLER_LEADER, leader.0.into())
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        let headers = standing_headers(&problem);
        Self(Box::new(Parts { problem, headers }))
    }
}

/// Headers that follow from the status: when to come back, how to authenticate.
fn standing_headers(problem: &Problem) -> Vec<(HeaderName, HeaderValue)> {
    match StatusCode::from_u16(problem.status) {
        Ok(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {
            vec![(RETRY_AFTER, HeaderValue::from_static("1"))]
        }
        Ok(StatusCode::UNAUTHORIZED) => {
            let challenge = HeaderValue::from_static("Bearer realm=\"dmq-metadata\"");
            vec![(WWW_AUTHENTICATE, challenge)]
        }
        _ => Vec::new(),
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let mut problem = Problem::new(Code::from(rejection.code), rejection.message);
        problem.field = rejection.field;
        Self::from(problem)
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotController { leader, url } => Self::not_controller(leader, url),
            RequestError::Rejected(rejection) => Self::from(rejection),
            RequestError::StaleMembership { actual } => {
                let mut problem = Problem::new(Code::StaleMembership, error.to_string());
                problem.membership_index = Some(actual.0);
                Self::from(problem.with_field("expectedMembershipIndex"))
            }
            RequestError::MembershipChanging { ref target } => {
                let mut problem = Problem::new(Code::MembershipChanging, error.to_string());
                problem.target = Some(Box::new(convert::membership(target)));
                Self::from(problem)
            }
            other => Self::new(code_of(&other), other.to_string()),
        }
    }
}

const fn code_of(error: &RequestError) -> Code {
    match error {
        RequestError::NotController { .. } => Code::NotController,
        RequestError::LeaderChanged => Code::LeaderChanged,
        RequestError::NoQuorum => Code::NoQuorum,
        RequestError::Uninitialized => Code::Uninitialized,
        RequestError::Stopping => Code::Stopping,
        RequestError::Overloaded => Code::Overloaded,
        RequestError::NoSpace => Code::NoSpace,
        RequestError::Timeout | RequestError::Undecided(_) => Code::OutcomeUnknown,
        RequestError::ReadTimeout { .. } => Code::ReadTimeout,
        RequestError::Compacted { .. } => Code::Compacted,
        RequestError::StaleTerm { .. } => Code::StaleTerm,
        RequestError::StaleMembership { .. } => Code::StaleMembership,
        RequestError::MembershipChanging { .. } => Code::MembershipChanging,
        RequestError::NotCaughtUp(_) => Code::NotCaughtUp,
        RequestError::UnknownMember(_) => Code::UnknownMember,
        RequestError::Conflict(_) => Code::Conflict,
        RequestError::Invalid(_) | RequestError::Rejected(_) => Code::InvalidRequest,
        RequestError::Unavailable(_) => Code::Unavailable,
        RequestError::TooLarge { .. } => Code::BodyTooLarge,
        RequestError::Internal(_) => Code::Internal,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Parts { problem, headers } = *self.0;
        // A struct of strings, numbers and flags cannot fail to become JSON.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = HeaderValue::from_static(problem::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response.headers_mut().extend(headers);
        response
    }
}
