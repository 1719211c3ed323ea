//! The databases that nodes copy their state to: exactly one kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::storage::StorageRequest;

/// Exactly one of `postgres` and `sqlite`; the kind cannot be changed. Default: `postgres.sidecar`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// A SQLite file on the node's data volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            postgres: Some(Postgres::default()),
            sqlite: None,
        }
    }
}

/// Exactly one of `sidecar` and `external`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// A PostgreSQL of its own in each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Sidecar>,
    /// A server elsewhere, with one database for each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgres>,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            sidecar: Some(Sidecar::default()),
            external: None,
        }
    }
}

/// A PostgreSQL of its own in each pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Sidecar {
    /// Image of PostgreSQL, 14 or later. Default: the official image, as the operator was installed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<SidecarImage>,
    /// Volume of the database.
    pub storage: StorageRequest,
    /// Resources of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<k8s_openapi::api::core::v1::ResourceRequirements>,
}

/// Image reference of the sidecar: `repository:tag` or `repository@sha256:...`.
pub type SidecarImage = String;

/// A server elsewhere, with one database for each node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPostgres {
    /// Host name or address.
    pub host: String,
    /// Port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// As of libpq.
    #[serde(default)]
    pub ssl_mode: SslMode,
    /// Name of a node's database: `{name}` is the object's name, `{namespace}` its namespace, `{id}` the node id, which must occur. The databases must exist.
    #[serde(default = "database_template")]
    pub database_template: String,
    /// Secret in the same namespace with the keys `username` and `password`.
    pub credentials_secret_ref: SecretRef,
    /// Secret in the same namespace whose key `ca.crt` holds the server's CA; needed for `verify-ca` and `verify-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
}

/// A Secret of the same namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
}

/// How the connection is encrypted, as of libpq.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Not at all.
    Disable,
    /// Encrypted, the server is not verified.
    #[default]
    Require,
    /// Encrypted, signed by `caSecretRef`.
    VerifyCa,
    /// As `verify-ca`, and the certificate names the host.
    VerifyFull,
}

/// A SQLite file on the node's data volume.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Sqlite {
    /// Volume of the database.
    pub storage: StorageRequest,
}

fn postgres_port() -> u16 {
    5432
}

fn database_template() -> String {
    "dmq_{id}".to_owned()
}
