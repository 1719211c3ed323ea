//! The databases that nodes copy their state to: exactly one kind.

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::image::REPOSITORY;
use crate::pod::resources;
use crate::rule::{Says, rule};
use crate::storage::StorageRequest;

/// Where each node keeps a copy of the metadata in SQL, for people and tools: exactly one of `postgres` and `sqlite`. Left out: a
/// PostgreSQL in each pod. The kind cannot be changed. A node starts, votes and serves without its database.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = kinds)]
pub struct Store {
    /// PostgreSQL: exactly one of `sidecar` and `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// A SQLite file on a volume of the node. `sqlite: {}` takes all defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
}

fn kinds(schema: &mut Schema) {
    rule(
        schema,
        "",
        "has(self.postgres) != has(self.sqlite)",
        Says::Invalid(
            "store takes exactly one of postgres and sqlite: write `sqlite: {}` or `postgres: {sidecar: {}}`, or leave store out for a PostgreSQL in each pod",
        ),
    );
    rule(
        schema,
        "",
        "has(self.postgres) == has(oldSelf.postgres) && has(self.sqlite) == has(oldSelf.sqlite)",
        Says::Forbidden(
            "the kind of store cannot be changed: the volumes of the pods are made for it",
        ),
    );
}

impl Default for Store {
    fn default() -> Self {
        Self {
            postgres: Some(Postgres::default()),
            sqlite: None,
        }
    }
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StoreKind<'a> {
    /// A PostgreSQL in each pod.
    Sidecar(&'a Sidecar),
    /// A PostgreSQL elsewhere.
    External(&'a ExternalPostgres),
    /// A file.
    Sqlite(&'a Sqlite),
}

impl Store {
    /// Its kind; `None` if there is not exactly one, which the API server does not let in.
    pub fn kind(&self) -> Option<StoreKind<'_>> {
        let postgres = self.postgres.as_ref();
        let sidecar = postgres.and_then(|postgres| postgres.sidecar.as_ref());
        let external = postgres.and_then(|postgres| postgres.external.as_ref());
        match (sidecar, external, &self.sqlite) {
            (Some(sidecar), None, None) => Some(StoreKind::Sidecar(sidecar)),
            (None, Some(external), None) => Some(StoreKind::External(external)),
            (None, None, Some(sqlite)) if postgres.is_none() => Some(StoreKind::Sqlite(sqlite)),
            _ => None,
        }
    }

    /// The volume for the database, which a PostgreSQL elsewhere does not need.
    pub fn volume(&self) -> Option<&StorageRequest> {
        match self.kind()? {
            StoreKind::Sidecar(sidecar) => Some(&sidecar.storage),
            StoreKind::Sqlite(sqlite) => Some(&sqlite.storage),
            StoreKind::External(_) => None,
        }
    }
}

/// PostgreSQL: exactly one of `sidecar` and `external`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = places)]
pub struct Postgres {
    /// A PostgreSQL of its own in each pod. `sidecar: {}` takes all defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Sidecar>,
    /// A server elsewhere, with one database for each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPostgres>,
}

fn places(schema: &mut Schema) {
    rule(
        schema,
        "",
        "has(self.sidecar) != has(self.external)",
        Says::Invalid(
            "postgres takes exactly one of sidecar and external: write `sidecar: {}` for a PostgreSQL in each pod",
        ),
    );
    rule(
        schema,
        "",
        "has(self.sidecar) == has(oldSelf.sidecar) && has(self.external) == has(oldSelf.external)",
        Says::Forbidden(
            "the kind of store cannot be changed: the volumes of the pods are made for it",
        ),
    );
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            sidecar: Some(Sidecar::default()),
            external: None,
        }
    }
}

/// A PostgreSQL of its own in each pod, reached through a Unix socket only.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = sidecar_rules)]
pub struct Sidecar {
    /// Image of PostgreSQL 14 or later with tag or digest, such as postgres:17. Default: the one that the operator was installed with.
    /// It must be an official one on Debian, whose user postgres has uid 999. A new major version starts empty and is filled again from the
    /// node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<SidecarImage>,
    /// Volume of the database.
    pub storage: StorageRequest,
    /// CPU and memory of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = resources)]
    pub resources: Option<ResourceRequirements>,
}

fn sidecar_rules(schema: &mut Schema) {
    rule(
        schema,
        "image",
        format!(
            "!has(self.image) || self.image.matches('^{REPOSITORY}(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[a-f0-9]{{64}})?$') && self.image.matches('(:[^/]+|@.+)$')"
        ),
        Says::Must(
            "be an image name with a tag or digest, such as postgres:17: without one it would change by itself",
        ),
    );
}

/// Image reference of the sidecar: `repository:tag` or `repository@sha256:...`.
pub type SidecarImage = String;

/// A server elsewhere, with one database for each node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = external_rules)]
pub struct ExternalPostgres {
    /// Host name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Its port, 1 to 65535.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// How the connection is encrypted.
    #[serde(default)]
    pub ssl_mode: SslMode,
    /// Name of a node's database. `{id}` stands for the node's id (1, 2, 3 ...) and must occur; `{name}` and `{namespace}` are those of the
    /// object: quorums that share a server need one of those. The databases must exist and belong to the user of credentialsSecretRef, or
    /// that user may create them; each is filled by one node alone.
    #[serde(default = "database_template")]
    #[schemars(length(min = 1, max = 128))]
    pub database_template: String,
    /// Secret of the same namespace with the keys `username` and `password`.
    pub credentials_secret_ref: SecretRef,
    /// Secret of the same namespace whose key `ca.crt` holds the CA of the server's certificate in PEM; for `verify-ca` and `verify-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretRef>,
}

fn external_rules(schema: &mut Schema) {
    rule(
        schema,
        "host",
        "self.host.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$')",
        Says::Must(
            "be a host name or an IP address, without user, port or database: those have fields of their own",
        ),
    );
    rule(
        schema,
        "databaseTemplate",
        "self.databaseTemplate.contains('{id}')",
        Says::Must("contain {id}: each node needs a database of its own"),
    );
    rule(
        schema,
        "databaseTemplate",
        "self.databaseTemplate.matches('^([A-Za-z0-9_-]|[{](id|name|namespace)[}])+$')",
        Says::Must("consist of A-Z a-z 0-9 _ - and the placeholders {id}, {name} and {namespace}"),
    );
    rule(
        schema,
        "caSecretRef",
        "!(self.sslMode in ['verify-ca', 'verify-full']) || has(self.caSecretRef)",
        Says::Required("caSecretRef is needed for sslMode verify-ca and verify-full"),
    );
    rule(
        schema,
        "caSecretRef",
        "self.sslMode in ['verify-ca', 'verify-full'] || !has(self.caSecretRef)",
        Says::Forbidden(
            "caSecretRef is used with sslMode verify-ca and verify-full only: choose one of them, or leave it out",
        ),
    );
}

/// A Secret of the same namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How the connection is encrypted, as of libpq: `disable` not at all; `require` encrypted, the server is not verified; `verify-ca` its
/// certificate is signed by the CA of caSecretRef; `verify-full` and names the host.
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

/// A SQLite file on a volume of the node.
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
