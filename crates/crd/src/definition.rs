//! The CRD as it is installed: what the types give, plus what derive macros cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::condition::{PENDING_MESSAGE, kind, reason};
use crate::{DmqMetadataCluster, DmqMetadataClusterSpec};

/// The definition, ready to be installed.
///
/// # Panics
///
/// Never, as tests show: it depends on nothing but the types of this crate.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = DmqMetadataCluster::crd();
    for version in &mut definition.spec.versions {
        let schema = version
            .schema
            .as_mut()
            .and_then(|validation| validation.open_api_v3_schema.as_mut());
        if let Some(props) = schema {
            let mut schema = json!(props);
            complete(&mut schema);
            *props = serde_json::from_value(schema)
                .expect("a schema that is changed in a few values is a schema");
        }
    }
    definition
}

/// Fields whose types are Kubernetes' own: their documentation is in every Kubernetes manual, and would be nine tenths of the CRD.
const EMBEDDED: &[&str] = &[
    "/properties/spec/properties/networkPolicy/properties/clients",
    "/properties/spec/properties/networkPolicy/properties/prometheus",
    "/properties/spec/properties/pod/properties/affinity",
    "/properties/spec/properties/pod/properties/env",
    "/properties/spec/properties/pod/properties/resources",
    "/properties/spec/properties/pod/properties/tolerations",
    "/properties/spec/properties/pod/properties/topologySpreadConstraints",
    "/properties/spec/properties/store/properties/postgres/properties/sidecar/properties/resources",
];

fn complete(schema: &mut Value) {
    for field in EMBEDDED {
        if let Some(Value::Object(field)) = schema.pointer_mut(field) {
            let own = field.remove("description");
            field.values_mut().for_each(without_descriptions);
            field.extend(own.map(|own| ("description".to_owned(), own)));
        }
    }
    walk(schema, &mut as_kubernetes_reads_it);
    walk(schema, &mut quantities);
    if let Some(Value::Object(spec)) = schema.pointer_mut("/properties/spec") {
        // Written out, since the API server holds a default against the rules before it fills in the fields' own defaults.
        spec.insert(
            "default".to_owned(),
            json!(DmqMetadataClusterSpec::default()),
        );
    }
    if let Some(Value::Object(status)) = schema.pointer_mut("/properties/status") {
        status.insert("default".to_owned(), json!({}));
    }
    if let Some(Value::Object(phase)) = schema.pointer_mut("/properties/status/properties/phase") {
        phase.insert("default".to_owned(), json!(reason::PENDING));
    }
    if let Some(Value::Object(list)) =
        schema.pointer_mut("/properties/status/properties/conditions")
    {
        list.insert("default".to_owned(), json!([pending()]));
    }
}

/// What every object says until the operator has looked at it, so that nobody ever sees "no conditions".
fn pending() -> Value {
    json!({
        "type": kind::READY,
        "status": "Unknown",
        "reason": reason::PENDING,
        "message": PENDING_MESSAGE,
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    })
}

/// A property may be called `description`: only texts are descriptions.
fn without_descriptions(value: &mut Value) {
    walk(value, &mut |schema| {
        if schema.get("description").is_some_and(Value::is_string) {
            schema.remove("description");
        }
    });
}

/// Calls `change` for every object in the value, the outer ones first.
fn walk(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            change(object);
            object.values_mut().for_each(|value| walk(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| walk(value, change)),
        _ => {}
    }
}

/// `null` is taken for absent, as in Kubernetes' own kinds, so that a default replaces it; and the API server warns of formats that it does not know.
fn as_kubernetes_reads_it(schema: &mut Map<String, Value>) {
    if schema.get("nullable").is_some_and(Value::is_boolean) {
        schema.remove("nullable");
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ").replace("  ", "\n\n");
    }
    if schema.get("format").and_then(Value::as_str) == Some("uint16") {
        schema.insert("format".to_owned(), json!("int32"));
    }
}

/// CPU and memory: what is no quantity is refused before a pod is made of it.
fn quantities(schema: &mut Map<String, Value>) {
    for amounts in ["limits", "requests"] {
        let amount = schema
            .get_mut(amounts)
            .and_then(|amounts| amounts.get_mut("additionalProperties"));
        if let Some(Value::Object(amount)) = amount {
            amount.insert(
                "anyOf".to_owned(),
                json!([{"type": "integer"}, {"type": "string"}]),
            );
            amount.insert("pattern".to_owned(), json!(QUANTITY));
            amount.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
        }
    }
}

/// As Kubernetes' own tools write it into CRDs.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
