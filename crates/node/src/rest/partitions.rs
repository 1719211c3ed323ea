//! Partitions: describe, report in-sync replicas, elect a leader.

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::query::{ReadQuery, WriteQuery};
use dmq_api::rest::topics::{
    ElectLeaderRequest, ElectionType, PartitionResponse, RecoveryState, UpdatePartitionRequest,
};
use dmq_api::status::Code;
use dmq_metadata::{
    BrokerEpoch, BrokerId, Command, Election, IsrMember, LeaderEpoch, LeaderRecovery, Partition,
    PartitionEpoch, PartitionId, Principal, Rejection, RejectionCode, Reply, TopicRef,
    UpdateLeader, UpdatePartition,
};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Params, Path, Write};
use super::submit::submit;
use super::topics::{find, freshness, topic_ref};
use super::{convert, respond};
use crate::handle::Handle;

/// The partition in a path.
#[derive(Deserialize)]
pub(super) struct PartitionPath {
    topic: String,
    partition: u32,
}

/// One partition. Its `ETag` is the partition epoch.
#[utoipa::path(
    get, path = "/api/v1/metadata/topics/{topic}/partitions/{partition}", tag = "partitions", operation_id = "getPartition",
    params(
        ("topic" = String, Path, description = "Name, or `id:` and the topic's UUID"),
        ("partition" = u32, Path, description = "Number of the partition"),
        ReadQuery,
    ),
    responses(
        (status = 200, description = "The partition", body = PartitionResponse),
        (status = 404, description = "No such topic or partition", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_partition(
    State(handle): State<Handle>,
    Path(path): Path<PartitionPath>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let reference = topic_ref(&path.topic)?;
    let view = handle.read(freshness(&query)?).await?;
    let found = find(&view.image, &reference).and_then(|topic| {
        let partition = view.image.partition(topic.id, PartitionId(path.partition));
        partition.ok_or_else(|| unknown_partition(path.partition))
    });
    let partition = found.map_err(|error| error.at(view.image.index(), view.term))?;
    let response = respond::viewed(&view, &convert::partition(partition))?;
    Ok(respond::tagged(response, partition.partition_epoch.0))
}

fn unknown_partition(number: u32) -> ApiError {
    let (code, rule) = (RejectionCode::UnknownTopicOrPartition, "no such partition");
    ApiError::from(Rejection::new(code, "partition", number, rule))
}

/// A partition's leader reports the in-sync replicas (Kafka's `AlterPartition`).
#[utoipa::path(
    patch, path = "/api/v1/metadata/topics/{topic}/partitions/{partition}", tag = "partitions", operation_id = "updatePartition",
    request_body = UpdatePartitionRequest,
    params(
        ("topic" = String, Path, description = "Name, or `id:` and the topic's UUID"),
        ("partition" = u32, Path, description = "Number of the partition"),
        WriteQuery,
        ("If-Match" = Option<String>, Header, description = "The quoted partition epoch; 412 if it is another one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes"),
    ),
    responses(
        (status = 200, description = "The partition as it is now", body = PartitionResponse),
        (status = 404, description = "No such topic or partition", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "An epoch is stale", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "If-Match is not met", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn update_partition(
    State(handle): State<Handle>,
    Path(path): Path<PartitionPath>,
    write: Write<WriteQuery, UpdatePartitionRequest>,
) -> Result<Response, ApiError> {
    let update = to_update(topic_ref(&path.topic)?, path.partition, &write)?;
    let request = write.command(Principal::anonymous(), Command::UpdatePartition(update))?;
    let done = submit(&handle, request)
        .await
        .map_err(|error| conditional(error, write.if_match))?;
    let Reply::PartitionUpdated(partition) = &done.reply else {
        return done.answer(shown);
    };
    Ok(respond::tagged(
        done.answer(shown)?,
        partition.partition_epoch.0,
    ))
}

fn to_update(
    topic: TopicRef,
    partition: u32,
    write: &Write<WriteQuery, UpdatePartitionRequest>,
) -> Result<UpdatePartition, ApiError> {
    let body = &write.body;
    let required = |value: Option<u32>, field| value.ok_or_else(|| ApiError::missing(field));
    Ok(UpdatePartition {
        topic,
        partition_id: PartitionId(partition),
        broker_id: BrokerId(required(body.broker_id, "brokerId")?),
        broker_epoch: BrokerEpoch(
            body.broker_epoch
                .ok_or_else(|| ApiError::missing("brokerEpoch"))?,
        ),
        leader_epoch: LeaderEpoch(required(body.leader_epoch, "leaderEpoch")?),
        partition_epoch: PartitionEpoch(partition_epoch(body.partition_epoch, write.if_match)?),
        new_isr: isr(body)?,
        recovery: match body.leader_recovery_state.unwrap_or_default() {
            RecoveryState::Recovered => LeaderRecovery::Recovered,
            RecoveryState::Recovering => LeaderRecovery::Recovering,
        },
    })
}

/// The epoch may come in the body, as `If-Match`, or as both if they agree.
fn partition_epoch(in_body: Option<u32>, if_match: Option<u32>) -> Result<u32, ApiError> {
    match (in_body, if_match) {
        (Some(body), Some(header)) if body != header => {
            let rule = format!("If-Match is '{header}', and both mean the same");
            let value = body.to_string();
            Err(ApiError::of_field(
                Code::InvalidRequest,
                "partitionEpoch",
                &value,
                &rule,
            ))
        }
        (body, header) => header
            .or(body)
            .ok_or_else(|| ApiError::missing("partitionEpoch")),
    }
}

fn isr(body: &UpdatePartitionRequest) -> Result<Vec<IsrMember>, ApiError> {
    let brokers = body.isr.as_ref().ok_or_else(|| ApiError::missing("isr"))?;
    let Some(epochs) = &body.isr_epochs else {
        return Ok(brokers.iter().map(|&id| member(id, None)).collect());
    };
    if epochs.len() != brokers.len() {
        let (value, rule) = (epochs.len().to_string(), "as many entries as isr");
        return Err(ApiError::of_field(
            Code::InvalidRequest,
            "isrEpochs",
            &value,
            rule,
        ));
    }
    Ok(brokers
        .iter()
        .zip(epochs)
        .map(|(&id, &epoch)| member(id, Some(epoch)))
        .collect())
}

fn member(id: u32, epoch: Option<u64>) -> IsrMember {
    IsrMember {
        broker_id: BrokerId(id),
        broker_epoch: epoch.map(BrokerEpoch),
    }
}

/// Elects a leader for one partition.
#[utoipa::path(
    post, path = "/api/v1/metadata/topics/{topic}/partitions/{partition}/leader", tag = "partitions", operation_id = "electLeader",
    request_body = ElectLeaderRequest,
    params(
        ("topic" = String, Path, description = "Name, or `id:` and the topic's UUID"),
        ("partition" = u32, Path, description = "Number of the partition"),
        WriteQuery,
        ("If-Match" = Option<String>, Header, description = "The quoted partition epoch; 412 if it is another one"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes"),
    ),
    responses(
        (status = 200, description = "The partition as it is now", body = PartitionResponse),
        (status = 404, description = "No such topic or partition", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Leads already, cannot lead, or a stale epoch", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "If-Match is not met", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn elect_leader(
    State(handle): State<Handle>,
    Path(path): Path<PartitionPath>,
    write: Write<WriteQuery, ElectLeaderRequest>,
) -> Result<Response, ApiError> {
    let command = Command::UpdateLeader(UpdateLeader {
        topic: topic_ref(&path.topic)?,
        partition_id: PartitionId(path.partition),
        election: election(&write.body)?,
        leader_epoch: write.body.leader_epoch.map(LeaderEpoch),
        partition_epoch: write.if_match.map(PartitionEpoch),
    });
    let request = write.command(Principal::anonymous(), command)?;
    let done = submit(&handle, request)
        .await
        .map_err(|error| conditional(error, write.if_match))?;
    let Reply::LeaderElected(partition) = &done.reply else {
        return done.answer(shown);
    };
    Ok(respond::tagged(
        done.answer(shown)?,
        partition.partition_epoch.0,
    ))
}

fn election(body: &ElectLeaderRequest) -> Result<Election, ApiError> {
    match (body.kind, body.broker_id) {
        (Some(ElectionType::Preferred), None) => Ok(Election::Preferred),
        (Some(ElectionType::Unclean), None) => Ok(Election::Unclean),
        (None, Some(broker)) => Ok(Election::Designated(BrokerId(broker))),
        (None, None) | (Some(_), Some(_)) => {
            let text = "exactly one of type and brokerId says who is to lead";
            Err(ApiError::from(
                Problem::new(Code::InvalidRequest, text).with_field("type"),
            ))
        }
    }
}

fn shown(reply: &Reply) -> Option<PartitionResponse> {
    let partition: &Partition = match reply {
        Reply::PartitionUpdated(partition) | Reply::LeaderElected(partition) => partition,
        _ => return None,
    };
    Some(convert::partition(partition))
}

/// A partition epoch that came as `If-Match` and is not the one in force is a condition that is not met.
fn conditional(error: ApiError, if_match: Option<u32>) -> ApiError {
    let about_epoch = matches!(error.code(), "INVALID_UPDATE_VERSION" | "NEWER_STATE_KNOWN")
        && error.field() == Some("partitionEpoch");
    if if_match.is_some() && about_epoch {
        return error.recast(Code::PreconditionFailed, "If-Match");
    }
    error
}
