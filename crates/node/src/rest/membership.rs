//! Changes of the membership: the voters as a whole, observers one by one (DESIGN 6.5).

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::membership::{Membership, ObserverRequest, RemoveObserverQuery, VotersRequest};
use dmq_api::rest::quorum::VoterBody;
use dmq_api::status::Code;
use dmq_metadata::{MetadataIndex, NodeId};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Admin, Json, Params, Path};
use super::quorum::{to_voter, to_voters};
use super::{convert, respond};
use crate::handle::{self, Handle, MembershipChange, MembershipRequest, Voter};

/// The field and parameter that every change carries.
const EXPECTED: &str = "expectedMembershipIndex";

/// The observer in a path.
#[derive(Deserialize)]
pub(super) struct ObserverPath {
    id: u32,
}

/// Replaces the voter set by another one, whatever the two have in common. Old and new majority decide together
/// until the new one stands alone, and only then the answer comes. Voters that are new must be observers that
/// are caught up. If the voters are as wished already, the answer is 200 whatever the expectation.
#[utoipa::path(
    put, path = "/api/v1/metadata/quorum/voters", tag = "quorum", operation_id = "changeVoters",
    request_body = VotersRequest, security(("adminToken" = [])),
    responses(
        (status = 200, description = "The new voters alone decide", body = Membership),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another change is under way (`target` says which), another expectation (`membershipIndex` says what it should be), or a new voter is not caught up", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown: look at `GET /quorum`, or send the same again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change_voters(
    _admin: Admin,
    State(handle): State<Handle>,
    Json(body): Json<VotersRequest>,
) -> Result<Response, ApiError> {
    let voters = body
        .voters
        .as_deref()
        .ok_or_else(|| ApiError::missing("voters"))?;
    let change = MembershipChange::Voters(to_voters(voters)?);
    let done = apply(&handle, change, body.expected_membership_index).await?;
    respond::json(&convert::membership(&done))
}

/// Adds an observer: a member that replicates without a vote, until it is made a voter or removed. It takes the
/// place of an observer of the same node whose data directory is another one.
#[utoipa::path(
    post, path = "/api/v1/metadata/quorum/observers", tag = "quorum", operation_id = "addObserver",
    request_body = ObserverRequest, security(("adminToken" = [])),
    responses(
        (status = 200, description = "It is an observer", body = Membership),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It votes, another change is under way, or another expectation", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown: look at `GET /quorum`, or send the same again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add_observer(
    _admin: Admin,
    State(handle): State<Handle>,
    Json(body): Json<ObserverRequest>,
) -> Result<Response, ApiError> {
    let change = MembershipChange::AddObserver(to_observer(&body)?);
    let done = apply(&handle, change, body.expected_membership_index).await?;
    respond::json(&convert::membership(&done))
}

/// Removes the observer of a node.
#[utoipa::path(
    delete, path = "/api/v1/metadata/quorum/observers/{id}", tag = "quorum", operation_id = "removeObserver",
    params(("id" = u32, Path, description = "Node id"), RemoveObserverQuery), security(("adminToken" = [])),
    responses(
        (status = 204, description = "It is gone; `X-Metadata-Index` is the new membership index"),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No observer of this node", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another change is under way, or another expectation", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown: look at `GET /quorum`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove_observer(
    _admin: Admin,
    State(handle): State<Handle>,
    Path(path): Path<ObserverPath>,
    Params(query): Params<RemoveObserverQuery>,
) -> Result<Response, ApiError> {
    let change = MembershipChange::RemoveObserver(NodeId(path.id));
    let done = apply(&handle, change, query.expected_membership_index).await?;
    Ok(respond::indexed(respond::no_content(), done.index))
}

/// Every change carries the membership index that its caller expects.
async fn apply(
    handle: &Handle,
    change: MembershipChange,
    expected: Option<u64>,
) -> Result<handle::Membership, ApiError> {
    let expected = expected
        .map(MetadataIndex)
        .ok_or_else(|| ApiError::missing(EXPECTED))?;
    let request = MembershipRequest { change, expected };
    Ok(handle.change_membership(request).await?)
}

fn to_observer(body: &ObserverRequest) -> Result<Voter, ApiError> {
    let id = body.id.ok_or_else(|| ApiError::missing("id"))?;
    let directory_id = body
        .directory_id
        .ok_or_else(|| ApiError::missing("directoryId"))?;
    to_voter(&VoterBody { id, directory_id }).map_err(|(value, rule)| {
        let (field, value) = if id == 0 {
            ("id", "0")
        } else {
            ("directoryId", value.as_str())
        };
        ApiError::of_field(Code::InvalidRequest, field, value, rule)
    })
}
