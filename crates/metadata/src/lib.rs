//! The metadata domain of DMQ: what exists, which commands change it, and how it looks in bytes.
//!
//! Reading order: [`ids`] and [`names`] (the words), [`topic`], [`partition`], [`broker`], [`dedup`] (the rows),
//! [`command`] (what is asked), [`outcome`] (what is answered), [`changes`] (what a store must write),
//! [`image`] (the state at an index), [`apply`] (the only way forward), then the decisions behind it:
//! [`placement`] and the modules under `apply`. [`encoding`], [`hash`] and [`snapshot`] are bytes;
//! [`liveness`] and [`validate`] serve the controller before the log.
//!
//! Same image and same entry give the same outcome on every node, store and version: no clock, no randomness,
//! no floats, no hash maps.

pub mod apply;
pub mod broker;
pub mod changes;
pub mod command;
pub mod config;
pub mod dedup;
mod election;
pub mod encoding;
pub mod hash;
pub mod ids;
pub mod image;
pub mod liveness;
mod mutant;
pub mod names;
pub mod outcome;
pub mod partition;
pub mod placement;
pub mod row;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod topic;
pub mod validate;

pub use apply::{Applied, ApplyError, PARTITION_EPOCH_GAP, advance, apply, begin_anew_at, preview};
pub use broker::Broker;
pub use changes::{Change, Changes};
pub use command::{
    BrokerSession, Command, CreateTopic, DeleteTopic, Election, Envelope, IsrMember,
    PARTITIONS_PER_COMMAND_MAX, REPLICAS_PER_COMMAND_MAX, RegisterBroker, TopicLayout, TopicRef,
    UpdateLeader, UpdatePartition,
};
pub use config::{ConfigSpec, TOPIC_CONFIGS, TopicConfigs};
pub use dedup::{DedupEntry, DedupKey, Fingerprint, Idempotency};
pub use encoding::DecodeError;
pub use hash::row_hash;
pub use ids::*;
pub use image::{Counts, Image};
pub use names::{ClusterId, Host, IdempotencyKey, Principal, Rack, TopicName};
pub use outcome::{Outcome, Rejection, RejectionCode, Reply};
pub use partition::{LeaderRecovery, Partition, PartitionKey};
pub use row::{Row, Settings, StateHash};
pub use topic::Topic;
