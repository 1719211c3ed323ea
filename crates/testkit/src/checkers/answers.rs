//! What an answer has to say, given what the state machine decided or the state that was read.

use std::collections::HashMap;
use std::sync::Arc;

use dmq_api::status::Code;
use dmq_metadata::{Image, Outcome as Decided, Reply};
use serde_json::Value;
use uuid::Uuid;

use super::shown;
use crate::chaos::operation::{Call, Operation, Outcome};

/// Index at which each topic was created, by id.
pub(super) type Created = HashMap<Uuid, u64>;

/// How an answer differs from what the state machine decided.
pub(super) fn difference(
    operation: &Operation,
    term: u64,
    decided: &Decided,
    created: &Created,
) -> Option<String> {
    let same_term = |named: u64| named == term;
    match (&operation.outcome, decided) {
        (Outcome::Done { term, body, .. }, Ok(reply)) if same_term(*term) => {
            difference_in_body(&operation.call, body, reply, created)
        }
        (
            Outcome::Refused {
                code,
                detail,
                at: Some((_, term)),
            },
            Err(rejection),
        ) if same_term(*term) => {
            let expected = (
                Code::from(rejection.code).as_str(),
                rejection.message.as_str(),
            );
            ((&**code, &**detail) != expected).then(|| format!("should be {expected:?}"))
        }
        _ => Some(format!("should be {decided:?} in term {term}")),
    }
}

fn difference_in_body(call: &Call, body: &str, reply: &Reply, created: &Created) -> Option<String> {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let expected = match (call, reply) {
        (Call::CreateTopic { topic, .. }, Reply::TopicCreated { topic_id, .. }) => {
            // The body shows the topic as it was a moment later; gone, perhaps, and then without an index.
            let shown_index = body["createdIndex"].as_u64();
            let created_then = created.get(&topic_id.0).copied();
            let right = body["topicId"] == topic_id.0.to_string()
                && body["topicName"] == **topic
                && (shown_index.is_none() || shown_index == created_then);
            return (!right).then(|| format!("should be {reply:?}, created at {created_then:?}"));
        }
        (Call::DeleteTopic { .. }, Reply::TopicDeleted { .. }) => return None,
        (Call::UpdatePartition { .. }, Reply::PartitionUpdated(row))
        | (Call::ElectLeader { .. }, Reply::LeaderElected(row)) => {
            serde_json::to_value(shown::partition(row))
        }
        (Call::RegisterBroker { .. }, Reply::BrokerRegistered(row)) => {
            serde_json::to_value(shown::broker(row))
        }
        _ => return Some(format!("should be {reply:?}")),
    };
    let expected = expected.unwrap_or_default();
    (body != expected).then(|| format!("should be {expected}"))
}

/// What a read has to show, or the code that says that there is nothing.
pub(super) fn view(image: &Image, call: &Call) -> Result<Value, Arc<str>> {
    let json = |value: serde_json::Result<Value>| Ok(value.unwrap_or_default());
    match call {
        Call::GetTopic { topic, .. } => match shown::topic(image, topic) {
            Some(topic) => json(serde_json::to_value(topic)),
            None => Err("UNKNOWN_TOPIC_OR_PARTITION".into()),
        },
        Call::ListTopics { prefix, .. } => json(serde_json::to_value(shown::list(image, prefix))),
        Call::GetBroker { id, .. } => match image.broker(dmq_metadata::BrokerId(*id)) {
            Some(broker) => json(serde_json::to_value(shown::broker(broker))),
            None => Err("BROKER_ID_NOT_REGISTERED".into()),
        },
        Call::CreateTopic { .. }
        | Call::DeleteTopic { .. }
        | Call::UpdatePartition { .. }
        | Call::ElectLeader { .. }
        | Call::RegisterBroker { .. } => Err("".into()),
    }
}
