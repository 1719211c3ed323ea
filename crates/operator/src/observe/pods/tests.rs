//! What is kept of Kubernetes' objects.

use serde_json::{Value, json};

use super::*;

fn live_pod(name: &str, owner: &str, patch: &Value) -> core::Pod {
    let mut pod = json!({
        "metadata": {
            "name": name, "uid": format!("uid-of-{name}"), "resourceVersion": "17",
            "creationTimestamp": "2026-11-23T07:00:00Z",
            "labels": {"controller-revision-hash": "meta-abc", "dmq.io/controller": "true"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "meta", "uid": owner, "controller": true}],
        },
        "spec": {"containers": [], "nodeName": "worker-1"},
        "status": {"phase": "Running", "podIP": "10.1.0.7", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T07:01:00Z"},
        ]},
    });
    for (key, value) in patch.as_object().into_iter().flatten() {
        pod[key] = value.clone();
    }
    serde_json::from_value(pod).unwrap()
}

#[test]
fn only_pods_that_the_stateful_set_controls_count() {
    let ours = live_pod("meta-2", "set", &json!({}));
    let foreign = live_pod("meta-1", "another", &json!({}));
    let found = pods(&[ours, foreign], "set");
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [2]);
    let pod = &found[&2];
    assert_eq!(pod.ip.as_deref(), Some("10.1.0.7"));
    assert_eq!(pod.node.as_deref(), Some("worker-1"));
    assert_eq!(pod.revision.as_deref(), Some("meta-abc"));
    assert_eq!(pod.resource_version, "17");
    assert!(pod.ready && pod.labelled_controller && !pod.terminating);
    assert_eq!(
        pod.ready_since,
        Some("2026-11-23T07:01:00Z".parse().unwrap())
    );
    assert_eq!(pod.created, "2026-11-23T07:00:00Z".parse().unwrap());
}

#[test]
fn a_pod_without_an_address_or_readiness_says_so() {
    let fresh = live_pod(
        "meta-0",
        "set",
        &json!({"spec": {"containers": []}, "status": {"phase": "Pending", "conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-23T07:01:00Z"},
        ]}}),
    );
    let pod = &pods(&[fresh], "set")[&0];
    assert_eq!((pod.ip.as_ref(), pod.node.as_ref()), (None, None));
    assert!(!pod.ready);
    assert_eq!(pod.ready_since, None);
}

#[test]
fn a_stateful_set_shows_its_target_once_kubernetes_has_looked() {
    let set = |observed: i64| {
        let live = json!({
            "metadata": {"name": "meta", "uid": "set", "generation": 3},
            "spec": {"replicas": 3, "selector": {}, "template": {}, "serviceName": "meta-raft", "volumeClaimTemplates": [
                {"metadata": {"name": "log"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}},
                {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}}},
            ]},
            "status": {"replicas": 3, "observedGeneration": observed, "updateRevision": "meta-new"},
        });
        stateful_set(&serde_json::from_value(live).unwrap())
    };
    let seen = set(3);
    assert_eq!(seen.target_revision(), Some("meta-new"));
    assert_eq!(seen.claim_sizes["log"], "1Gi");
    assert_eq!(seen.claim_sizes["data"], "2Gi");
    assert_eq!(set(2).target_revision(), None);
}

#[test]
fn claims_are_known_by_template_and_ordinal() {
    let claim = |name: &str, phase: &str| -> core::PersistentVolumeClaim {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": phase},
        }))
        .unwrap()
    };
    let live = [
        claim("log-my-meta-0", "Bound"),
        claim("data-my-meta-11", "Pending"),
        claim("unrelated", "Bound"),
        claim("log-my-meta-x", "Bound"),
    ];
    let found = claims(&live, "my-meta", None);
    assert_eq!(found.len(), 2);
    assert!(found[&("log".to_owned(), 0)].bound);
    let pending = &found[&("data".to_owned(), 11)];
    assert!(!pending.bound);
    assert_eq!(pending.storage_class.as_deref(), Some("fast"));
    assert_eq!(pending.size, "1Gi");
}

#[test]
fn claims_of_an_earlier_stateful_set_are_leaving() {
    let set = |uid: &str, deleted: bool| -> apps::StatefulSet {
        let deleted = deleted.then_some("2026-11-23T07:00:00Z");
        serde_json::from_value(
            json!({"metadata": {"name": "meta", "uid": uid, "deletionTimestamp": deleted}}),
        )
        .unwrap()
    };
    let claim = |owner: Option<&str>| -> core::PersistentVolumeClaim {
        let owners: Vec<Value> = owner
            .into_iter()
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "meta", "uid": uid}))
            .collect();
        serde_json::from_value(
            json!({"metadata": {"name": "log-meta-0", "ownerReferences": owners}}),
        )
        .unwrap()
    };
    let leaves = |owner: Option<&str>, set: Option<&apps::StatefulSet>| {
        claims(&[claim(owner)], "meta", set)[&("log".to_owned(), 0)].terminating
    };
    let here = set("now", false);
    assert!(!leaves(None, None), "kept ones have no owner");
    assert!(!leaves(Some("now"), Some(&here)));
    assert!(leaves(Some("earlier"), Some(&here)));
    assert!(leaves(Some("earlier"), None));
    assert!(leaves(Some("now"), Some(&set("now", true))));
}

#[test]
fn a_pod_that_has_ended_has_no_address() {
    let ended = live_pod(
        "meta-0",
        "set",
        &json!({"status": {"phase": "Failed", "podIP": "10.1.0.7"}}),
    );
    assert_eq!(pods(&[ended], "set")[&0].ip, None);
}
