//! The quorum: describe, initialise, transfer leadership, snapshots.

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::query::ReadQuery;
use dmq_api::rest::quorum::{
    InitializeRequest, InitializeResponse, MemberResponse, ProjectionResponse, QuorumResponse,
    SnapshotList, SnapshotResponse, TransferRequest, TransferResponse, VoterBody,
};
use dmq_api::status::Code;
use dmq_metadata::{ClusterId, DirectoryId, NodeId, Term};

use super::error::ApiError;
use super::extract::{Admin, Json, OptionalJson, Params};
use super::topics::freshness;
use super::{confirm, convert, respond};
use crate::handle::{self, Handle, MemberStatus, NodeStatus, Voter};
use crate::identity::parse_incarnation;

/// Most voters of a quorum.
const VOTERS_MAX: usize = 7;

/// The quorum as this node sees it; the controller also shows the progress of every member.
/// `consistency=linearizable` has a majority confirm the controller first, through the controller wherever it
/// is: `leaderId` and `term` are then those of the controller that was confirmed, and never null.
#[utoipa::path(
    get, path = "/api/v1/metadata/quorum", tag = "quorum", operation_id = "getQuorum",
    params(ReadQuery),
    responses(
        (status = 200, description = "The quorum", body = QuorumResponse),
        (status = 503, description = "Linearizable, and no majority answers, or the controller changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_quorum(
    State(handle): State<Handle>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let status = if query == ReadQuery::default() {
        handle.status()
    } else {
        confirm::status(&handle, freshness(&query)?).await?
    };
    let response = respond::json(&quorum(&status))?;
    Ok(respond::stamped(response, status.applied, status.term))
}

/// The document of a status.
pub(super) fn quorum(status: &NodeStatus) -> QuorumResponse {
    let show = |members: &[MemberStatus]| members.iter().map(|row| member(status, row)).collect();
    let voters: Vec<MemberResponse> = show(&status.voters);
    QuorumResponse {
        cluster_id: status.cluster.to_string(),
        incarnation: status.incarnation.to_string(),
        node_id: status.node.0,
        directory_id: status.directory.0,
        state: convert::state(status.state),
        leader_id: status.leader.map(|leader| leader.0),
        leader_url: status.leader_url.clone(),
        term: status.term.0,
        commit_index: status.commit.0,
        last_index: status.last.0,
        durable_index: status.durable.0,
        applied_index: status.applied.0,
        log_start_index: status.log_start.0,
        projection: projection(status),
        membership_index: status.membership_index.0,
        committed_membership_index: status.committed_membership_index.0,
        max_follower_lag: voters.iter().filter_map(|voter| voter.lag).max(),
        max_follower_lag_time_ms: largest_of_all(&voters),
        outgoing_voters: (!status.outgoing.is_empty()).then(|| show(&status.outgoing)),
        voters,
        observers: status
            .observers
            .iter()
            .map(|row| observer(status, row))
            .collect(),
        transferring_to: status.transferring.map(|target| target.0),
        ready: status.ready,
        stopping: status.stopping,
        alarms: status.alarms.clone(),
    }
}

/// A voter that was never caught up has no time, and then neither has the maximum.
fn largest_of_all(voters: &[MemberResponse]) -> Option<u64> {
    let times: Option<Vec<u64>> = voters.iter().map(|voter| voter.last_caught_up_ms).collect();
    times?.into_iter().max()
}

fn projection(status: &NodeStatus) -> ProjectionResponse {
    ProjectionResponse {
        index: status.projection.index.0,
        lag: status.applied.0.saturating_sub(status.projection.index.0),
        healthy: status.projection.healthy,
        stopped: status.projection.stopped,
    }
}

fn member(status: &NodeStatus, member: &MemberStatus) -> MemberResponse {
    let progress = member.progress.as_ref();
    let milliseconds = |time: Option<std::time::Duration>| {
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    MemberResponse {
        id: member.id.0,
        directory_id: member.directory.0,
        peer_address: member.peer_address.clone(),
        url: url(status, member),
        matched_index: progress.map(|progress| progress.matched.0),
        lag: progress.map(|progress| status.last.0.saturating_sub(progress.matched.0)),
        last_contact_ms: milliseconds(progress.and_then(|progress| progress.last_contact)),
        last_caught_up_ms: milliseconds(progress.and_then(|progress| progress.last_caught_up)),
        receiving_snapshot: progress.map(|progress| progress.receiving_snapshot),
        stopping: progress.map(|progress| progress.stopping),
        caught_up: None,
    }
}

fn observer(status: &NodeStatus, observer: &MemberStatus) -> MemberResponse {
    let progress = observer.progress.as_ref();
    MemberResponse {
        caught_up: progress.map(|progress| progress.caught_up),
        ..member(status, observer)
    }
}

/// A node knows its own address without having been told.
fn url(status: &NodeStatus, member: &MemberStatus) -> Option<String> {
    let is_self = (member.id, member.directory) == (status.node, status.directory);
    is_self
        .then(|| status.url.clone())
        .or_else(|| member.url.clone())
}

/// Makes a voter set the first configuration of a quorum of empty nodes. The lowest id of the body is to
/// be asked. The same body again is answered with 200.
#[utoipa::path(
    post, path = "/api/v1/metadata/quorum:initialize", tag = "quorum", operation_id = "initializeQuorum",
    request_body = InitializeRequest, security(("adminToken" = [])),
    responses(
        (status = 200, description = "Entry 1 of term 1 is durable", body = InitializeResponse),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another identity, not the lowest id, not empty, or bound to another body", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "A voter does not answer", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn initialize_quorum(
    _admin: Admin,
    State(handle): State<Handle>,
    Json(body): Json<InitializeRequest>,
) -> Result<Response, ApiError> {
    let done = handle.initialize(to_initialize(&body)?).await?;
    respond::json(&InitializeResponse {
        membership_index: done.membership_index.0,
        voters: done.voters.iter().map(convert::voter).collect(),
    })
}

fn to_initialize(body: &InitializeRequest) -> Result<handle::InitializeRequest, ApiError> {
    let cluster = body
        .cluster_id
        .as_deref()
        .ok_or_else(|| ApiError::missing("clusterId"))?;
    let incarnation = body
        .incarnation
        .as_deref()
        .ok_or_else(|| ApiError::missing("incarnation"))?;
    let voters = body
        .voters
        .as_deref()
        .ok_or_else(|| ApiError::missing("voters"))?;
    Ok(handle::InitializeRequest {
        cluster: ClusterId::parse(cluster)?,
        incarnation: parse_incarnation(incarnation).map_err(|_| {
            let rule = "<number>, or <number>-<16 hex digits>, as GET /quorum shows it";
            ApiError::of_field(Code::InvalidRequest, "incarnation", incarnation, rule)
        })?,
        voters: to_voters(voters)?,
    })
}

/// The voters of a body, sorted.
pub(super) fn to_voters(bodies: &[VoterBody]) -> Result<Vec<Voter>, ApiError> {
    if bodies.is_empty() || bodies.len() > VOTERS_MAX {
        return Err(bad_voters(
            &format!("{} voters", bodies.len()),
            "1 to 7 voters",
        ));
    }
    let mut voters: Vec<Voter> = bodies
        .iter()
        .map(|body| to_voter(body).map_err(|(value, rule)| bad_voters(&value, rule)))
        .collect::<Result<_, _>>()?;
    voters.sort_unstable();
    match voters
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a.id == b.id))
    {
        Some(pair) => {
            let id = pair.first().map_or(0, |voter| voter.id.0);
            Err(bad_voters(&format!("id {id} twice"), "each id once"))
        }
        None => Ok(voters),
    }
}

