//! Labels, owners and metadata of the children.

use std::collections::BTreeMap;

use dmq_crd::names::label;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource as _;

use super::Desired;

impl Desired<'_> {
    /// Metadata of a child that goes with the object.
    pub(super) fn meta(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            owner_references: self.owner().map(|owner| vec![owner]),
            ..self.meta_without_owner(name)
        }
    }

    /// Metadata of a child that outlives the object.
    pub(super) fn meta_without_owner(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace().to_owned()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }

    /// The object as owner. `blockOwnerDeletion`, so that a deletion in the foreground waits for the children.
    pub(super) fn owner(&self) -> Option<OwnerReference> {
        let owner = self.cluster.controller_owner_ref(&())?;
        Some(OwnerReference {
            block_owner_deletion: Some(true),
            ..owner
        })
    }

    /// Labels of every child.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.insert(label::MANAGED_BY.to_owned(), "dmq-operator".to_owned());
        labels.insert(label::COMPONENT.to_owned(), "metadata".to_owned());
        labels
    }

    /// Labels that select the pods. Part of an immutable field: never to be changed.
    pub(super) fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (label::NAME.to_owned(), "dmq-metadata".to_owned()),
            (label::INSTANCE.to_owned(), self.name().to_owned()),
        ])
    }

    /// [`Self::selector`] as most kinds want it.
    pub(super) fn label_selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector()),
            ..LabelSelector::default()
        }
    }
}
