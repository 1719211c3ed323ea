//! The pod template.

use std::collections::BTreeMap;

use dmq_crd::StoreKind;
use dmq_crd::names::{self, annotation};
use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec,
    PodTemplateSpec, SeccompProfile, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Desired, config, effective, node, sidecar, volumes};

/// User and group of the node, and group of its volumes.
const USER: i64 = 65532;
/// A pod has this long to stop beyond what a transfer of leadership may take.
const STOP_SECONDS: i64 = 30;
/// What `kubectl logs` and `exec` take without being told.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Belongs to `kubectl rollout restart`: owned by us, it would be taken back with the next apply.
pub(super) const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

pub(super) fn template(desired: &Desired<'_>) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(desired)),
            annotations: Some(annotations(desired)),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(desired)),
    }
}

fn labels(desired: &Desired<'_>) -> BTreeMap<String, String> {
    let mut labels = desired.cluster.spec.pod.labels.clone();
    labels.extend(desired.labels());
    labels
}

fn annotations(desired: &Desired<'_>) -> BTreeMap<String, String> {
    let mut annotations = desired.cluster.spec.pod.annotations.clone();
    annotations.remove(KUBECTL_RESTARTED_AT);
    annotations.insert(annotation::CONFIG_HASH.to_owned(), config::hash(desired));
    annotations.insert(DEFAULT_CONTAINER.to_owned(), node::NODE.to_owned());
    let asked = desired.cluster.metadata.annotations.as_ref();
    if let Some(at) = asked.and_then(|all| all.get(annotation::RESTARTED_AT)) {
        annotations.insert(annotation::RESTARTED_AT.to_owned(), at.clone());
    }
    annotations
}

fn spec(desired: &Desired<'_>) -> PodSpec {
    let cluster = &desired.cluster.spec;
    let pod = &cluster.pod;
    let mut init = vec![node::format(desired)];
    if let StoreKind::Sidecar(settings) = effective::store(desired.cluster) {
        init.push(sidecar::postgres(desired, settings));
    }
    PodSpec {
        service_account_name: Some(names::service_account(desired.name())),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(security_context()),
        termination_grace_period_seconds: Some(grace_period(desired)),
        image_pull_secrets: pull_secrets(desired),
        affinity: Some(pod.affinity.clone().unwrap_or_else(|| affinity(desired))),
        topology_spread_constraints: Some(spread(desired)),
        tolerations: some_if_any(pod.tolerations.clone()),
        node_selector: Some(pod.node_selector.clone()).filter(|all| !all.is_empty()),
        priority_class_name: pod.priority_class_name.clone(),
        init_containers: Some(init),
        containers: vec![node::node(desired)],
        volumes: Some(volumes::volumes(desired)),
        ..PodSpec::default()
    }
}

fn grace_period(desired: &Desired<'_>) -> i64 {
    let spec = &desired.cluster.spec;
    let transfer = i64::from(spec.raft.transfer_timeout_seconds);
    let given = spec.pod.termination_grace_period_seconds;
    given.unwrap_or(transfer + STOP_SECONDS)
}

/// `OnRootMismatch`: a change of owner of all files at every start would also open PostgreSQL's directory to the group,
/// which PostgreSQL refuses.
fn security_context() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn pull_secrets(desired: &Desired<'_>) -> Option<Vec<LocalObjectReference>> {
    let names = desired.cluster.spec.image.pull_secrets.iter().cloned();
    some_if_any(names.map(|name| LocalObjectReference { name }).collect())
}

/// A Kubernetes node for each pod if there are enough.
fn affinity(desired: &Desired<'_>) -> Affinity {
    let apart = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            topology_key: "kubernetes.io/hostname".to_owned(),
            label_selector: Some(desired.label_selector()),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![apart]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// Zones as evenly as possible: a lost zone must not take a majority if it can be helped.
fn spread(desired: &Desired<'_>) -> Vec<TopologySpreadConstraint> {
    let given = &desired.cluster.spec.pod.topology_spread_constraints;
    if !given.is_empty() {
        return given.clone();
    }
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(desired.label_selector()),
        ..TopologySpreadConstraint::default()
    }]
}

fn some_if_any<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
