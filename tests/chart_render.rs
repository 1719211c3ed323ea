//! The charts as Helm renders them, without a cluster: goldens, what the schema refuses, the definition, the permissions,
//! and `manifests/install.yaml`. Needs `helm` on `PATH`. Goldens are in `tests/golden/chart`, written anew by `UPDATE_GOLDENS=1`.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmq_crd::DmqMetadataCluster;
use dmq_testkit::kube::chart;
use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `helm` printed, or its complaint.
fn helm(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("helm").args(arguments).output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The operator's chart as it would be installed in `dmq-system`.
fn rendered(values: &[&str]) -> Result<String, String> {
    let chart = chart("dmq-operator");
    let base = [
        "template",
        "dmq-operator",
        &chart,
        "--namespace",
        "dmq-system",
    ];
    // Without a cluster Helm assumes an old one.
    helm(&[&base[..], &["--kube-version", "1.29.0"], values].concat())
}

/// The objects of a text of several documents, by kind and name.
fn objects(text: &str) -> BTreeMap<(String, String), Value> {
    let documents = text
        .split("\n---")
        .map(|document| document.trim_start_matches("---"));
    let values = documents.map(|document| serde_yaml::from_str::<Value>(document).unwrap());
    let objects = values.filter(Value::is_object).map(|object| {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let name = format!("{namespace}/{}", metadata["name"].as_str().unwrap());
        ((kind, name), object)
    });
    objects.collect()
}

/// Holds a rendering against the committed one.
fn golden(name: &str, values: &[&str]) {
    let text = rendered(&[values, &["--set", "crds.install=false"]].concat()).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/chart/{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(text.lines())
        .find(|(was, is)| was != is);
    assert_eq!(differs, None, "{}: first line that differs", path.display());
    assert_eq!(
        committed.lines().count(),
        text.lines().count(),
        "{}",
        path.display()
    );
    // The objects themselves can be read back.
    assert!(!objects(&text).is_empty());
}

#[test]
fn the_defaults_render_as_committed() {
    golden("default", &[]);
}

#[test]
fn two_replicas_render_as_committed() {
    let values = root().join("charts/dmq-operator/values-ha.yaml");
    golden("ha", &["--values", values.to_str().unwrap()]);
}

#[test]
fn two_namespaces_render_as_committed() {
    golden(
        "namespaced",
        &["--set", "watchNamespaces={orders,payments}"],
    );
}

#[test]
fn everything_set_renders_as_committed() {
    let values = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/chart/everything.values.yaml");
    golden("everything", &["--values", values.to_str().unwrap()]);
}

#[test]
fn the_charts_pass_a_strict_lint() {
    let high = root().join("charts/dmq-operator/values-ha.yaml");
    for arguments in [
        &["lint", "--strict", &chart("dmq-operator")][..],
        &[
            "lint",
            "--strict",
            &chart("dmq-operator"),
            "--values",
            high.to_str().unwrap(),
        ],
        &["lint", "--strict", &chart("dmq-operator-crds")],
    ] {
        helm(arguments).unwrap();
    }
}

#[test]
fn one_install_brings_the_definition_and_an_uninstall_keeps_it() {
    let definition = |values: &[&str]| {
        let kind = |kind: &str| kind == "CustomResourceDefinition";
        let all = objects(&rendered(values).unwrap());
        all.into_iter()
            .find(|((of, _), _)| kind(of))
            .map(|(_, object)| object)
    };
    let mut by_default = definition(&[]).unwrap();
    let kept = by_default["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert_eq!(kept, Some(json!({"helm.sh/resource-policy": "keep"})));
    let source =
        fs::read_to_string(root().join("manifests/crds/dmqmetadataclusters.yaml")).unwrap();
    let source: Value = serde_yaml::from_str(&source).unwrap();
    // Not `assert_eq`: it would print both, which are long.
    assert!(by_default == source, "`cargo xtask charts --write`");

    let not_kept = definition(&["--set", "dmq-operator-crds.keep=false"]).unwrap();
    assert_eq!(not_kept["metadata"].get("annotations"), None);
    assert_eq!(definition(&["--set", "crds.install=false"]), None);
}

#[test]
fn the_definitions_chart_is_the_same_as_the_one_inside() {
    let alone = helm(&[
        "template",
        "x",
        &chart("dmq-operator-crds"),
        "--kube-version",
        "1.29.0",
    ])
    .unwrap();
    let inside = rendered(&[
        "--show-only",
        "charts/dmq-operator-crds/templates/dmqmetadataclusters.yaml",
    ])
    .unwrap();
    assert_eq!(objects(&alone), objects(&inside));
}

#[test]
fn a_package_renders_as_the_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_str().unwrap();
    helm(&["package", &chart("dmq-operator"), "--destination", target]).unwrap();
    let package = folder.path().join(format!("dmq-operator-{VERSION}.tgz"));
    let arguments = ["template", "dmq-operator", package.to_str().unwrap()];
    let more = ["--namespace", "dmq-system", "--kube-version", "1.29.0"];
    let from_package = helm(&[&arguments[..], &more].concat()).unwrap();
    assert_eq!(objects(&from_package), objects(&rendered(&[]).unwrap()));
}

#[test]
fn a_wrong_value_is_refused_by_name() {
    let cases = [
        ("replicas=3", "additional properties 'replicas' not allowed"),
        (
            "replicaCount=two",
            "at '/replicaCount': got string, want integer",
        ),
        (
            "replicaCount=9",
            "at '/replicaCount': maximum: got 9, want 5",
        ),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy'"),
        ("image.digest=sha256:abc", "at '/image/digest'"),
        (
            "defaults.nodeRepository=a/b:1",
            "at '/defaults/nodeRepository'",
        ),
        (
            "defaults.postgresImage=postgres",
            "at '/defaults/postgresImage'",
        ),
        (
            "watchNamespaces={A_B}",
            "at '/watchNamespaces/0': 'A_B' does not match pattern",
        ),
        (
            "leaderElection.leaseSeconds=1",
            "at '/leaderElection/leaseSeconds': minimum: got 1, want 5",
        ),
        ("log.format=xml", "at '/log/format'"),
        (
            "crds.instal=true",
            "additional properties 'instal' not allowed",
        ),
        (
            "dmq-operator-crds.kep=true",
            "additional properties 'kep' not allowed",
        ),
        (
            "podDisruptionBudget.enabled=true",
            "podDisruptionBudget.enabled needs replicaCount 2 or more",
        ),
        (
            "serviceAccount.create=false",
            "serviceAccount.name must be set when serviceAccount.create is false",
        ),
    ];
    for (value, complaint) in cases {
        let refused = rendered(&["--set", value]).expect_err(value);
        assert!(refused.contains(complaint), "{value}: {refused}");
    }
    let acting_all = ["--set", "replicaCount=2,leaderElection.enabled=false"];
    let refused = rendered(&acting_all).expect_err("two that act");
    assert!(
        refused.contains("needs leaderElection.enabled"),
        "{refused}"
    );
}

#[test]
fn an_old_kubernetes_is_refused() {
    let chart = chart("dmq-operator");
    let refused = helm(&["template", "x", &chart, "--kube-version", "1.28.3"]).unwrap_err();
    assert!(
        refused.contains("chart requires kubeVersion: >=1.29.0-0"),
        "{refused}"
    );
}

#[test]
fn install_yaml_is_the_chart_without_helm() {
    let text = fs::read_to_string(root().join("manifests/install.yaml")).unwrap();
    let mut manifest = objects(&text);
    let namespace = ("Namespace".to_owned(), "/dmq-system".to_owned());
    let namespace = manifest.remove(&namespace).expect("its namespace");
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    let mut chart = objects(&rendered(&["--skip-tests"]).unwrap());
    for object in chart.values_mut() {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("annotations");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove("helm.sh/chart");
            labels.remove("app.kubernetes.io/managed-by");
        }
    }
    let names = |objects: &BTreeMap<(String, String), Value>| -> Vec<_> {
        objects.keys().cloned().collect()
    };
    assert_eq!(names(&manifest), names(&chart));
    for (name, object) in &manifest {
        assert!(
            object == &chart[name],
            "{name:?}: `cargo xtask charts --write`"
        );
    }
}

/// Every `group/resource: verb` of a role.
fn permissions<'a>(roles: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    let texts = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = BTreeSet::new();
    for rule in roles.flat_map(|role| role["rules"].as_array().unwrap()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    all.insert(format!("{group}/{resource}: {verb}"));
                }
            }
        }
    }
    all
}

