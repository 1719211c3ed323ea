//! Server-side apply of children, and the deletion of those that the spec switched off.

use std::collections::BTreeMap;

use dmq_crd::names::{self, FIELD_MANAGER};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::ApiResource;
use serde_json::Value;

use super::{Actor, stateful_set};
use crate::desired::Child;
use crate::error::{Doing as _, Error};
use crate::observe::Fingerprint;

/// The first history; later ones are made by recovery and restore.
const FIRST: u64 = 1;

impl Actor<'_> {
    /// All children but the StatefulSet.
    pub(super) async fn apply_children(&self) -> Result<bool, Error> {
        let mut changed = false;
        for child in self.desired.children() {
            changed |= self.apply(&child).await?;
        }
        for (kind, name) in self.desired.absent() {
            changed |= self.remove(&kind, &name).await?;
        }
        Ok(changed | self.own_latches().await?)
    }

    pub(super) async fn apply_stateful_set(
        &self,
        replicas: i32,
        claim_sizes: &BTreeMap<String, String>,
    ) -> Result<bool, Error> {
        let document = stateful_set::document(&self.desired, replicas, claim_sizes);
        self.apply(&document.child).await
    }

    /// Whether it had to be applied.
    async fn apply(&self, child: &Child) -> Result<bool, Error> {
        let (kind, name) = (&child.resource.kind, &child.name);
        let before = self.seen.children.fingerprint(kind, name);
        let memory = &self.context.applied;
        if memory.is_current(self.key, kind, name, &child.body, before.as_ref()) {
            return Ok(false);
        }
        let how = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&child.body);
        let after = self
            .dynamic(&child.resource)
            .patch(name, &how, &patch)
            .await;
        let after = after.doing(format!("applying {kind} {name}"))?;
        let after = Fingerprint::of(&after.metadata);
        let changed = before.as_ref() != Some(&after);
        memory.note(self.key, kind, name, &child.body, after);
        Ok(changed)
    }

    /// Deletes a child of ours that is not wanted any more. What others own is a conflict and no plan comes this far.
    async fn remove(&self, kind: &ApiResource, name: &str) -> Result<bool, Error> {
        let Some(live) = self.seen.children.get(&kind.kind, name) else {
            return Ok(false);
        };
        if live.deletion_timestamp.is_some() {
            return Ok(false);
        }
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: live.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.dynamic(kind).delete(name, &how).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            result => result
                .map(|_| true)
                .doing(format!("deleting {} {name}", kind.kind)),
        }
    }

    /// Latches that exist go or stay with the object, as the retention policy says now.
    async fn own_latches(&self) -> Result<bool, Error> {
        let patch = self.desired.latch_owner_patch();
        let wanted = patch
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let object = &self.key.name;
        let mut changed = false;
        for name in [names::identity(object, FIRST), names::voters(object, FIRST)] {
            let Some(live) = self.seen.children.get("ConfigMap", &name) else {
                continue;
            };
            if live.owner_references.as_ref().map_or(0, Vec::len) == wanted {
                continue;
            }
            let api: Api<ConfigMap> =
                Api::namespaced(self.context.client.clone(), &self.key.namespace);
            let how = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patched = api.patch_metadata(&name, &how, &Patch::Merge(&patch)).await;
            patched.doing(format!("setting the owner of ConfigMap {name}"))?;
            changed = true;
        }
        Ok(changed)
    }

    fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), &self.key.namespace, kind)
    }
}
