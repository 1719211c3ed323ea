//! What a command is answered: a reply, or a rejection with Kafka's name for the reason.

use std::fmt;
use std::sync::Arc;

use crate::broker::Broker;
use crate::ids::{BrokerEpoch, BrokerId, FeatureLevel, TopicId};
use crate::names::TopicName;
use crate::partition::Partition;

/// Longest value that a message repeats, in characters: longer than any valid name.
const VALUE_LENGTH_MAX: usize = 300;

/// The answer of a committed command. A rejection is an answer too: it changed nothing.
pub type Outcome = Result<Reply, Rejection>;

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The topic exists now; its partitions are in the image.
    TopicCreated {
        /// Id of the new topic.
        topic_id: TopicId,
        /// Its name.
        name: TopicName,
        /// Number of partitions.
        partition_count: u32,
        /// Replicas of each partition.
        replication_factor: u32,
    },
    /// The topic and its partitions are gone.
    TopicDeleted {
        /// Id of the topic.
        topic_id: TopicId,
        /// Its name.
        name: TopicName,
    },
    /// The partition after an ISR change.
    PartitionUpdated(Arc<Partition>),
    /// The partition after an election.
    LeaderElected(Arc<Partition>),
    /// The registration in force.
    BrokerRegistered(Arc<Broker>),
    /// The broker is fenced, by this command or before.
    BrokerFenced {
        /// Number of the broker.
        broker_id: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// Partitions whose leader or ISR changed.
        partitions_changed: u32,
    },
    /// The broker is unfenced, by this command or before.
    BrokerUnfenced {
        /// Number of the broker.
        broker_id: BrokerId,
        /// Its epoch.
        epoch: BrokerEpoch,
        /// Partitions that got a leader.
        partitions_changed: u32,
    },
    /// The feature level in force.
    FeatureLevelSet(FeatureLevel),
}

/// Why a command, or a request before the log, was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Rejection {
    /// Kafka's name of the reason.
    pub code: RejectionCode,
    /// A sentence that names the field, its value and the rule.
    pub message: String,
    /// The field of the request that is wrong, in the spelling of REST; `None` if no single one is.
    pub field: Option<String>,
}

/// Defines the codes with their names on the wire, both ways.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Reasons for a refusal, by the names of Kafka's `Errors` where it has one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RejectionCode {
            $($(#[$doc])* $variant,)*
        }

        impl RejectionCode {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire, for example `TOPIC_ALREADY_EXISTS`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The code of a name on the wire.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Another topic has the name or the id.
    TopicAlreadyExists = "TOPIC_ALREADY_EXISTS",
    /// The topic name breaks Kafka's rules or collides with another one.
    InvalidTopic = "INVALID_TOPIC",
    /// The number of partitions is out of range.
    InvalidPartitions = "INVALID_PARTITIONS",
    /// The replication factor is out of range or cannot be reached.
    InvalidReplicationFactor = "INVALID_REPLICATION_FACTOR",
    /// The assignment given by the caller is not possible.
    InvalidReplicaAssignment = "INVALID_REPLICA_ASSIGNMENT",
    /// A topic setting is unknown or has a bad value.
    InvalidConfig = "INVALID_CONFIG",
    /// No topic of that name, or no partition of that number.
    UnknownTopicOrPartition = "UNKNOWN_TOPIC_OR_PARTITION",
    /// No topic of that id.
    UnknownTopicId = "UNKNOWN_TOPIC_ID",
    /// The caller knows a newer partition state than the controller.
    NotController = "NOT_CONTROLLER",
    /// The caller's leader epoch is older than the partition's.
    FencedLeaderEpoch = "FENCED_LEADER_EPOCH",
    /// The caller's version is older than the one in force.
    InvalidUpdateVersion = "INVALID_UPDATE_VERSION",
    /// The request contradicts itself or the partition's state.
    InvalidRequest = "INVALID_REQUEST",
    /// A proposed ISR member or leader is fenced, of another epoch, or not in sync.
    IneligibleReplica = "INELIGIBLE_REPLICA",
    /// The wanted leader leads already.
    ElectionNotNeeded = "ELECTION_NOT_NEEDED",
    /// The preferred replica is not in sync or fenced.
    PreferredLeaderNotAvailable = "PREFERRED_LEADER_NOT_AVAILABLE",
    /// No replica may become leader.
    EligibleLeadersNotAvailable = "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    /// The broker epoch is not the one of the registration in force.
    StaleBrokerEpoch = "STALE_BROKER_EPOCH",
    /// No broker of that number is registered.
    BrokerIdNotRegistered = "BROKER_ID_NOT_REGISTERED",
    /// Another run of a broker with this number is alive.
    DuplicateBrokerRegistration = "DUPLICATE_BROKER_REGISTRATION",
    /// The broker belongs to another cluster.
    InconsistentClusterId = "INCONSISTENT_CLUSTER_ID",
    /// The registration has a bad field.
    InvalidRegistration = "INVALID_REGISTRATION",
    /// The feature level in force does not know the command, or the level is not supported.
    UnsupportedVersion = "UNSUPPORTED_VERSION",
    /// The feature level cannot be set to that value.
    FeatureUpdateFailed = "FEATURE_UPDATE_FAILED",
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
    /// The deduplication table is full.
    TooManyRequests = "TOO_MANY_REQUESTS",
}

impl Rejection {
    /// A rejection that names the field, its value and the rule that it breaks. A long value is shortened, and
    /// control characters in it are escaped: the message goes to terminals and logs.
    pub fn new(code: RejectionCode, field: &str, value: impl fmt::Display, rule: &str) -> Self {
        let message = format!("{field} is '{}': {rule}", shown(&value.to_string()));
        Self {
            code,
            message,
            field: Some(field.to_owned()),
        }
    }
}

/// The value as people should see it.
fn shown(value: &str) -> String {
    let mut text = String::new();
    for character in value.chars().take(VALUE_LENGTH_MAX) {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    if value.chars().nth(VALUE_LENGTH_MAX).is_some() {
        text.push_str("...");
    }
    text
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
