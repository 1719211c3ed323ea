//! The definition as a whole: its size, its defaults, what `kubectl explain` has to say, and the committed copy.

use dmq_crd::StoreKind;
use dmq_crd::definition::definition;
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterSpec};
use serde_json::{Value, json};

const COMMITTED: &str = include_str!("../../../manifests/crds/dmqmetadataclusters.yaml");

fn json_of_definition() -> Value {
    serde_json::to_value(definition()).expect("a definition is JSON")
}

fn schema() -> Value {
    json_of_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// `kubectl apply` keeps a copy in an annotation, which may have 262,144 bytes.
#[test]
fn the_definition_is_small() {
    let bytes = json_of_definition().to_string().len();
    assert!(bytes < 100 * 1024, "{bytes}");
}

#[test]
fn the_committed_copy_is_current() {
    let committed: Value = serde_yaml::from_str(COMMITTED).unwrap();
    let now: Value = serde_json::from_str(&json_of_definition().to_string()).unwrap();
    assert!(same(&committed, &now), "run `cargo xtask crds --write`");
}

/// Equal but for `7.0` and `7`.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// A Helm template would take it for its own.
#[test]
fn the_committed_copy_can_be_part_of_a_chart() {
    assert!(!COMMITTED.contains("{{"));
}

#[test]
fn an_object_without_a_spec_is_the_default_one() {
    let spec = &schema()["properties"]["spec"];
    assert_eq!(spec["default"], json!(DmqMetadataClusterSpec::default()));
    let read: DmqMetadataClusterSpec = serde_json::from_str("{}").unwrap();
    assert_eq!(read, DmqMetadataClusterSpec::default());
    assert_eq!(read.replicas, 3);
    assert!(matches!(read.store.kind(), Some(StoreKind::Sidecar(_))));
}

#[test]
fn every_object_has_conditions_from_its_first_moment() {
    let status = &schema()["properties"]["status"];
    assert_eq!(status["default"], json!({}));
    assert_eq!(status["properties"]["phase"]["default"], json!("Pending"));
    let ready = &status["properties"]["conditions"]["default"][0];
    assert_eq!(ready["type"], json!("Ready"));
    assert_eq!(ready["status"], json!("Unknown"));
    let object = json!({
        "metadata": {},
        "spec": {},
        "status": {"phase": status["properties"]["phase"]["default"], "conditions": [ready]},
    });
    let read: DmqMetadataCluster = serde_json::from_value(object).unwrap();
    assert_eq!(read.status.unwrap().conditions[0].reason, "Pending");
}

#[test]
fn every_field_of_ours_is_explained() {
    let mut silent = Vec::new();
    explained(&schema()["properties"]["spec"], "spec", &mut silent);
    explained(&schema()["properties"]["status"], "status", &mut silent);
    assert!(silent.is_empty(), "no description: {silent:#?}");
}

/// Fields of Kubernetes' own types.
const EMBEDDED: [&str; 7] = [
    "affinity",
    "clients",
    "env",
    "prometheus",
    "resources",
    "tolerations",
    "topologySpreadConstraints",
];

/// Walks down to Kubernetes' own types, whose descriptions are left out.
fn explained(schema: &Value, path: &str, silent: &mut Vec<String>) {
    if schema["description"].as_str().is_none_or(str::is_empty) {
        silent.push(path.to_owned());
    }
    let name = path.rsplit('.').next().unwrap_or_default();
    if EMBEDDED.contains(&name) {
        return;
    }
    let items = schema.pointer("/items/properties");
    for properties in [schema.get("properties"), items].into_iter().flatten() {
        for (field, schema) in properties.as_object().into_iter().flatten() {
            explained(schema, &format!("{path}.{field}"), silent);
        }
    }
}

/// Numbers whose upper bound is a rule, which says why.
const BOUNDED_BY_RULES: [&str; 2] = [
    "spec.raft.heartbeatIntervalMs",
    "spec.raft.transferTimeoutSeconds",
];

/// What has no bound makes rules too expensive, and objects too large for etcd.
#[test]
fn texts_lists_and_maps_of_ours_are_bounded() {
    let mut unbounded = Vec::new();
    bounded(&schema()["properties"]["spec"], "spec", &mut unbounded);
    unbounded.retain(|path| {
        !path.contains("affinity.")
            && !path.contains("Constraints.")
            && !path.contains("tolerations.")
            && !path.contains("env.")
            && !path.contains("clients.")
            && !path.contains("prometheus.")
            && !path.ends_with("affinity")
            && !BOUNDED_BY_RULES.contains(&path.as_str())
    });
    assert!(unbounded.is_empty(), "{unbounded:#?}");
}

fn bounded(schema: &Value, path: &str, unbounded: &mut Vec<String>) {
    let is_bounded = match schema["type"].as_str() {
        Some("string") => schema.get("maxLength").is_some() || schema.get("enum").is_some(),
        Some("array") => schema.get("maxItems").is_some(),
        Some("object") => {
            schema.get("properties").is_some() || schema.get("maxProperties").is_some()
        }
        Some("integer") => schema.get("maximum").is_some() && schema.get("minimum").is_some(),
        _ => true,
    };
    if !is_bounded {
        unbounded.push(path.to_owned());
    }
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        bounded(schema, &format!("{path}.{field}"), unbounded);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(inner) {
            bounded(schema, &format!("{path}.{inner}"), unbounded);
        }
    }
}
