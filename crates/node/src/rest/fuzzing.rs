//! A door for the fuzzers: bodies of requests, read as the routes read them. No part of the server uses it.

use dmq_api::rest::brokers::{HeartbeatRequest, RegisterBrokerRequest};
use dmq_api::rest::features::SetFeaturesRequest;
use dmq_api::rest::membership::{ObserverRequest, VotersRequest};
use dmq_api::rest::quorum::{InitializeRequest, TransferRequest};
use dmq_api::rest::topics::{CreateTopicRequest, ElectLeaderRequest, UpdatePartitionRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json;

/// Reads one kind of body: how it looks when written again, or the refusal.
pub type ReadBody = fn(&[u8]) -> Result<Vec<u8>, String>;

/// Every body that a route takes, by the name of its type.
pub const BODIES: [(&str, ReadBody); 10] = [
    ("CreateTopicRequest", read::<CreateTopicRequest>),
    ("UpdatePartitionRequest", read::<UpdatePartitionRequest>),
    ("ElectLeaderRequest", read::<ElectLeaderRequest>),
    ("RegisterBrokerRequest", read::<RegisterBrokerRequest>),
    ("HeartbeatRequest", read::<HeartbeatRequest>),
    ("SetFeaturesRequest", read::<SetFeaturesRequest>),
    ("InitializeRequest", read::<InitializeRequest>),
    ("TransferRequest", read::<TransferRequest>),
    ("VotersRequest", read::<VotersRequest>),
    ("ObserverRequest", read::<ObserverRequest>),
];

fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<Vec<u8>, String> {
    let value: T = json::read(body).map_err(|error| format!("{error:?}"))?;
    serde_json::to_vec(&value).map_err(|error| error.to_string())
}
