//! A whole pass against an API that answers as told.

use serde_json::{Value, json};

use super::*;
use crate::fixture::{Api, Sent, failure};

fn object(status: &Value) -> Value {
    json!({
        "apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster",
        "metadata": {
            "name": "meta", "namespace": "n", "uid": "0195d1a2-0000-4000-8000-000000000001", "resourceVersion": "100",
            "generation": 1, "creationTimestamp": "2026-11-23T07:00:00Z",
        },
        "spec": {}, "status": status,
    })
}

fn guarded(object: Value) -> Arc<Guarded> {
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Kubernetes with this object and nothing else.
fn empty_but_for(object: Value) -> Api {
    Api::new(move |sent| match sent.method.as_str() {
        "GET" if sent.path.ends_with("/dmqmetadataclusters/meta") => (200, object.clone()),
        "GET" if sent.query.contains("labelSelector") => (
            200,
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []}),
        ),
        "GET" => failure(404, "NotFound"),
        "PATCH" => {
            let mut written = object.clone();
            written["status"] = sent.body["status"].clone();
            (200, written)
        }
        _ => (201, sent.body.clone()),
    })
}

fn writes(api: &Api) -> Vec<Sent> {
    let mut sent = api.sent();
    sent.retain(|sent| sent.method != "GET");
    sent
}

#[tokio::test]
async fn a_new_object_gets_its_status_and_then_its_identity_before_all_else() {
    let api = empty_but_for(object(&json!({})));
    let (context, _triggers) = api.context();
    reconcile(guarded(object(&json!({}))), Arc::new(context))
        .await
        .unwrap();
    let writes = writes(&api);
    let status = "/apis/dmq.io/v1alpha1/namespaces/n/dmqmetadataclusters/meta/status";
    assert!(writes[0].is("PATCH", status), "{:?}", writes[0]);
    assert_eq!(writes[0].body["metadata"]["resourceVersion"], "100");
    assert!(writes[1].is("POST", "/api/v1/namespaces/n/configmaps"));
    assert_eq!(writes[1].body["metadata"]["name"], "meta-identity-1");
    assert_eq!(
        writes[1].body["data"]["clusterUid"],
        "0195d1a2-0000-4000-8000-000000000001"
    );
    let made = |kind: &str| writes.iter().any(|sent| sent.body["kind"] == kind);
    assert!(!made("StatefulSet"), "not before the identity was seen");
}

#[tokio::test]
async fn a_status_that_is_stored_already_is_not_written_again() {
    let api = empty_but_for(object(&json!({})));
    let (context, _triggers) = api.context();
    let context = Arc::new(context);
    reconcile(guarded(object(&json!({}))), Arc::clone(&context))
        .await
        .unwrap();
    let stored = object(&writes(&api)[0].body["status"]);
    let api = empty_but_for(stored.clone());
    let (context, _triggers) = api.context();
    reconcile(guarded(stored), Arc::new(context)).await.unwrap();
    let writes = writes(&api);
    assert!(
        !writes.iter().any(|sent| sent.path.ends_with("/status")),
        "{writes:?}"
    );
}

#[tokio::test]
async fn an_operator_with_another_domain_leaves_the_members_their_names() {
    let identity = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {"name": "meta-identity-1", "namespace": "n", "uid": "identity", "resourceVersion": "7"},
        "data": {
            "clusterId": "orders", "incarnation": "1", "clusterDomain": "kept.example",
            "clusterUid": "0195d1a2-0000-4000-8000-000000000001",
        },
    });
    let api = Api::new(move |sent| match sent.method.as_str() {
        "GET" if sent.path.ends_with("/dmqmetadataclusters/meta") => (200, object(&json!({}))),
        "GET" if sent.path.ends_with("/configmaps/meta-identity-1") => (200, identity.clone()),
        "GET" if sent.query.contains("labelSelector") => (
            200,
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []}),
        ),
        "GET" => failure(404, "NotFound"),
        "PATCH" if sent.path.ends_with("/status") => {
            let mut written = object(&json!({}));
            written["status"] = sent.body["status"].clone();
            (200, written)
        }
        _ => (201, sent.body.clone()),
    });
    let (context, _triggers) = api.context();
    let _ = reconcile(guarded(object(&json!({}))), Arc::new(context)).await;
    let writes = writes(&api);
    let file = writes
        .iter()
        .find(|sent| sent.path.ends_with("/configmaps/meta-config"))
        .and_then(|sent| sent.body["data"]["node.yaml"].as_str());
    let file = file.unwrap_or_else(|| panic!("{writes:?}"));
    assert!(
        file.contains("meta-0.meta-raft.n.svc.kept.example"),
        "{file}"
    );
    assert!(!file.contains("cluster.local"), "{file}");
}

#[tokio::test]
async fn an_object_that_is_gone_is_forgotten() {
    let api = Api::new(|sent| {
        if sent.query.contains("labelSelector") {
            return (
                200,
                json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []}),
            );
        }
        failure(404, "NotFound")
    });
    let (context, _triggers) = api.context();
    let next = reconcile(guarded(object(&json!({}))), Arc::new(context)).await;
    assert_eq!(next.unwrap(), Next::await_change());
    assert!(writes(&api).is_empty());
}

#[tokio::test]
async fn an_object_that_cannot_be_read_gets_an_event_and_is_left_alone() {
    let api = Api::new(|sent| (201, sent.body.clone()));
    let (context, _triggers) = api.context();
    let mut broken = object(&json!({}));
    broken["spec"] = json!({"replicas": "three"});
    let error = reconcile(guarded(broken), Arc::new(context)).await;
    assert_eq!(error.unwrap_err().reason(), "unusable");
    let sent = api.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].is("POST", "/apis/events.k8s.io/v1/namespaces/n/events"));
    assert_eq!(sent[0].body["reason"], "InvalidSpec");
}

#[tokio::test]
async fn a_refusal_of_the_api_is_a_failed_pass_and_waits_longer_each_time() {
    let api = Api::new(|_| failure(403, "Forbidden"));
    let (context, _triggers) = api.context();
    let context = Arc::new(context);
    let object = guarded(object(&json!({})));
    let error = reconcile(Arc::clone(&object), Arc::clone(&context))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "forbidden");
    let first = on_error(Arc::clone(&object), &error, Arc::clone(&context));
    assert_ne!(
        first,
        on_error(Arc::clone(&object), &error, Arc::clone(&context))
    );
    let race = Error::Changed(String::new());
    context.backoff.reset(&Key::of(object.as_ref()));
    let soon = Next::requeue(Duration::from_millis(100));
    assert_eq!(on_error(object, &race, context), soon);
}
