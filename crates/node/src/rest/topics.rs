//! Topics: create, list, describe, delete.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use dmq_api::problem::Problem;
use dmq_api::rest::query::{ListTopicsQuery, ReadQuery, TryWriteQuery, WriteQuery};
use dmq_api::rest::topics::{CreateTopicRequest, TopicList, TopicResponse};
use dmq_api::status::Code;
use dmq_metadata::{
    BrokerId, Command, CreateTopic, DeleteTopic, Image, Principal, Rejection, RejectionCode, Reply,
    Topic, TopicConfigs, TopicId, TopicLayout, TopicName, TopicRef,
};
use serde::Deserialize;
use uuid::Uuid;

use super::error::ApiError;
use super::extract::{NoBody, Params, Path, Write, read_request};
use super::submit::{submit, try_out};
use super::{convert, respond};
use crate::handle::{Handle, ReadRequest};

/// Longest page of the list.
const LIMIT_MAX: u32 = 1_000;
/// Page length without a wish.
const LIMIT_DEFAULT: u32 = 100;

/// The topic in a path: a name, or `id:` and a UUID.
#[derive(Deserialize)]
pub(super) struct TopicPath {
    topic: String,
}

/// Creates a topic with all its partitions.
#[utoipa::path(
    post, path = "/api/v1/metadata/topics", tag = "topics", operation_id = "createTopic",
    request_body = CreateTopicRequest,
    params(TryWriteQuery, ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes")),
    responses(
        (status = 200, description = "Created", body = TopicResponse),
        (status = 409, description = "The topic exists", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_topic(
    State(handle): State<Handle>,
    write: Write<TryWriteQuery, CreateTopicRequest>,
) -> Result<Response, ApiError> {
    let command = Command::CreateTopic(to_create(&write.body)?);
    let request = write.command(Principal::anonymous(), command)?;
    if write.query.validate_only == Some(true) {
        let configs = shown_configs(&write.body);
        return try_out(&handle, request, |reply| would_be(reply, configs)).await;
    }
    let done = submit(&handle, request).await?;
    let view = handle.view();
    done.answer(|reply| created_body(reply, Some(&view.image)))
}

/// The topic as the image shows it; without an image (nothing was done), or when it was deleted in the
/// meantime, as the reply names it.
fn created_body(reply: &Reply, image: Option<&Image>) -> Option<TopicResponse> {
    let Reply::TopicCreated {
        topic_id,
        name,
        partition_count,
        replication_factor,
    } = reply
    else {
        return None;
    };
    let shown = image.and_then(|image| Some(convert::topic(image, image.topic_by_id(*topic_id)?)));
    Some(shown.unwrap_or_else(|| TopicResponse {
        topic_name: name.to_string(),
        topic_id: topic_id.0,
        num_partitions: *partition_count,
        replication_factor: *replication_factor,
        created_at: convert::now_ms(),
        created_index: 0,
        configs: BTreeMap::default(),
        partitions: Vec::new(),
    }))
}

/// The topic that would be created: with its settings, without the id and index that it does not have.
fn would_be(reply: &Reply, configs: BTreeMap<String, String>) -> Option<TopicResponse> {
    Some(TopicResponse {
        topic_id: Uuid::nil(),
        configs,
        ..created_body(reply, None)?
    })
}

fn shown_configs(body: &CreateTopicRequest) -> BTreeMap<String, String> {
    let given = body.configs.iter().flatten();
    given
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect()
}

fn to_create(body: &CreateTopicRequest) -> Result<CreateTopic, ApiError> {
    let name = body
        .topic_name
        .as_deref()
        .ok_or_else(|| ApiError::missing("topicName"))?;
    Ok(CreateTopic {
        topic_id: TopicId(Uuid::new_v4()),
        name: TopicName::parse(name)?,
        layout: layout(body)?,
        configs: configs(body)?,
    })
}

fn layout(body: &CreateTopicRequest) -> Result<TopicLayout, ApiError> {
    let partitions = partition_count(body)?;
    match (&body.assignments, partitions, body.replication_factor) {
        (Some(assignments), None, None) => Ok(TopicLayout::Assigned(
            assignments
                .iter()
                .map(|brokers| brokers.iter().copied().map(BrokerId).collect())
                .collect(),
        )),
        (Some(_), _, _) => {
            let text = "assignments come instead of numPartitions and replicationFactor";
            Err(ApiError::from(
                Problem::new(Code::InvalidRequest, text).with_field("assignments"),
            ))
        }
        (None, None, _) => Err(ApiError::missing("numPartitions")),
        (None, _, None) => Err(ApiError::missing("replicationFactor")),
        (None, Some(partitions), Some(replication_factor)) => Ok(TopicLayout::Automatic {
            partitions,
            replication_factor,
        }),
    }
}

fn partition_count(body: &CreateTopicRequest) -> Result<Option<u32>, ApiError> {
    match (body.num_partitions, body.partition_count) {
        (Some(one), Some(other)) if one != other => {
            let rule = format!("numPartitions is '{one}', and both mean the same");
            let value = other.to_string();
            Err(ApiError::of_field(
                Code::InvalidRequest,
                "partitionCount",
                &value,
                &rule,
            ))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn configs(body: &CreateTopicRequest) -> Result<TopicConfigs, ApiError> {
    let given = body.configs.iter().flatten();
    let texts: Vec<(&str, String)> = given
        .map(|(name, value)| (name.as_str(), value.to_string()))
        .collect();
    Ok(TopicConfigs::parse(
        texts.iter().map(|(name, value)| (*name, value.as_str())),
    )?)
}

/// A page of topics, in the order of their names.
#[utoipa::path(
    get, path = "/api/v1/metadata/topics", tag = "topics", operation_id = "listTopics",
    params(ListTopicsQuery),
    responses(
        (status = 200, description = "The page", body = TopicList),
        (status = 422, description = "A rule is broken", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_topics(
    State(handle): State<Handle>,
    Params(query): Params<ListTopicsQuery>,
) -> Result<Response, ApiError> {
    let limit = page_length(query.limit)?;
    let after = query
        .after
        .as_deref()
        .map(TopicName::parse)
        .transpose()
        .map_err(in_after)?;
    let freshness = read_request(query.consistency, query.min_index, query.timeout_ms)?;
    let view = handle.read(freshness).await?;
    let prefix = query.prefix.as_deref().unwrap_or_default();
    respond::viewed(&view, &page(&view.image, after.as_ref(), prefix, limit))
}

fn page_length(given: Option<u32>) -> Result<usize, ApiError> {
    match given.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit as usize),
        limit => {
            let rule = format!("1 to {LIMIT_MAX}");
            Err(ApiError::of_field(
                Code::InvalidRequest,
                "limit",
                &limit.to_string(),
                &rule,
            ))
        }
    }
}

fn in_after(rejection: Rejection) -> Rejection {
    Rejection {
        field: Some("after".to_owned()),
        ..rejection
    }
}

/// Names are in order, so the topics of a prefix follow each other.
fn page(image: &Image, after: Option<&TopicName>, prefix: &str, limit: usize) -> TopicList {
    let mut matching = image
        .topics_by_name(after)
        .skip_while(|topic| topic.name.as_str() < prefix)
        .take_while(|topic| topic.name.as_str().starts_with(prefix));
    let topics: Vec<_> = matching
        .by_ref()
        .take(limit)
        .map(|topic| convert::topic_summary(topic))
        .collect();
    let more = matching.next().is_some();
    let next = topics
        .last()
        .filter(|_| more)
        .map(|topic| topic.topic_name.clone());
    TopicList {
        topics,
        next,
        total: image.counts().topics as u64,
    }
}

/// One topic with its partitions.
#[utoipa::path(
    get, path = "/api/v1/metadata/topics/{topic}", tag = "topics", operation_id = "getTopic",
    params(("topic" = String, Path, description = "Name, or `id:` and the topic's UUID"), ReadQuery),
    responses(
        (status = 200, description = "The topic", body = TopicResponse),
        (status = 404, description = "No such topic", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "minIndex was not applied in time", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_topic(
    State(handle): State<Handle>,
    Path(path): Path<TopicPath>,
    Params(query): Params<ReadQuery>,
) -> Result<Response, ApiError> {
    let reference = topic_ref(&path.topic)?;
    let view = handle.read(freshness(&query)?).await?;
    let topic =
        find(&view.image, &reference).map_err(|error| error.at(view.image.index(), view.term))?;
    respond::viewed(&view, &convert::topic(&view.image, topic))
}

/// Deletes a topic with its partitions.
#[utoipa::path(
    delete, path = "/api/v1/metadata/topics/{topic}", tag = "topics", operation_id = "deleteTopic",
    params(
        ("topic" = String, Path, description = "Name, or `id:` and the topic's UUID"),
        WriteQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request take effect once, for 5 minutes"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such topic", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not done; ask the controller or try again", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "Outcome unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_topic(
    State(handle): State<Handle>,
    Path(path): Path<TopicPath>,
    write: Write<WriteQuery, NoBody>,
) -> Result<Response, ApiError> {
    let NoBody {} = write.body;
    let command = Command::DeleteTopic(DeleteTopic {
        topic: topic_ref(&path.topic)?,
    });
    let done = submit(&handle, write.command(Principal::anonymous(), command)?).await?;
    Ok(respond::deleted(&done))
}

/// A topic as a path names it.
pub(super) fn topic_ref(text: &str) -> Result<TopicRef, ApiError> {
    let Some(id) = text.strip_prefix("id:") else {
        return Ok(TopicRef::Name(TopicName::parse(text)?));
    };
    let id = Uuid::try_parse(id).map_err(|_| {
        let rule = "id: is followed by a UUID";
        ApiError::of_field(Code::InvalidParameter, "topic", text, rule)
    })?;
    Ok(TopicRef::Id(TopicId(id)))
}

/// The topic, or 404.
pub(super) fn find<'a>(image: &'a Image, topic: &TopicRef) -> Result<&'a Topic, ApiError> {
    image.topic(topic).map(AsRef::as_ref).ok_or_else(|| {
        let rule = "no such topic";
        ApiError::from(match topic {
            TopicRef::Name(name) => {
                Rejection::new(RejectionCode::UnknownTopicOrPartition, "topic", name, rule)
            }
            TopicRef::Id(id) => Rejection::new(RejectionCode::UnknownTopicId, "topic", id, rule),
        })
    })
}

/// The freshness that a read asks for.
pub(super) fn freshness(query: &ReadQuery) -> Result<ReadRequest, ApiError> {
    read_request(query.consistency, query.min_index, query.timeout_ms)
}
