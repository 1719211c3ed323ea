//! Kubernetes' pods, claims and StatefulSet, cut down to what plans need.

use std::collections::BTreeMap;

use dmq_crd::names::label;
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

use super::problem::problem;
use crate::observed::{Claim, Pod, StatefulSet};

/// The StatefulSet. Whether it is as it should be now is not known yet: `applied` is false.
pub(super) fn stateful_set(live: &apps::StatefulSet) -> StatefulSet {
    let spec = live.spec.as_ref();
    let status = live.status.as_ref();
    let templates = spec.and_then(|spec| spec.volume_claim_templates.as_ref());
    StatefulSet {
        uid: live.uid().unwrap_or_default(),
        replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        generation: live.metadata.generation.unwrap_or_default(),
        observed_generation: status
            .and_then(|status| status.observed_generation)
            .unwrap_or_default(),
        update_revision: status.and_then(|status| status.update_revision.clone()),
        claim_sizes: templates
            .into_iter()
            .flatten()
            .map(|claim| (claim.name_any(), requested(claim)))
            .collect(),
        terminating: live.metadata.deletion_timestamp.is_some(),
        applied: false,
    }
}

/// The pods that this StatefulSet controls, by ordinal.
pub fn pods(live: &[core::Pod], owner: &str) -> BTreeMap<i32, Pod> {
    live.iter()
        .filter(|pod| is_controlled(pod, owner))
        .filter_map(|live| Some((ordinal(live)?, pod(live)?)))
        .collect()
}

fn is_controlled(pod: &core::Pod, owner: &str) -> bool {
    pod.owner_references()
        .iter()
        .any(|reference| reference.controller == Some(true) && reference.uid == owner)
}

/// The number at the end of the name, which Kubernetes gives to a StatefulSet's pods.
fn ordinal(pod: &core::Pod) -> Option<i32> {
    pod.name_any().rsplit_once('-')?.1.parse().ok()
}

fn pod(live: &core::Pod) -> Option<Pod> {
    let status = live.status.as_ref();
    let condition = status
        .and_then(|status| status.conditions.as_ref())
        .and_then(|conditions| {
            conditions
                .iter()
                .find(|condition| condition.type_ == "Ready")
        });
    let ready = condition.is_some_and(|condition| condition.status == "True");
    let since = condition
        .and_then(|condition| condition.last_transition_time.as_ref())
        .map(|time| time.0);
    let labels = live.labels();
    Some(Pod {
        name: live.name_any(),
        uid: live.uid()?,
        resource_version: live.resource_version()?,
        ip: address(live),
        node: live
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .filter(|node| !node.is_empty()),
        revision: labels.get(label::REVISION).cloned(),
        ready,
        ready_since: since.filter(|_| ready),
        unready_since: since.filter(|_| !ready),
        created: live.creation_timestamp()?.0,
        terminating: live.metadata.deletion_timestamp.is_some(),
        labelled_controller: labels
            .get(label::CONTROLLER)
            .is_some_and(|value| value == "true"),
        problem: problem(live),
    })
}

/// The address of a pod that has not ended: that of one that has may belong to another pod by now.
fn address(live: &core::Pod) -> Option<String> {
    let status = live.status.as_ref()?;
    let ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    let ip = status.pod_ip.clone().filter(|ip| !ip.is_empty());
    ip.filter(|_| !ended)
}

/// The claims of the StatefulSet `name`, by template and ordinal; their names are `<template>-<name>-<ordinal>`.
/// `set` is the StatefulSet that lives: what belongs to an earlier one goes with it, even if nobody has begun to delete it.
pub(super) fn claims(
    live: &[core::PersistentVolumeClaim],
    name: &str,
    set: Option<&apps::StatefulSet>,
) -> BTreeMap<(String, i32), Claim> {
    let infix = format!("-{name}-");
    live.iter()
        .filter_map(|live| {
            let own = live.name_any();
            let (template, ordinal) = own.split_once(&infix)?;
            let key = (template.to_owned(), ordinal.parse().ok()?);
            Some((key, claim(live, set)))
        })
        .collect()
}

fn claim(live: &core::PersistentVolumeClaim, set: Option<&apps::StatefulSet>) -> Claim {
    let phase = live
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    Claim {
        name: live.name_any(),
        size: requested(live),
        bound: phase == Some("Bound"),
        storage_class: live
            .spec
            .as_ref()
            .and_then(|spec| spec.storage_class_name.clone()),
        class_missing: false,
        terminating: live.metadata.deletion_timestamp.is_some() || goes_with_its_owner(live, set),
    }
}

/// With the retention policy `Delete` a claim belongs to its StatefulSet and is collected after it, by and by.
fn goes_with_its_owner(
    live: &core::PersistentVolumeClaim,
    set: Option<&apps::StatefulSet>,
) -> bool {
    let staying = set
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .and_then(ResourceExt::uid);
    let mut owners = live
        .owner_references()
        .iter()
        .filter(|owner| owner.kind == "StatefulSet")
        .peekable();
    owners.peek().is_some() && !owners.any(|owner| Some(&owner.uid) == staying.as_ref())
}

fn requested(claim: &core::PersistentVolumeClaim) -> String {
    claim
        .spec
        .as_ref()
        .and_then(|spec| spec.resources.as_ref())
        .and_then(|resources| resources.requests.as_ref())
        .and_then(|requests| requests.get("storage"))
        .map(|size| size.0.clone())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
