//! The children that exist: whose they are, and whether they changed since they were applied.

use std::collections::BTreeMap;

use dmq_crd::names::{FIELD_MANAGER, label};
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::core::ApiResource;

use crate::observed::Conflict;

/// What is known of live children, by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Children(BTreeMap<(String, String), ObjectMeta>);

/// What changes when somebody changes a child, and does not when only its status moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    uid: Option<String>,
    version: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owners: Vec<String>,
}

/// The kinds that are listed in every pass. The StatefulSet is read for itself, Secrets only by name.
pub fn listed_kinds() -> [ApiResource; 5] {
    [
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
    ]
}

impl Children {
    /// Takes in one that exists.
    pub fn insert(&mut self, kind: &str, meta: ObjectMeta) {
        let name = meta.name.clone().unwrap_or_default();
        self.0.insert((kind.to_owned(), name), meta);
    }

    /// The metadata of one, if it exists.
    pub fn get(&self, kind: &str, name: &str) -> Option<&ObjectMeta> {
        self.0.get(&(kind.to_owned(), name.to_owned()))
    }

    /// Its fingerprint, if it exists and is not being deleted.
    pub fn fingerprint(&self, kind: &str, name: &str) -> Option<Fingerprint> {
        self.get(kind, name)
            .filter(|meta| meta.deletion_timestamp.is_none())
            .map(Fingerprint::of)
    }

    /// Those that belong to somebody else than the object with this name and uid.
    pub fn conflicts(&self, name: &str, uid: &str) -> Vec<Conflict> {
        self.0
            .iter()
            .filter_map(|((kind, child), meta)| {
                let owner = foreign_owner(meta, name, uid)?;
                Some(Conflict {
                    object: format!("{kind}/{child}"),
                    owner,
                })
            })
            .collect()
    }
}

impl Fingerprint {
    /// Kinds with a status count their generation; of the others the version says it all.
    pub fn of(meta: &ObjectMeta) -> Self {
        let generation = meta.generation.filter(|generation| *generation > 0);
        let version = match generation {
            Some(generation) => format!("generation {generation}"),
            None => meta.resource_version.clone().unwrap_or_default(),
        };
        let owners = meta.owner_references.iter().flatten();
        Self {
            uid: meta.uid.clone(),
            version,
            labels: meta.labels.clone(),
            annotations: meta.annotations.clone(),
            owners: owners.map(|owner| owner.uid.clone()).collect(),
        }
    }
}

/// Whose it is, if not ours. Without an owner it is ours if the labels say so: what outlives an object has none.
fn foreign_owner(meta: &ObjectMeta, name: &str, uid: &str) -> Option<String> {
    let controller = meta
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) if owner.uid == uid => None,
        Some(owner) => Some(described(owner, name)),
        None if is_labelled(meta, name) => None,
        None => Some("somebody who set no owner and not the labels of this operator".to_owned()),
    }
}

fn described(owner: &OwnerReference, name: &str) -> String {
    if owner.kind == "DmqMetadataCluster" && owner.name == name {
        return format!(
            "an earlier {}/{name}, with which it is being deleted",
            owner.kind
        );
    }
    format!("{}/{}", owner.kind, owner.name)
}

fn is_labelled(meta: &ObjectMeta, name: &str) -> bool {
    let labels = meta.labels.as_ref();
    let says = |key: &str, value: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .is_some_and(|found| found == value)
    };
    says(label::MANAGED_BY, FIELD_MANAGER) && says(label::INSTANCE, name)
}

/// Which objects a quorum's children carry in common.
pub fn selector(name: &str) -> String {
    format!("{}=dmq-metadata,{}={name}", label::NAME, label::INSTANCE)
}

/// Name of the object that a child belongs to, as its labels say.
pub fn instance(child: &impl ResourceExt) -> Option<String> {
    child.labels().get(label::INSTANCE).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn conflicts(value: serde_json::Value) -> Vec<String> {
        let mut children = Children::default();
        children.insert("Service", meta(value));
        let found = children.conflicts("meta", "our-uid");
        found.into_iter().map(|found| found.owner).collect()
    }

    fn owned_by(kind: &str, name: &str, uid: &str) -> serde_json::Value {
        json!({"name": "meta", "ownerReferences": [
            {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true}
        ]})
    }

    #[test]
    fn what_we_own_or_labelled_is_ours() {
        assert!(conflicts(owned_by("DmqMetadataCluster", "meta", "our-uid")).is_empty());
        let kept = json!({"name": "meta-identity-1", "labels": {
            "app.kubernetes.io/managed-by": "dmq-operator", "app.kubernetes.io/instance": "meta",
        }});
        assert!(conflicts(kept).is_empty());
    }

    #[test]
    fn what_others_own_is_named_with_its_owner() {
        assert_eq!(
            conflicts(owned_by("Deployment", "web", "x")),
            ["Deployment/web"]
        );
        let earlier = conflicts(owned_by("DmqMetadataCluster", "meta", "old-uid"));
        assert!(earlier[0].contains("is being deleted"), "{earlier:?}");
        assert_eq!(conflicts(json!({"name": "meta"})).len(), 1);
    }

    #[test]
    fn a_status_does_not_change_the_fingerprint_and_an_edit_does() {
        let with = |generation: i64, version: &str| {
            Fingerprint::of(&meta(
                json!({"name": "meta", "generation": generation, "resourceVersion": version}),
            ))
        };
        assert_eq!(with(2, "10"), with(2, "11"));
        assert_ne!(with(2, "10"), with(3, "11"));
        assert_ne!(with(0, "10"), with(0, "11"));
    }
}
