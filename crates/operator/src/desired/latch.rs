//! Objects that are created once and never written again: who the quorum is, its first voters, the operator's token.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_crd::Retention;
use dmq_crd::names::{self, FIELD_MANAGER};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::{Desired, effective, format};
use crate::observed::{Identity, Latch, Voter};
use crate::settings::Settings;

const CLUSTER_ID: &str = "clusterId";
const INCARNATION: &str = "incarnation";
const CLUSTER_UID: &str = "clusterUid";
/// Not part of the identity: the domain in the members' host names. It is kept, since the address book is read by running
/// nodes, and an operator that is started with another default would take all of them apart at once.
const CLUSTER_DOMAIN: &str = "clusterDomain";
const VOTERS: &str = "voters.json";
/// Key of the token in its Secret, and its file's name in the pods.
pub(super) const TOKEN: &str = "token";
/// The first history; later ones are made by recovery and restore.
const FIRST: u64 = 1;

pub(super) fn token_secret(desired: &Desired<'_>, token: &str) -> Secret {
    let data = BTreeMap::from([(TOKEN.to_owned(), ByteString(token.as_bytes().to_vec()))]);
    Secret {
        metadata: desired.meta(names::operator_token(desired.name())),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

pub(super) fn identity_config_map(desired: &Desired<'_>, identity: &Identity) -> ConfigMap {
    let domain = effective::cluster_domain(desired.cluster, desired.settings);
    let data = [
        (CLUSTER_ID, identity.cluster_id.as_str()),
        (INCARNATION, &identity.incarnation),
        (CLUSTER_UID, &identity.cluster_uid),
        (CLUSTER_DOMAIN, domain),
    ];
    let data = data.map(|(key, value)| (key.to_owned(), value.to_owned()));
    config_map(desired, names::identity(desired.name(), FIRST), data.into())
}

pub(super) fn voters_config_map(desired: &Desired<'_>, voters: &[Voter]) -> ConfigMap {
    let list = json!(voters).to_string();
    let data = BTreeMap::from([(VOTERS.to_owned(), list)]);
    config_map(desired, names::voters(desired.name(), FIRST), data)
}

fn config_map(desired: &Desired<'_>, name: String, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            owner_references: owner_references(desired),
            ..desired.meta_without_owner(name)
        },
        immutable: Some(true),
        data: Some(data),
        binary_data: None,
    }
}

/// As long as the volumes are kept, so is the knowledge of whose they are.
fn owner_references(
    desired: &Desired<'_>,
) -> Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>> {
    match desired.cluster.spec.storage.retention_policy.when_deleted {
        Retention::Retain => None,
        Retention::Delete => desired.owner().map(|owner| vec![owner]),
    }
}

pub(super) fn owner_patch(desired: &Desired<'_>) -> Value {
    json!({ "metadata": { "ownerReferences": owner_references(desired) } })
}

/// Reads `<name>-identity-<incarnation>`.
pub fn parse_identity(found: Option<&ConfigMap>) -> Latch<Identity> {
    read(found, |data| {
        let identity = Identity {
            cluster_id: text(data, CLUSTER_ID)?,
            incarnation: text(data, INCARNATION)?,
            cluster_uid: text(data, CLUSTER_UID)?,
        };
        if format::is_cluster_id(&identity.cluster_id) {
            Ok(identity)
        } else {
            Err(format!(
                "`{CLUSTER_ID}` is '{}', which is no cluster id",
                identity.cluster_id
            ))
        }
    })
}

/// The defaults as `<name>-identity-<incarnation>` keeps them: with the cluster domain that the quorum was made with, if it
/// says one.
pub fn kept_settings(found: Option<&ConfigMap>, settings: &Arc<Settings>) -> Arc<Settings> {
    let data = found.and_then(|found| found.data.as_ref());
    let domain = data.and_then(|data| data.get(CLUSTER_DOMAIN));
    match domain {
        Some(domain) if *domain != settings.cluster_domain && format::is_domain(domain) => {
            let cluster_domain = domain.clone();
            Arc::new(Settings {
                cluster_domain,
                ..Settings::clone(settings)
            })
        }
        _ => Arc::clone(settings),
    }
}

/// Reads `<name>-voters-<incarnation>`.
pub fn parse_voters(found: Option<&ConfigMap>) -> Latch<Vec<Voter>> {
    read(found, |data| {
        let list = text(data, VOTERS)?;
        let voters: Vec<Voter> =
            serde_json::from_str(&list).map_err(|error| format!("`{VOTERS}`: {error}"))?;
        let ids: std::collections::BTreeSet<u32> = voters.iter().map(|voter| voter.id).collect();
        if voters.is_empty() || ids.len() != voters.len() || ids.contains(&0) {
            return Err(format!("`{VOTERS}` does not name each voter once"));
        }
        Ok(voters)
    })
}

fn read<T>(
    found: Option<&ConfigMap>,
    parse: impl FnOnce(&BTreeMap<String, String>) -> Result<T, String>,
) -> Latch<T> {
    let Some(found) = found else {
        return Latch::Absent;
    };
    let name = found.metadata.name.as_deref().unwrap_or_default();
    let nothing = BTreeMap::new();
    match parse(found.data.as_ref().unwrap_or(&nothing)) {
        Ok(value) => Latch::Set(value),
        Err(reason) => Latch::Unreadable(format!(
            "ConfigMap {name} is not as {FIELD_MANAGER} made it: {reason}"
        )),
    }
}

fn text(data: &BTreeMap<String, String>, key: &str) -> Result<String, String> {
    match data.get(key) {
        Some(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(format!("it has no `{key}`")),
    }
}
