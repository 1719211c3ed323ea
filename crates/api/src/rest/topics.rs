//! Topics and partitions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::unique_map;

/// Body of `POST /topics`. Either a number of partitions and a replication factor, or `assignments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateTopicRequest {
    /// Name by Kafka's rules: 1 to 249 of `[A-Za-z0-9._-]`, neither `.` nor `..`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true, example = "orders")]
    pub topic_name: Option<String>,
    /// Number of partitions. Range: 1 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    pub num_partitions: Option<u32>,
    /// Another name of `numPartitions`; both must agree if both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_count: Option<u32>,
    /// Replicas of each partition. Range: 1 to the number of registered brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    pub replication_factor: Option<u32>,
    /// The brokers of each partition, the preferred leader first; instead of the two numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignments: Option<Vec<Vec<u32>>>,
    /// Settings that differ from the defaults, by Kafka's names, for example `retention.ms`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "unique_map::optional"
    )]
    pub configs: Option<BTreeMap<String, ConfigValue>>,
}

/// The value of a setting: text, a whole number or a boolean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ConfigValue {
    /// As text.
    Text(String),
    /// As a number.
    Number(i64),
    /// As a boolean.
    Flag(bool),
}

/// A topic with its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicResponse {
    /// Name.
    pub topic_name: String,
    /// UUID; another one if the topic is created again. Left out (nil) when nothing was created
    /// (`validateOnly`).
    #[serde(default, skip_serializing_if = "Uuid::is_nil")]
    pub topic_id: Uuid,
    /// Number of partitions.
    pub num_partitions: u32,
    /// Replicas of each partition at creation.
    pub replication_factor: u32,
    /// Milliseconds since 1970-01-01 UTC, by the clock of the controller of that time.
    pub created_at: i64,
    /// Metadata index at which it was created. Left out (0) when nothing was created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created_index: u64,
    /// Settings that differ from the defaults.
    pub configs: BTreeMap<String, String>,
    /// The partitions by number.
    pub partitions: Vec<PartitionResponse>,
}

/// There is no entry 0.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_zero(index: &u64) -> bool {
    *index == 0
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionResponse {
    /// Number within the topic, from 0.
    pub partition_id: u32,
    /// The broker that serves it; null while it is offline.
    pub leader_id: Option<u32>,
    /// Fencing number of the leader.
    pub leader_epoch: u32,
    /// Version of this partition's state, for `If-Match`.
    pub partition_epoch: u32,
    /// The brokers that hold a copy, the preferred leader first.
    pub replicas: Vec<u32>,
    /// The in-sync replicas.
    pub isr: Vec<u32>,
    /// `RECOVERED`, or `RECOVERING` after an unclean election until the leader reports recovery.
    pub leader_recovery_state: RecoveryState,
}

/// Whether a partition's leader has recovered from an unclean election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecoveryState {
    /// It has, or there was none.
    #[default]
    Recovered,
    /// It has not reported so yet.
    Recovering,
}

/// One line of the list of topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicSummary {
    /// Name.
    pub topic_name: String,
    /// UUID.
    pub topic_id: Uuid,
    /// Number of partitions.
    pub num_partitions: u32,
    /// Replicas of each partition at creation.
    pub replication_factor: u32,
}

/// A page of topics, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicList {
    /// The topics of this page.
    pub topics: Vec<TopicSummary>,
    /// `after` of the next page; null on the last one.
    pub next: Option<String>,
    /// Number of topics in the cluster.
    pub total: u64,
}

/// Body of `PATCH /topics/{topic}/partitions/{partition}`: a partition leader reports its in-sync replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePartitionRequest {
    /// The broker that asks; must lead the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub broker_id: Option<u32>,
    /// Epoch of its registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub broker_epoch: Option<u64>,
    /// The leader epoch under which it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub leader_epoch: Option<u32>,
    /// The partition epoch that the report was made from; may come as `If-Match` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_epoch: Option<u32>,
    /// The in-sync replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true)]
    pub isr: Option<Vec<u32>>,
    /// Epochs of the brokers in `isr`, in the same order, as the leader saw them (KIP-903).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isr_epochs: Option<Vec<u64>>,
    /// What the leader reports of its recovery. Default: RECOVERED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_recovery_state: Option<RecoveryState>,
}

/// Body of `POST /topics/{topic}/partitions/{partition}/leader`: exactly one of the two ways to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ElectLeaderRequest {
    /// The rule that picks the leader.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ElectionType>,
    /// The broker that is to lead; must be in sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_id: Option<u32>,
    /// If given, must be the leader epoch in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<u32>,
}

/// The rule of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ElectionType {
    /// The first replica, if in sync.
    Preferred,
    /// Any live replica, if the topic allows it; acknowledged records may be lost.
    Unclean,
}

impl<'de> Deserialize<'de> for ConfigValue {
    /// By hand, so that an error names the value: untagged enums do not.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl serde::de::Visitor<'_> for ConfigVisitor {
    type Value = ConfigValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string, a whole number or a boolean")
    }

    fn visit_str<E>(self, text: &str) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<ConfigValue, E> {
        Ok(ConfigValue::Number(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ConfigValue, E> {
        let unexpected = serde::de::Unexpected::Unsigned(number);
        i64::try_from(number)
            .map(ConfigValue::Number)
            .map_err(|_| E::invalid_value(unexpected, &"at most 9223372036854775807"))
    }
}

impl std::fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}
