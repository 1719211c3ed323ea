//! What Kubernetes stores of a metadata quorum: the kind `DmqMetadataCluster`, its rules, and the names of what belongs to it.
//!
//! Reading order: [`cluster`] (the object), [`status`], [`names`] (children, labels, annotations), [`definition`] (the CRD as it is installed).
//!
//! Types only: no client, no runtime. Field documentation becomes `kubectl explain`; the rules that the API server checks stand
//! beside the fields that they are about, as CEL.

pub mod cluster;
pub mod condition;
pub mod config;
pub mod definition;
mod image;
pub mod names;
mod pod;
mod policy;
pub mod quantity;
mod raft;
mod rule;
mod service;
pub mod status;
mod storage;
mod store;

pub use self::cluster::{DmqMetadataCluster, DmqMetadataClusterSpec};
pub use self::image::{Image, PullPolicy};
pub use self::pod::PodSettings;
pub use self::policy::{NetworkPolicySettings, PodDisruptionBudgetSettings, UpdateStrategy};
pub use self::raft::Raft;
pub use self::service::{Service, ServiceType};
pub use self::status::DmqMetadataClusterStatus;
pub use self::storage::{Retention, RetentionPolicy, Storage, StorageRequest};
pub use self::store::{
    ExternalPostgres, Postgres, SecretRef, Sidecar, SidecarImage, Sqlite, SslMode, Store, StoreKind,
};