/// A member of a body, or the value that cannot be and the rule.
pub(super) fn to_voter(body: &VoterBody) -> Result<Voter, (String, &'static str)> {
    if body.id == 0 {
        return Err(("id 0".to_owned(), "ids are at least 1"));
    }
    if body.directory_id.is_nil() {
        return Err((body.directory_id.to_string(), "not the nil UUID"));
    }
    Ok(Voter {
        id: NodeId(body.id),
        directory: DirectoryId(body.directory_id),
    })
}

fn bad_voters(value: &str, rule: &str) -> ApiError {
    ApiError::of_field(Code::InvalidRequest, "voters", value, rule)
}

/// Moves leadership to a voter and answers when it leads.
#[utoipa::path(
    post, path = "/api/v1/metadata/quorum/leader:transfer", tag = "quorum", operation_id = "transferLeadership",
    request_body(content = Option<TransferRequest>), security(("adminToken" = [])),
    responses(
        (status = 200, description = "Who leads now", body = TransferResponse),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another term, or a transfer is running", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The target is not a voter", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not the controller, or the target did not take over", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn transfer_leadership(
    _admin: Admin,
    State(handle): State<Handle>,
    OptionalJson(body): OptionalJson<TransferRequest>,
) -> Result<Response, ApiError> {
    let target = body.target.map(NodeId);
    let expected_term = body.expected_term.map(Term);
    let done = handle
        .transfer(handle::TransferRequest {
            target,
            expected_term,
        })
        .await?;
    respond::json(&TransferResponse {
        leader_id: done.leader.0,
        term: done.term.0,
    })
}

/// The durable snapshots of this node, newest first.
#[utoipa::path(
    get, path = "/api/v1/metadata/quorum/snapshots", tag = "quorum", operation_id = "listSnapshots",
    responses((status = 200, description = "The snapshots", body = SnapshotList))
)]
pub(super) async fn list_snapshots(State(handle): State<Handle>) -> Result<Response, ApiError> {
    let snapshots = handle.snapshots().await?;
    respond::json(&SnapshotList {
        snapshots: snapshots.iter().map(convert::snapshot).collect(),
    })
}

/// Writes a snapshot of this node's state and answers when it is durable.
#[utoipa::path(
    post, path = "/api/v1/metadata/quorum/snapshots", tag = "quorum", operation_id = "takeSnapshot",
    security(("adminToken" = [])),
    responses(
        (status = 200, description = "The snapshot", body = SnapshotResponse),
        (status = 401, description = "Token missing or wrong", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token configured, and not from loopback", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not possible now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take_snapshot(
    _admin: Admin,
    State(handle): State<Handle>,
) -> Result<Response, ApiError> {
    let taken = handle.take_snapshot().await?;
    let response = respond::json(&convert::snapshot(&taken))?;
    Ok(respond::stamped(response, taken.index, taken.term))
}
