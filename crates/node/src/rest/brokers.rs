//! Brokers: register, list, heartbeat.

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::brokers::{
    BrokerResponse, HeartbeatRequest, HeartbeatResponse, PlainHeartbeatResponse,
    RegisterBrokerRequest,
};
use dmq_api::rest::query::{ReadQuery, WriteQuery};
use dmq_metadata::{
    BrokerEpoch, BrokerId, BrokerIncarnation, ClusterId, Command, Host, MetadataIndex, Principal,
    Rack, RegisterBroker, Rejection, RejectionCode, Reply,
};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Json, Params, Path, Write};
use super::submit::submit;
use super::topics::freshness;
use super::{convert, respond};
use crate::handle::{BrokerHeartbeat, BrokerVerdict, Handle};

/// The broker in a path.
#[derive(Deserialize)]
pub(super) struct BrokerPath {
    id: u32,
}

/// Registers a broker, or the same run of it again.
#[utoipa::path(
    post, path = "/api/v1/metadata/brokers", tag = "brokers", operation_id = "registerBroker",
    request_body = RegisterBrokerRequest,
    params(WriteQuery, ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes")),
    responses(
        (status = 200, description = "The registration", body = BrokerResponse),
        (status = 409, description = "Another run of this broker is alive, or it belongs to another cluster", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn register_broker(
    State(handle): State<Handle>,
    write: Write<WriteQuery, RegisterBrokerRequest>,
) -> Result<Response, ApiError> {
    let command = Command::RegisterBroker(to_register(&write.body)?);
    let done = submit(&handle, write.command(Principal::anonymous(), command)?).await?;
    done.answer(|reply| match reply {
        Reply::BrokerRegistered(broker) => Some(convert::broker(broker)),
        _ => None,
    })
}

fn to_register(body: &RegisterBrokerRequest) -> Result<RegisterBroker, ApiError> {
    let host = body
        .host
        .as_deref()
        .ok_or_else(|| ApiError::missing("host"))?;
    Ok(RegisterBroker {
        broker_id: BrokerId(body.id.ok_or_else(|| ApiError::missing("id"))?),
        cluster_id: body
            .cluster_id
            .as_deref()
            .map(ClusterId::parse)
            .transpose()?,
        incarnation: body.incarnation_id.map(BrokerIncarnation),
        host: Host::parse(host)?,
        port: body.port.ok_or_else(|| ApiError::missing("port"))?,
        rack: body.rack.as_deref().map(Rack::parse).transpose()?,
    })
}

/// All registered brokers by number.
#[utoipa::path(
    get, path = "/api/v1/metadata/brokers", tag = "brokers", operation_id = "listBrokers",
    params(ReadQuery),
    responses(
        (status = 200, description = "The brokers", body = [BrokerResponse]),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_brokers(
    State(handle): State<Handle>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let view = handle.read(freshness(&query)?).await?;
    let brokers: Vec<BrokerResponse> = view
        .image
        .brokers()
        .map(|broker| convert::broker(broker))
        .collect();
    respond::viewed(&view, &brokers)
}

/// One broker.
#[utoipa::path(
    get, path = "/api/v1/metadata/brokers/{id}", tag = "brokers", operation_id = "getBroker",
    params(("id" = u32, Path, description = "Number of the broker"), ReadQuery),
    responses(
        (status = 200, description = "The broker", body = BrokerResponse),
        (status = 404, description = "No such broker", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_broker(
    State(handle): State<Handle>,
    Path(path): Path<BrokerPath>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let view = handle.read(freshness(&query)?).await?;
    match view.image.broker(BrokerId(path.id)) {
        Some(broker) => respond::viewed(&view, &convert::broker(broker)),
        None => Err(unknown_broker(path.id).at(view.image.index(), view.term)),
    }
}

fn unknown_broker(id: u32) -> ApiError {
    let (code, rule) = (RejectionCode::BrokerIdNotRegistered, "no such broker");
    ApiError::from(Rejection::new(code, "id", id, rule))
}

/// A broker lives. Answered by the controller only, and never logged.
#[utoipa::path(
    post, path = "/api/v1/metadata/brokers/{id}/heartbeat", tag = "brokers", operation_id = "heartbeat",
    request_body = HeartbeatRequest,
    params(("id" = u32, Path, description = "Number of the broker")),
    responses(
        (status = 200, description = "What the broker is to do", body = HeartbeatResponse),
        (status = 404, description = "Not registered", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The broker epoch is stale", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Ask the controller or try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn heartbeat(
    State(handle): State<Handle>,
    Path(path): Path<BrokerPath>,
    Json(body): Json<HeartbeatRequest>,
) -> Result<Response, ApiError> {
    let epoch = body
        .broker_epoch
        .ok_or_else(|| ApiError::missing("brokerEpoch"))?;
    let verdict = handle
        .heartbeat(BrokerHeartbeat {
            broker: BrokerId(path.id),
            epoch: Some(BrokerEpoch(epoch)),
            metadata_index: body.current_metadata_index.map(MetadataIndex),
            want_fence: body.want_fence.unwrap_or(false),
            want_shut_down: body.want_shut_down.unwrap_or(false),
        })
        .await?;
    stamped(
        &verdict,
        &HeartbeatResponse {
            is_caught_up: verdict.is_caught_up,
            is_fenced: verdict.is_fenced,
            should_shut_down: verdict.should_shut_down,
        },
    )
}

/// A broker lives, as brokers of the Java system say it: an empty form body, whatever its type.
#[utoipa::path(
    post, path = "/api/v1/metadata/heartbeat/{id}", tag = "brokers", operation_id = "plainHeartbeat",
    params(("id" = u32, Path, description = "Number of the broker")),
    responses(
        (status = 200, description = "Taken", body = PlainHeartbeatResponse),
        (status = 404, description = "Not registered", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Ask the controller or try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn plain_heartbeat(
    State(handle): State<Handle>,
    Path(path): Path<BrokerPath>,
) -> Result<Response, ApiError> {
    let verdict = handle
        .heartbeat(BrokerHeartbeat {
            broker: BrokerId(path.id),
            epoch: None,
            metadata_index: None,
            want_fence: false,
            want_shut_down: false,
        })
        .await?;
    stamped(
        &verdict,
        &PlainHeartbeatResponse {
            success: true,
            metadata_version: verdict.index.0,
            message: "Heartbeat received".to_owned(),
            timestamp: convert::now_ms(),
        },
    )
}

fn stamped<T: serde::Serialize>(verdict: &BrokerVerdict, body: &T) -> Result<Response, ApiError> {
    respond::json(body).map(|response| respond::stamped(response, verdict.index, verdict.term))
}
