//! What is built for whole objects, as files that a person can read and `kubectl apply`.

use std::fmt::Write as _;

use dmq_crd::names;
use serde_json::Value;

use super::super::{Child, Desired, cluster_id};
use super::{CASES, cluster, folder, settings};

fn documents(children: &[Child]) -> String {
    children.iter().fold(String::new(), |mut text, child| {
        let yaml = serde_yaml::to_string(&child.body).unwrap();
        write!(text, "---\n{yaml}").unwrap();
        text
    })
}

/// The difference for people: the lines between what both have in common at their ends.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut old.iter().zip(&new));
    let rest = old.len().min(new.len()) - head;
    let tail = same(&mut old.iter().rev().zip(new.iter().rev())).min(rest);
    let lines = |sign: &str, lines: &[&str]| {
        let mark = |text: String, line: &&str| text + sign + " " + line + "\n";
        lines.iter().fold(String::new(), mark)
    };
    format!(
        "line {}:\n{}{}",
        head + 1,
        lines("-", &old[head..old.len() - tail]),
        lines("+", &new[head..new.len() - tail])
    )
}

fn compare(case: &str, file: &str, found: &str) -> Option<String> {
    let path = folder(case).join(file);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, found).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    (expected != found).then(|| format!("{case}/{file}, {}", difference(&expected, found)))
}

#[test]
fn the_children_are_those_of_the_golden_files() {
    let settings = settings();
    let differences: Vec<String> = CASES
        .into_iter()
        .flat_map(|case| {
            let cluster = cluster(case);
            let id = cluster_id(&cluster);
            let desired = Desired::new(&cluster, &settings, &id);
            let mut children = desired.children();
            children.push(Child::of(&desired.stateful_set(cluster.spec.replicas)));
            let config = desired.config_map().data.unwrap_or_default();
            [
                compare(case, "children.yaml", &documents(&children)),
                compare(case, "node.yaml", &config["node.yaml"]),
            ]
        })
        .flatten()
        .collect();
    assert!(
        differences.is_empty(),
        "{}\nIf this is as it should be: UPDATE_GOLDENS=1",
        differences.join("\n")
    );
}

/// An empty map or list, or a null, would be owned by us and taken from others by server-side apply.
fn nothing_empty(path: &str, value: &Value, found: &mut Vec<String>) {
    // Kubernetes tells an empty volume and an empty peer list by these.
    let meant = path.ends_with(".emptyDir");
    match value {
        Value::Null => found.push(format!("{path} is null")),
        Value::Object(members) if members.is_empty() && !meant => {
            found.push(format!("{path} is an empty map"));
        }
        Value::Array(items) if items.is_empty() => found.push(format!("{path} is an empty list")),
        Value::Object(members) => members
            .iter()
            .for_each(|(key, value)| nothing_empty(&format!("{path}.{key}"), value, found)),
        Value::Array(items) => items
            .iter()
            .for_each(|value| nothing_empty(&format!("{path}[]"), value, found)),
        _ => {}
    }
}

#[test]
fn what_is_applied_has_no_status_and_nothing_empty() {
    let settings = settings();
    for case in CASES {
        let cluster = cluster(case);
        let desired = Desired::new(&cluster, &settings, "dmq");
        let mut children = desired.children();
        children.push(Child::of(&desired.stateful_set(3)));
        for child in children {
            let mut found = Vec::new();
            nothing_empty(&child.name, &child.body, &mut found);
            assert!(
                found.is_empty(),
                "{case}: {}: {found:?}",
                child.resource.kind
            );
            assert!(child.body.get("status").is_none(), "{case}: {}", child.name);
            assert_eq!(child.body["kind"], child.resource.kind, "{case}");
            assert_eq!(
                child.body["apiVersion"], child.resource.api_version,
                "{case}"
            );
            assert_eq!(child.body["metadata"]["name"], child.name, "{case}");
        }
    }
}

#[test]
fn the_longest_name_makes_names_that_fit() {
    let settings = settings();
    let cluster = cluster("five");
    let name = cluster.metadata.name.clone().unwrap();
    assert_eq!(name.len(), 40, "the longest that the CRD lets through");
    let desired = Desired::new(&cluster, &settings, "dmq");
    let children = desired.children();
    let of_children = children.iter().map(|child| child.name.clone());
    let others = [
        names::pod(&name, 6),
        names::identity(&name, 1),
        names::voters(&name, 1),
        names::operator_token(&name),
        // Kubernetes makes these: label `controller-revision-hash`, claims.
        format!("{name}-7f6d5c4b3a"),
        format!("data-{}", names::pod(&name, 6)),
    ];
    for made in of_children.chain(others) {
        assert!(made.len() <= 63, "{made} has {} characters", made.len());
    }
}
