//! What is sent to Kubernetes for an action, in which order, and what is made of the answers.

use dmq_crd::status::{Operation, OperationType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::fixture::{Api, Sent, failure, pod, seen};
use crate::observed::{Identity, Voter};

fn key() -> Key {
    Key {
        namespace: "n".to_owned(),
        name: "meta".to_owned(),
    }
}

/// Does the actions against an API that answers as told.
async fn act(api: &Api, seen: &Seen, actions: &[Action]) -> (Vec<Action>, Result<(), Error>) {
    let (context, _triggers) = api.context();
    let key = key();
    let mut actor = Actor::new(&context, &key, seen, "c", "100".to_owned());
    actor.act(actions).await
}

fn deletion() -> Action {
    Action::DeletePod {
        pod: "meta-1".to_owned(),
        uid: "uid-1".to_owned(),
        resource_version: "11".to_owned(),
        reason: "its template has changed".to_owned(),
    }
}

fn pods_are(ready: [bool; 3]) -> Value {
    let items: Vec<Value> = (0..3).map(|ordinal| pod(ordinal, ready[ordinal])).collect();
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})
}

#[tokio::test]
async fn a_pod_is_deleted_after_another_look_and_only_as_it_was() {
    let api = Api::new(|sent| match sent.method.as_str() {
        "GET" => (200, pods_are([true; 3])),
        _ => (200, pod(1, true)),
    });
    let (done, result) = act(&api, &seen([true; 3]), &[deletion()]).await;
    result.unwrap();
    assert_eq!(done, [deletion()]);
    let sent = api.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].is("GET", "/api/v1/namespaces/n/pods"));
    assert!(sent[1].is("DELETE", "/api/v1/namespaces/n/pods/meta-1"));
    assert_eq!(
        sent[1].body["preconditions"],
        json!({"uid": "uid-1", "resourceVersion": "11"})
    );
}

#[tokio::test]
async fn a_pod_stays_if_another_one_has_fallen_since_the_plan() {
    let api = Api::new(|_| (200, pods_are([false, true, true])));
    let (done, result) = act(&api, &seen([true; 3]), &[deletion()]).await;
    assert!(matches!(result, Err(Error::Changed(_))), "{result:?}");
    assert!(done.is_empty());
    assert!(api.sent().iter().all(|sent| sent.method == "GET"));
}

#[tokio::test]
async fn a_pod_that_was_down_before_does_not_hold_up_what_was_planned_with_it() {
    let api = Api::new(|sent| match sent.method.as_str() {
        "GET" => (200, pods_are([false, true, true])),
        _ => (200, pod(1, true)),
    });
    let (_, result) = act(&api, &seen([false, true, true]), &[deletion()]).await;
    result.unwrap();
}

#[tokio::test]
async fn a_pod_that_changed_meanwhile_is_looked_at_again() {
    for (code, reason) in [(409, "Conflict"), (404, "NotFound")] {
        let api = Api::new(move |sent| match sent.method.as_str() {
            "GET" => (200, pods_are([true; 3])),
            _ => failure(code, reason),
        });
        let (_, result) = act(&api, &seen([true; 3]), &[deletion()]).await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Changed(_)) && error.is_race(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nothing_is_taken_away_in_a_pass_that_applied_something() {
    let api = Api::new(|sent| {
        let mut applied = sent.body.clone();
        applied["metadata"]["generation"] = json!(2);
        (200, applied)
    });
    let apply = Action::ApplyStatefulSet {
        replicas: 3,
        claim_sizes: std::collections::BTreeMap::new(),
    };
    let actions = [
        apply.clone(),
        Action::BeginOperation(operation()),
        deletion(),
    ];
    let (done, result) = act(&api, &seen([true; 3]), &actions).await;
    assert!(matches!(result, Err(Error::Changed(_))), "{result:?}");
    assert_eq!(done, [apply]);
    assert_eq!(api.sent().len(), 1);
}

fn voters() -> Vec<Voter> {
    let directory_id = uuid::Uuid::from_u128(7);
    vec![Voter {
        id: 1,
        directory_id,
    }]
}

fn latch(data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
        "metadata": {"name": "meta-voters-1", "namespace": "n"}, "data": data,
    })
}

#[tokio::test]
async fn a_latch_is_created_and_never_written_over() {
    let api = Api::new(|sent| (201, sent.body.clone()));
    let (_, result) = act(&api, &seen([true; 3]), &[Action::CreateVoters(voters())]).await;
    result.unwrap();
    let sent = api.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].is("POST", "/api/v1/namespaces/n/configmaps"));
    assert_eq!(sent[0].body["immutable"], json!(true));
}

#[tokio::test]
async fn a_latch_that_exists_must_say_the_same() {
    for (found, fits) in [(json!(voters()), true), (json!([]), false)] {
        let data = json!({"voters.json": found.to_string()});
        let api = Api::new(move |sent| match sent.method.as_str() {
            "POST" => failure(409, "AlreadyExists"),
            _ => (200, latch(&data)),
        });
        let (_, result) = act(&api, &seen([true; 3]), &[Action::CreateVoters(voters())]).await;
        match result {
            Ok(()) => assert!(fits),
            Err(error) => assert!(!fits && matches!(error, Error::Latch(_)), "{error}"),
        }
        let methods: Vec<String> = api.sent().into_iter().map(|sent| sent.method).collect();
        assert_eq!(methods, ["POST", "GET"]);
    }
}

