//! Pods as Kubernetes shows them, and what is said of them.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::problem;

fn of(status: &Value) -> Option<(String, String)> {
    let pod: Pod =
        serde_json::from_value(json!({"metadata": {"name": "meta-0"}, "status": status})).unwrap();
    problem(&pod).map(|problem| (problem.reason, problem.message))
}

fn container(name: &str, state: &Value, last: &Value) -> Value {
    json!({
        "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 1,
        "state": state, "lastState": last,
    })
}

fn main_container(state: &Value, last: &Value) -> Option<(String, String)> {
    of(&json!({"phase": "Running", "containerStatuses": [container("dmq-metadata", state, last)]}))
}

#[test]
fn a_pod_that_runs_or_is_on_its_way_has_no_problem() {
    assert_eq!(of(&json!({})), None);
    assert_eq!(of(&json!({"phase": "Pending"})), None);
    let running = json!({"running": {"startedAt": "2026-11-23T07:00:00Z"}});
    assert_eq!(main_container(&running, &json!({})), None);
    for reason in ["ContainerCreating", "PodInitializing"] {
        assert_eq!(
            main_container(&json!({"waiting": {"reason": reason}}), &json!({})),
            None
        );
    }
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let status = json!({"initContainerStatuses": [container("format", &done, &json!({}))]});
    assert_eq!(of(&status), None);
}

#[test]
fn an_image_that_cannot_be_pulled_is_named() {
    let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:9\""}});
    let (reason, message) = main_container(&state, &json!({})).unwrap();
    assert_eq!(reason, "ImagePullBackOff");
    assert_eq!(
        message,
        "container dmq-metadata: Back-off pulling image \"x:9\""
    );
}

#[test]
fn a_crash_loop_quotes_the_last_words() {
    let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
    let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "store.url: 'x' is not a URL\n"}});
    let (reason, message) = main_container(&state, &last).unwrap();
    assert_eq!(reason, "CrashLoopBackOff");
    assert_eq!(
        message,
        "container dmq-metadata ended with exit code 1: store.url: 'x' is not a URL"
    );
}

#[test]
fn between_two_starts_the_end_itself_is_told() {
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let (reason, message) = main_container(&killed, &json!({})).unwrap();
    assert_eq!(reason, "OOMKilled");
    assert_eq!(
        message,
        "container dmq-metadata was killed for want of memory"
    );
    let signal = json!({"terminated": {"exitCode": 139, "signal": 11, "reason": "Error"}});
    let (reason, message) = main_container(&signal, &json!({})).unwrap();
    assert_eq!(reason, "CrashLoopBackOff");
    assert_eq!(message, "container dmq-metadata was ended by signal 11");
}

#[test]
fn containers_that_come_first_are_told_first() {
    let stuck = json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"db\" not found"}});
    let waits = json!({"waiting": {"reason": "PodInitializing"}});
    let status = json!({
        "phase": "Pending",
        "initContainerStatuses": [container("format", &stuck, &json!({}))],
        "containerStatuses": [container("dmq-metadata", &waits, &json!({}))],
    });
    let (reason, message) = of(&status).unwrap();
    assert_eq!(reason, "CreateContainerConfigError");
    assert_eq!(message, "container format: secret \"db\" not found");
}

#[test]
fn a_pod_that_no_node_takes_says_why() {
    let status = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }]});
    let (reason, message) = of(&status).unwrap();
    assert_eq!(reason, "Unschedulable");
    assert_eq!(message, "0/3 nodes are available: 3 Insufficient memory.");
}

#[test]
fn an_evicted_pod_is_a_failed_one() {
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let (reason, message) = of(&status).unwrap();
    assert_eq!(
        (reason.as_str(), message.as_str()),
        ("Evicted", "The node was low on resource: memory.")
    );
}

#[test]
fn long_last_words_keep_their_end() {
    let long = format!("{}the end", "x".repeat(2000));
    let ended = json!({"terminated": {"exitCode": 1, "message": long}});
    let (_, message) = main_container(&ended, &json!({})).unwrap();
    assert!(message.ends_with("the end"));
    assert!(message.len() < 400, "{}", message.len());
}
