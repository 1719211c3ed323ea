//! The StatefulSet as it is applied: with the claim sizes that live, and with a mark of all children as they are now.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::applied::digest;
use crate::desired::{Child, Desired};

/// Annotation of the StatefulSet: the digest of all children's documents that were applied last.
pub const APPLIED: &str = "dmq.io/applied";

/// A document and its mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What is applied.
    pub child: Child,
    /// The mark that it carries.
    pub mark: String,
}

/// The StatefulSet with this number of pods. Claim templates cannot be changed, so the sizes of those that exist go
/// before the spec's.
pub fn document(
    desired: &Desired<'_>,
    replicas: i32,
    claim_sizes: &BTreeMap<String, String>,
) -> Document {
    let mut child = Child::of(&desired.stateful_set_keeping(replicas, claim_sizes));
    // It is applied last, so its mark stands for the others too.
    let others: Vec<Value> = desired
        .children()
        .into_iter()
        .map(|child| child.body)
        .collect();
    let mark = digest(&json!([others, child.body]));
    if let Some(annotations) = object(&mut child.body, &["metadata", "annotations"]) {
        annotations.insert(APPLIED.to_owned(), json!(mark));
    }
    Document { child, mark }
}

/// The mark that a live StatefulSet carries.
pub fn mark(live: &ObjectMeta) -> Option<&String> {
    live.annotations.as_ref()?.get(APPLIED)
}

/// The object at this path, made where it is missing.
fn object<'a>(
    value: &'a mut Value,
    path: &[&str],
) -> Option<&'a mut serde_json::Map<String, Value>> {
    let mut at = value;
    for key in path {
        at = at.as_object_mut()?.entry(*key).or_insert_with(|| json!({}));
    }
    at.as_object_mut()
}

#[cfg(test)]
mod tests {
    use dmq_crd::DmqMetadataCluster;

    use super::*;
    use crate::settings::Settings;

    fn settings() -> Settings {
        Settings {
            image_repository: "registry.example/dmq-metadata".to_owned(),
            postgres_image: "postgres:15".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            version: "0.1.0".to_owned(),
            operator_namespace: "dmq-system".to_owned(),
        }
    }

    fn cluster() -> DmqMetadataCluster {
        serde_json::from_value(json!({
            "apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster",
            "metadata": {"name": "meta", "namespace": "n", "uid": "0195d1a2-0000-4000-8000-000000000001"},
            "spec": {},
        }))
        .unwrap()
    }

    #[test]
    fn the_mark_is_on_the_document_and_follows_its_content() {
        let (cluster, settings) = (cluster(), settings());
        let desired = Desired::new(&cluster, &settings, "c");
        let three = document(&desired, 3, &BTreeMap::new());
        let live: ObjectMeta =
            serde_json::from_value(three.child.body["metadata"].clone()).unwrap();
        assert_eq!(mark(&live), Some(&three.mark));
        assert_eq!(three, document(&desired, 3, &BTreeMap::new()));
        assert_ne!(three.mark, document(&desired, 5, &BTreeMap::new()).mark);
        let sizes = BTreeMap::from([("log".to_owned(), "1Gi".to_owned())]);
        assert_ne!(three.mark, document(&desired, 3, &sizes).mark);
    }
}
