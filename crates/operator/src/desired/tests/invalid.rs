//! Every rule that only the operator can check, with an object that breaks it and the words that say so.

use dmq_crd::DmqMetadataCluster;
use serde_json::{Value, json};

use super::super::invalid;
use super::{CASES, cluster, settings};

/// A case with these values merged into it.
fn with(case: &str, change: Value) -> DmqMetadataCluster {
    let mut object = json!(cluster(case));
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

fn refused(cluster: &DmqMetadataCluster, words: &[&str]) {
    let problems = invalid(cluster, &settings());
    let said: Vec<String> = problems
        .into_iter()
        .map(|problem| problem.message)
        .collect();
    let all = |message: &String| words.iter().all(|word| message.contains(word));
    assert!(said.iter().any(all), "{words:?} is not said in {said:?}");
}

#[test]
fn the_golden_cases_are_valid() {
    for case in CASES {
        assert_eq!(invalid(&cluster(case), &settings()), [], "{case}");
    }
}

#[test]
fn names_that_make_no_service_are_refused() {
    for name in ["1meta", "a.b"] {
        let cluster = with("minimal", json!({ "metadata": { "name": name } }));
        refused(&cluster, &["metadata.name", name, "begins with a letter"]);
    }
    let cluster = with("minimal", json!({ "spec": { "clusterId": "a b" } }));
    refused(&cluster, &["spec.clusterId", "'a b'", "1 to 64"]);
    let cluster = with(
        "minimal",
        json!({ "spec": { "clusterDomain": "no domain" } }),
    );
    refused(&cluster, &["spec.clusterDomain", "no domain"]);
}

#[test]
fn images_and_versions_that_cannot_be_are_refused() {
    let spec = |spec: Value| with("minimal", json!({ "spec": spec }));
    refused(
        &spec(json!({ "version": "latest" })),
        &["spec.version", "'latest'", "0.1.0"],
    );
    refused(
        &spec(json!({ "image": { "repository": "a b" } })),
        &["spec.image", "'a b:0.1.0'"],
    );
    let sidecar = json!({ "store": { "postgres": { "sidecar": { "image": "postgres:" } } } });
    refused(
        &spec(sidecar),
        &["spec.store.postgres.sidecar.image", "'postgres:'"],
    );
}

#[test]
fn quantities_that_cannot_be_parsed_are_refused() {
    let spec = |spec: Value| with("minimal", json!({ "spec": spec }));
    refused(
        &spec(json!({ "storage": { "size": "10GB" } })),
        &["spec.storage.size", "'10GB'"],
    );
    let sidecar =
        json!({ "store": { "postgres": { "sidecar": { "storage": { "size": "big" } } } } });
    refused(&spec(sidecar), &["storage.size", "'big'"]);
    let pod = json!({ "pod": { "resources": { "requests": { "memory": "1 GB" } } } });
    refused(
        &spec(pod),
        &["spec.pod.resources.requests.memory", "'1 GB'"],
    );
}

#[test]
fn a_database_name_must_differ_between_nodes_and_fit() {
    let external = |change: Value| {
        let change = json!({ "spec": { "store": { "postgres": { "external": change } } } });
        with("external-postgres", change)
    };
    let template = |text: &str| external(json!({ "databaseTemplate": text }));
    refused(&template("dmq"), &["databaseTemplate", "'dmq'", "{id}"]);
    refused(&template("dmq_{id}_{pod}"), &["'dmq_7_{pod}'", "filled in"]);
    let long = format!("{}{{id}}", "x".repeat(63));
    refused(&template(&long), &["at most 63"]);
    refused(
        &external(json!({ "host": "me@db:5432" })),
        &["external.host", "without port"],
    );
}

#[test]
fn only_keys_that_a_user_may_set_are_taken_and_only_with_values_that_a_node_accepts() {
    let config = |key: &str, value: &str| {
        let mut cluster = cluster("minimal");
        cluster.spec.config.insert(key.to_owned(), value.to_owned());
        cluster
    };
    refused(
        &config("server.port", "1"),
        &["spec.config[server.port]", "operator decides"],
    );
    refused(&config("no.such", "1"), &["spec.config[no.such]"]);
    for key in dmq_crd::config::KEYS {
        // A key that the CRD lets in has a rule here, and this value breaks every one of them.
        refused(&config(key, "a=b=c"), &[key, "'a=b=c'"]);
    }
    let key = "broker.session-timeout-ms";
    refused(&config(key, "99"), &[key, "'99'", "100 to 3600000"]);
    refused(&config(key, "9s"), &[key, "'9s'"]);
    refused(&config("log.format", "xml"), &["human or json"]);
    refused(&config("log.level", "a=b=c"), &["log.level", "'a=b=c'"]);
    refused(
        &config("dmq.kraft.raft.snapshot-interval-ms", "5"),
        &["100 to"],
    );
    refused(&config("dmq.kraft.raft.kept-entries", "-1"), &["0 to"]);
}

#[test]
fn variables_that_would_configure_a_node_behind_the_operators_back_are_refused() {
    let env = |names: &[&str]| {
        let mut cluster = cluster("minimal");
        let variable = |name: &&str| json!({ "name": name, "value": "1" });
        let list: Value = names.iter().map(variable).collect();
        cluster.spec.pod.env = serde_json::from_value(list).unwrap();
        cluster
    };
    for name in ["DMQ_KRAFT_NODE_ID", "SERVER_PORT", "STORE_URL", "LOG_LEVEL"] {
        refused(&env(&[name]), &["spec.pod.env", name, "spec.config"]);
    }
    refused(&env(&["A", "A"]), &["spec.pod.env", "twice"]);
}

#[test]
fn labels_and_annotations_that_kubernetes_would_refuse_are_found_before_it_does() {
    let pod = |pod: Value| with("minimal", json!({ "spec": { "pod": pod } }));
    refused(
        &pod(json!({ "labels": { "team": "a b" } })),
        &["spec.pod.labels[team]", "'a b'"],
    );
    refused(
        &pod(json!({ "labels": { "a b": "c" } })),
        &["spec.pod.labels[a b]"],
    );
    let kubectls = json!({ "annotations": { "kubectl.kubernetes.io/restartedAt": "1" } });
    refused(&pod(kubectls), &["spec.pod.annotations", "restartedAt"]);
}