/// What the operator does, call by call; a permission more or less fails.
fn needed_where_quorums_live() -> BTreeSet<String> {
    let children = "get list watch create patch";
    let can_be_switched_off = "get list watch create patch delete";
    let needed = [
        ("dmq.io/dmqmetadataclusters", "get list watch"),
        ("dmq.io/dmqmetadataclusters/status", "get patch"),
        ("dmq.io/dmqmetadataclusters/finalizers", "update"),
        ("/pods", "get list watch patch delete"),
        ("/configmaps", children),
        ("/services", children),
        ("/serviceaccounts", children),
        ("/persistentvolumeclaims", "list"),
        ("/secrets", "get create"),
        ("apps/statefulsets", children),
        ("policy/poddisruptionbudgets", can_be_switched_off),
        ("networking.k8s.io/networkpolicies", can_be_switched_off),
        ("events.k8s.io/events", "create patch"),
    ];
    let verbs = needed.iter().flat_map(|(resource, verbs)| {
        verbs
            .split(' ')
            .map(move |verb| format!("{resource}: {verb}"))
    });
    verbs.collect()
}

#[test]
fn the_operator_may_do_what_it_does_and_no_more() {
    let everywhere = objects(&rendered(&[]).unwrap());
    let role = |all: &BTreeMap<(String, String), Value>, kind: &str, name: &str| {
        all[&(kind.to_owned(), name.to_owned())].clone()
    };
    let cluster_role = role(&everywhere, "ClusterRole", "/dmq-system-dmq-operator");
    let mut needed = needed_where_quorums_live();
    needed.insert("storage.k8s.io/storageclasses: get".to_owned());
    assert_eq!(permissions([cluster_role].iter()), needed);

    let lease = role(&everywhere, "Role", "dmq-system/dmq-operator-lease");
    let verbs = ["create", "get", "list", "patch", "update", "watch"];
    let expected = verbs.map(|verb| format!("coordination.k8s.io/leases: {verb}"));
    assert_eq!(permissions([lease.clone()].iter()), expected.into());
    assert_eq!(lease["rules"][1]["resourceNames"], json!(["dmq-operator"]));

    let some = objects(&rendered(&["--set", "watchNamespaces={orders,payments}"]).unwrap());
    let cluster_role = role(&some, "ClusterRole", "/dmq-system-dmq-operator");
    let only = BTreeSet::from(["storage.k8s.io/storageclasses: get".to_owned()]);
    assert_eq!(permissions([cluster_role].iter()), only);
    for namespace in ["orders", "payments"] {
        let role = role(&some, "Role", &format!("{namespace}/dmq-operator"));
        assert_eq!(permissions([role].iter()), needed_where_quorums_live());
    }
}

