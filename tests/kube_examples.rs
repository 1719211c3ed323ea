//! The manifests that people copy, against a real API server: the examples and `install.yaml` are accepted as they are, with
#![allow(clippy::unwrap_used, reason = "a test")]
//! strict field validation. Nothing is stored but the definition.

use std::fs;
use std::path::{Path, PathBuf};

use dmq_testkit::kube::{Namespace, get, kubectl, until};

const DEFINITION: &str = "dmqmetadataclusters.dmq.io";

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// The definition is shared with the other tests of the cluster: put there if it is absent, and left there.
fn define() {
    if get(&["crd", DEFINITION]).is_err() {
        let file = manifests().join("crds/dmqmetadataclusters.yaml");
        kubectl(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            file.to_str().unwrap(),
        ])
        .unwrap();
    }
    until("the definition is established", || {
        let definition = get(&["crd", DEFINITION])?;
        let conditions = definition["status"]["conditions"].as_array().cloned();
        let is_established =
            |one: &serde_json::Value| one["type"] == "Established" && one["status"] == "True";
        Ok(conditions
            .unwrap_or_default()
            .iter()
            .any(is_established)
            .then_some(()))
    })
    .unwrap();
}

/// What the API server says to a file that it does not store.
fn dry_run(file: &Path, namespace: &str) -> String {
    let file = file.to_str().unwrap();
    let strict = [
        "--dry-run=server",
        "--validate=strict",
        "--namespace",
        namespace,
    ];
    kubectl(&[&["apply", "--filename", file][..], &strict].concat()).unwrap()
}

#[test]
fn the_api_server_takes_every_example() {
    define();
    let namespace = Namespace::new("examples").unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(manifests().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("kind: DmqMetadataCluster") {
            seen += 1;
            let said = dry_run(&path, namespace.name());
            assert!(
                said.contains("dmqmetadatacluster.dmq.io/meta"),
                "{}: {said}",
                path.display()
            );
            assert!(
                !said.to_lowercase().contains("warning"),
                "{}: {said}",
                path.display()
            );
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn the_api_server_takes_install_yaml() {
    let namespace = Namespace::new("install").unwrap();
    // The namespace of the manifest does not come to be in a dry run, so its objects go to one that is there.
    let text = fs::read_to_string(manifests().join("install.yaml")).unwrap();
    let text = text.replace(
        "namespace: dmq-system",
        &format!("namespace: {}", namespace.name()),
    );
    let text = text.replace(
        "name: dmq-system\n",
        &format!("name: {}\n", namespace.name()),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("install.yaml");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let mode = ["--dry-run=server", "--validate=strict", "--force-conflicts"];
    let said =
        kubectl(&[&["apply", "--server-side", "--filename", file][..], &mode].concat()).unwrap();
    for applied in [
        "customresourcedefinition.apiextensions.k8s.io/dmqmetadataclusters.dmq.io",
        "deployment.apps/dmq-operator",
        "clusterrole.rbac.authorization.k8s.io/dmq-system-dmq-operator",
        "networkpolicy.networking.k8s.io/dmq-operator",
        "service/dmq-operator-metrics",
    ] {
        assert!(
            said.contains(&format!("{applied} serverside-applied")),
            "{applied}: {said}"
        );
    }
}
