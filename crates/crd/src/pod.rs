//! What users may set of the pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::{Says, annotation_syntax, bounded_map, key_rule, label_syntax, map_list, rule};

/// Scheduling, resources and metadata of the pods. A change restarts the nodes one by one.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSettings {
    /// Further labels of the pods, at most 32. Keys that the operator or Kubernetes sets are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = labels)]
    pub labels: BTreeMap<String, String>,
    /// Further annotations of the pods, at most 32. Keys that the operator or kubectl sets are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = annotations)]
    pub annotations: BTreeMap<String, String>,
    /// CPU and memory of the node's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = resources)]
    pub resources: Option<ResourceRequirements>,
    /// Affinity as in a pod. Default: prefer a different Kubernetes node for each pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Spread as in a pod, at most 8. Default: over zones as evenly as possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), transform = spread)]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Taints that the pods bear, as in a pod; at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Labels that a Kubernetes node must have to run a pod; at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = bounded_labels)]
    pub node_selector: BTreeMap<String, String>,
    /// PriorityClass of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// How long a pod may take to stop, in seconds; 10 to 3600. Default: raft.transferTimeoutSeconds + 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Further environment variables of the node's container, at most 64. Those that the node takes as configuration are refused: settings
    /// have fields in spec, or belong in spec.config.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), transform = environment)]
    pub env: Vec<EnvVar>,
}

fn bounded_labels(schema: &mut Schema) {
    bounded_map::<32, 63>(schema);
    label_syntax(schema);
}

fn labels(schema: &mut Schema) {
    bounded_labels(schema);
    key_rule(
        schema,
        "!key.matches('^(dmq[.]io/|apps[.]kubernetes[.]io/|statefulset[.]kubernetes[.]io/|app[.]kubernetes[.]io/(name|instance|managed-by|component)$|controller-revision-hash$)')",
        Says::Forbidden(
            "labels may not set dmq.io/*, apps.kubernetes.io/*, statefulset.kubernetes.io/*, controller-revision-hash, nor app.kubernetes.io/name, instance, managed-by and component; the operator and Kubernetes set them",
        ),
    );
}

fn annotations(schema: &mut Schema) {
    bounded_map::<32, 4096>(schema);
    annotation_syntax(schema);
    key_rule(
        schema,
        "!key.startsWith('dmq.io/') && !key.startsWith('kubectl.kubernetes.io/')",
        Says::Forbidden(
            "annotations may not set dmq.io/* and kubectl.kubernetes.io/*; the operator and kubectl set them",
        ),
    );
}

/// Two constraints of one key and policy contradict each other; Kubernetes refuses them in a pod too.
fn spread(schema: &mut Schema) {
    map_list(schema, &["topologyKey", "whenUnsatisfiable"]);
}

/// Every key of the node's configuration is also an environment variable and would win over the file that the operator writes.
fn environment(schema: &mut Schema) {
    map_list(schema, &["name"]);
    let item = schema
        .get_mut("items")
        .and_then(|items| items.pointer_mut("/properties/name"));
    if let Some(Value::Object(name)) = item {
        name.insert("minLength".to_owned(), 1.into());
        name.insert("maxLength".to_owned(), 256.into());
    }
    rule(
        schema,
        "",
        "self.all(item, !item.name.matches('^(DMQ|SERVER|MANAGEMENT|STORE|BROKER|AUTH|LOG|POD)_'))",
        Says::Forbidden(
            "env may not set DMQ_*, SERVER_*, MANAGEMENT_*, STORE_*, BROKER_*, AUTH_*, LOG_* and POD_*, from which the node reads its configuration; use spec.config or the fields of spec",
        ),
    );
}

/// Claims of devices are taken out: the pods have none that they could name.
pub(crate) fn resources(schema: &mut Schema) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.remove("claims");
        for amounts in ["limits", "requests"] {
            if let Some(Value::Object(amounts)) = properties.get_mut(amounts) {
                amounts.insert("maxProperties".to_owned(), 16.into());
            }
        }
    }
}
