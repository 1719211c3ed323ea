//! Every rule of the CRD with objects that keep it and objects that break it, evaluated without an API server.
//!
//! The table is `testdata/rules.yaml`; `tests/kube_crd.rs` holds the same table against a real API server.

use std::collections::BTreeSet;

use dmq_crd::definition::definition;
use kube::core::cel::{ErrorKind, ValidationError, Validator};
use serde::Deserialize;
use serde_json::{Value, json};

/// A rule with objects that keep and break it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    at: String,
    says: String,
    old: Option<Value>,
    bad: Vec<Value>,
    good: Vec<Value>,
}

fn cases() -> Vec<Case> {
    serde_yaml::from_str(include_str!("../testdata/rules.yaml")).expect("a table of cases")
}

fn schema() -> Value {
    let definition = serde_json::to_value(definition()).expect("a definition is JSON");
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The whole object for a spec of the table, in which `name` is the object's.
fn object(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let name = spec.as_object_mut().and_then(|spec| spec.remove("name"));
    json!({
        "apiVersion": "dmq.io/v1alpha1",
        "kind": "DmqMetadataCluster",
        "metadata": {"name": name.unwrap_or_else(|| json!("meta"))},
        "spec": spec,
    })
}

fn errors(schema: &Value, spec: &Value, old: Option<&Value>) -> Vec<ValidationError> {
    let old = old.map(object);
    Validator::new()
        .validate_with_defaults(schema, &object(spec), old.as_ref())
        .err()
        .map(kube::core::cel::ValidationErrors::into_vec)
        .unwrap_or_default()
}

#[test]
fn every_rule_refuses_with_its_sentence_and_lets_the_rest_in() {
    let schema = schema();
    for case in cases() {
        for spec in &case.bad {
            let found = errors(&schema, spec, case.old.as_ref());
            let told = found
                .iter()
                .any(|error| error.field_path == case.at && error.message.ends_with(&case.says));
            assert!(
                told,
                "{spec} is to say at {}: {}\n{found:#?}",
                case.at, case.says
            );
            let broken = found
                .iter()
                .find(|error| error.kind != ErrorKind::ValidationFailure);
            assert!(broken.is_none(), "{spec}: {broken:?}");
        }
        for spec in &case.good {
            let found = errors(&schema, spec, case.old.as_ref());
            assert!(found.is_empty(), "{spec} is to be let in\n{found:#?}");
        }
    }
}

#[test]
fn every_rule_has_a_case() {
    let schema = schema();
    let mut broken = BTreeSet::new();
    for case in cases() {
        for spec in &case.bad {
            let found = errors(&schema, spec, case.old.as_ref());
            broken.extend(found.into_iter().map(|error| error.rule));
        }
    }
    let mut rules = BTreeSet::new();
    collect(&schema, &mut rules);
    let never: Vec<_> = rules.difference(&broken).collect();
    assert!(never.is_empty(), "no bad object for {never:#?}");
    assert!(rules.len() > 30, "{}", rules.len());
}

fn collect(schema: &Value, rules: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(own)) = object.get("x-kubernetes-validations") {
                rules.extend(
                    own.iter()
                        .filter_map(|rule| rule["rule"].as_str())
                        .map(str::to_owned),
                );
            }
            object.values().for_each(|value| collect(value, rules));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, rules)),
        _ => {}
    }
}
