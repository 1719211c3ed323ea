//! The children of a quorum as they should be: pure builders, from the spec and the process' defaults to objects that are ready
//! for server-side apply. Nothing here asks Kubernetes, and nothing has a status.
//!
//! Reading order: [`Desired`], `effective` (what a spec means once defaults are filled in), `config` (the nodes' file),
//! `stateful_set` -> `pod` -> `node` and `sidecar`, `services`, `policy`, `latch` (create-only objects), `invalid`.

mod child;
mod config;
mod effective;
mod format;
mod invalid;
mod latch;
mod meta;
mod node;
mod pod;
mod policy;
mod services;
mod sidecar;
mod stateful_set;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::BTreeMap;

use dmq_crd::{DmqMetadataCluster, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource as _;
use kube::core::ApiResource;
use serde_json::Value;

pub use self::child::Child;
pub use self::effective::{cluster_domain, cluster_id, image, rest_url, version};
pub use self::invalid::invalid;
pub use self::latch::{kept_settings, parse_identity, parse_voters};

use crate::observed::{Identity, Voter};
use crate::settings::Settings;

/// Everything that belongs to one quorum, as it should be.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    cluster: &'a DmqMetadataCluster,
    settings: &'a Settings,
    cluster_id: &'a str,
}

impl<'a> Desired<'a> {
    /// `cluster_id` is what `<name>-identity-1` says; before that exists, what [`cluster_id`] makes.
    pub fn new(
        cluster: &'a DmqMetadataCluster,
        settings: &'a Settings,
        cluster_id: &'a str,
    ) -> Self {
        Self {
            cluster,
            settings,
            cluster_id,
        }
    }

    /// All children that are applied in every pass, without the StatefulSet. The ConfigMap comes first: a pod that
    /// is made from a newer template must find a file that is as new.
    pub fn children(&self) -> Vec<Child> {
        let mut children = vec![
            Child::of(&self.config_map()),
            Child::of(&self.service_account()),
            Child::of(&self.raft_service()),
            Child::of(&self.client_service()),
            Child::of(&self.controller_service()),
        ];
        children.extend(self.pod_disruption_budget().as_ref().map(Child::of));
        children.extend(self.network_policies().iter().flatten().map(Child::of));
        children
    }

    /// Children that the spec has switched off: to be deleted where they exist and are ours.
    pub fn absent(&self) -> Vec<(ApiResource, String)> {
        let name = self.name();
        let mut absent = Vec::new();
        if self.pod_disruption_budget().is_none() {
            let budget = ApiResource::erase::<PodDisruptionBudget>(&());
            absent.push((budget, names::pod_disruption_budget(name)));
        }
        if self.network_policies().is_none() {
            let policy = ApiResource::erase::<NetworkPolicy>(&());
            absent.push((policy.clone(), names::peers_policy(name)));
            absent.push((policy, names::clients_policy(name)));
        }
        absent
    }

    /// The StatefulSet with this number of pods.
    pub fn stateful_set(&self, replicas: i32) -> StatefulSet {
        self.stateful_set_keeping(replicas, &BTreeMap::new())
    }

    /// The same with the sizes of existing claim templates, by their names, in place of the spec's: templates cannot be changed.
    pub fn stateful_set_keeping(
        &self,
        replicas: i32,
        claim_sizes: &BTreeMap<String, String>,
    ) -> StatefulSet {
        stateful_set::build(self, replicas, claim_sizes)
    }

    /// `<name>-config` with the nodes' file.
    pub fn config_map(&self) -> ConfigMap {
        config::config_map(self)
    }

    /// The account of the pods: without rights, and without a token in the pod.
    pub fn service_account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: self.meta(names::service_account(self.name())),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }

    /// `<name>-operator-token` for this token, to be created once.
    pub fn token_secret(&self, token: &str) -> Secret {
        latch::token_secret(self, token)
    }

    /// `<name>-identity-<incarnation>`, to be created and never applied.
    pub fn identity_config_map(&self, identity: &Identity) -> ConfigMap {
        latch::identity_config_map(self, identity)
    }

    /// `<name>-voters-1`, to be created and never applied.
    pub fn voters_config_map(&self, voters: &[Voter]) -> ConfigMap {
        latch::voters_config_map(self, voters)
    }

    /// What an existing `-identity-` or `-voters-` ConfigMap must be merged with, so that its owner follows the retention
    /// policy. A merge patch, never an apply: an apply would create what was lost.
    pub fn latch_owner_patch(&self) -> Value {
        latch::owner_patch(self)
    }

    fn name(&self) -> &'a str {
        self.cluster.meta().name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &'a str {
        self.cluster.meta().namespace.as_deref().unwrap_or_default()
    }
}