#[tokio::test]
async fn another_identity_ends_the_pass_before_what_comes_next() {
    let api = Api::new(|sent| match sent.method.as_str() {
        "POST" => failure(409, "AlreadyExists"),
        _ => (
            200,
            latch(&json!({"clusterId": "other", "incarnation": "1", "clusterUid": "u"})),
        ),
    });
    let identity = Identity {
        cluster_id: "c".to_owned(),
        incarnation: "1".to_owned(),
        cluster_uid: "u".to_owned(),
    };
    let actions = [Action::CreateIdentity(identity), Action::ApplyChildren];
    let (done, result) = act(&api, &seen([true; 3]), &actions).await;
    assert!(matches!(result, Err(Error::Latch(_))));
    assert!(done.is_empty());
    assert_eq!(api.sent().len(), 2);
}

#[tokio::test]
async fn a_token_that_exists_is_kept_and_an_empty_one_is_told() {
    for (data, fits) in [(json!({"token": "dA=="}), true), (json!({}), false)] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "meta-operator-token"}, "data": data,
        });
        let api = Api::new(move |sent| match sent.method.as_str() {
            "POST" => failure(409, "AlreadyExists"),
            _ => (200, secret.clone()),
        });
        let (_, result) = act(&api, &seen([true; 3]), &[Action::CreateToken]).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

#[tokio::test]
async fn the_label_leaves_before_it_comes_and_never_meets_another_pod() {
    let api = Api::new(|_| (200, pod(0, true)));
    let actions = [
        Action::UnlabelController {
            pods: vec!["meta-0".to_owned()],
        },
        Action::LabelController {
            pod: "meta-2".to_owned(),
            uid: "uid-2".to_owned(),
        },
    ];
    act(&api, &seen([true; 3]), &actions).await.1.unwrap();
    let sent = api.sent();
    assert!(sent[0].is("PATCH", "/api/v1/namespaces/n/pods/meta-0"));
    assert_eq!(
        sent[0].body,
        json!({"metadata": {"labels": {"dmq.io/controller": null}}})
    );
    assert!(sent[1].is("PATCH", "/api/v1/namespaces/n/pods/meta-2"));
    assert_eq!(
        sent[1].body,
        json!({"metadata": {"uid": "uid-2", "labels": {"dmq.io/controller": "true"}}})
    );
}

fn operation() -> Operation {
    Operation {
        type_: OperationType::Restart,
        pod_name: "meta-1".to_owned(),
        pod_uid: "uid-1".to_owned(),
        reason: "its template has changed".to_owned(),
        started_at: Time("2026-11-23T07:00:00Z".parse().unwrap()),
    }
}

fn object(version: &str) -> Value {
    json!({
        "apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster",
        "metadata": {"name": "meta", "namespace": "n", "resourceVersion": version}, "spec": {},
    })
}

#[tokio::test]
async fn an_operation_is_written_with_the_version_that_was_seen_last() {
    let api = Api::new(|sent| {
        let next = if sent.body["status"]["operation"].is_null() {
            "101"
        } else {
            "102"
        };
        (200, object(next))
    });
    let actions = [Action::EndOperation, Action::BeginOperation(operation())];
    act(&api, &seen([true; 3]), &actions).await.1.unwrap();
    let sent = api.sent();
    let path = "/apis/dmq.io/v1alpha1/namespaces/n/dmqmetadataclusters/meta/status";
    assert!(sent.iter().all(|sent| sent.is("PATCH", path)));
    let versions: Vec<&Value> = sent
        .iter()
        .map(|sent| &sent.body["metadata"]["resourceVersion"])
        .collect();
    assert_eq!(versions, [&json!("100"), &json!("101")]);
    assert_eq!(sent[1].body["status"]["operation"]["podName"], "meta-1");
}

#[tokio::test]
async fn nothing_is_deleted_if_the_operation_cannot_be_written() {
    let api = Api::new(|_| failure(409, "Conflict"));
    let actions = [Action::BeginOperation(operation()), deletion()];
    let (done, result) = act(&api, &seen([true; 3]), &actions).await;
    assert!(result.unwrap_err().is_race());
    assert!(done.is_empty());
    assert_eq!(api.sent().len(), 1);
}

#[tokio::test]
async fn children_are_applied_once_and_again_when_somebody_touches_them() {
    let api = Api::new(|sent| {
        let mut applied = sent.body.clone();
        applied["metadata"]["resourceVersion"] = json!("7");
        (200, applied)
    });
    let (context, _triggers) = api.context();
    let key = key();
    let mut seen = seen([true; 3]);
    let (_, result) = Actor::new(&context, &key, &seen, "c", String::new())
        .act(&[Action::ApplyChildren])
        .await;
    result.unwrap();
    let first = api.sent();
    assert!(first.iter().all(Sent::is_forced_apply), "{first:?}");
    assert!(first.len() >= 6, "{}", first.len());
    for sent in &first {
        let meta = serde_json::from_value(sent.body["metadata"].clone()).unwrap();
        let mut meta: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta = meta;
        meta.resource_version = Some("7".to_owned());
        seen.children
            .insert(sent.body["kind"].as_str().unwrap(), meta);
    }
    let again = async |seen: &Seen| {
        let mut actor = Actor::new(&context, &key, seen, "c", String::new());
        let (done, result) = actor.act(&[Action::ApplyChildren]).await;
        result.unwrap();
        (done.len(), api.sent().len())
    };
    assert_eq!(again(&seen).await, (0, 0));
    let mut touched = seen.children.get("Service", "meta").unwrap().clone();
    touched.resource_version = Some("8".to_owned());
    seen.children.insert("Service", touched);
    assert_eq!(again(&seen).await, (1, 1));
}