#[test]
fn releases_of_one_name_share_nothing_outside_of_their_namespaces() {
    let cluster_wide = |namespace: &str| -> BTreeSet<String> {
        let all = objects(&rendered(&["--namespace", namespace]).unwrap());
        let keys = all
            .into_keys()
            .filter(|(kind, _)| kind.starts_with("ClusterRole"));
        keys.map(|(kind, name)| kind + &name).collect()
    };
    // Namespaces whose names occur in the release's.
    let (one, other) = (cluster_wide("dmq"), cluster_wide("operator"));
    assert!(!one.is_empty());
    assert!(one.is_disjoint(&other), "{one:?} {other:?}");
}

#[test]
fn every_pod_of_the_chart_is_without_rights() {
    let all = objects(&rendered(&[]).unwrap());
    let mut seen = 0;
    for ((kind, name), object) in &all {
        let pod = match kind.as_str() {
            "Deployment" => &object["spec"]["template"]["spec"],
            "Pod" => &object["spec"],
            _ => continue,
        };
        seen += 1;
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["securityContext"]["runAsUser"], 65532, "{name}");
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{name}");
    }
    assert_eq!(seen, 2, "the operator and its test");
}

#[test]
fn the_versions_are_that_of_the_workspace() {
    for name in ["dmq-operator", "dmq-operator-crds"] {
        let path = Path::new(&chart(name)).join("Chart.yaml");
        let chart: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(
            (&chart["version"], &chart["appVersion"]),
            (&json!(VERSION), &json!(VERSION))
        );
        for dependency in chart["dependencies"].as_array().into_iter().flatten() {
            assert_eq!(dependency["version"], VERSION);
        }
    }
    let image = format!("ghcr.io/dmq-io/dmq-operator:{VERSION}");
    assert!(rendered(&[]).unwrap().contains(&image));
}

/// What `asked` says that `stored` does not: a field that is misspelt, or that nobody reads.
fn lost(asked: &Value, stored: &Value, path: &str) -> Vec<String> {
    match (asked, stored) {
        (Value::Object(asked), Value::Object(stored)) => {
            let fields = asked.iter().flat_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match stored.get(name) {
                    Some(kept) => lost(value, kept, &path),
                    None => vec![path],
                }
            });
            fields.collect()
        }
        _ if asked == stored => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

#[test]
fn the_examples_say_nothing_that_the_kind_does_not_know() {
    let folder = root().join("manifests/examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("kind: DmqMetadataCluster") {
            continue;
        }
        seen += 1;
        assert!(
            text.starts_with("# "),
            "{}: says what it is for",
            path.display()
        );
        for ((kind, _), object) in objects(&text) {
            if kind != "DmqMetadataCluster" {
                continue;
            }
            let typed: DmqMetadataCluster = serde_json::from_value(object.clone()).unwrap();
            let stored = serde_json::to_value(typed).unwrap();
            assert_eq!(lost(&object, &stored, ""), [""; 0], "{}", path.display());
        }
    }
    assert_eq!(seen, 4);
}
