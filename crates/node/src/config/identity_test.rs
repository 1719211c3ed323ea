//! A node id from every source, by number or by pod; what is missing or said twice is refused by name.

use super::*;

const FILE: &str = "
dmq:
  kraft:
    cluster:
      id: dmq
      nodes:
        - { id: 1, host: meta-0.meta, port: 9093 }
        - { id: 2, host: meta-1.meta, port: 9093 }
        - { id: 102, host: spare-1.meta, port: 9093 }
    raft: { log-dir: /var/lib/dmq/log }
";

/// The sources with this file, environment and flags.
fn sources(
    yaml: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.yaml");
    std::fs::write(&file, yaml).unwrap();
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let sources = Sources {
        file: Some(file),
        environment: environment.iter().map(owned).collect(),
        flags: flags.iter().map(owned).collect(),
    };
    (dir, sources)
}

/// The refusal of both `serve` and `format` contains all of `parts`.
fn refused(yaml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)], parts: &[&str]) {
    let (_dir, sources) = sources(yaml, environment, flags);
    let errors = [
        load(&sources).map(drop).unwrap_err(),
        IdentityConfig::load(&sources).map(drop).unwrap_err(),
    ];
    for error in errors.map(|error| error.to_string()) {
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
}

#[test]
fn a_pods_ordinal_makes_its_node_id_for_serve_and_format_alike() {
    let index = ("DMQ_KRAFT_POD_INDEX", "1");
    let (_dir, plain) = sources(FILE, &[index], &[]);
    assert_eq!(load(&plain).unwrap().node_id.0, 2);
    let identity = IdentityConfig::load(&plain).unwrap();
    assert_eq!(identity.node_id.0, 2);
    assert_eq!(identity.cluster_id.as_str(), "dmq");
    assert_eq!(identity.node_dir(), Path::new("/var/lib/dmq/log/node-2"));

    let (_dir, pool) = sources(FILE, &[index, ("DMQ_KRAFT_NODE_ID_BASE", "100")], &[]);
    assert_eq!(load(&pool).unwrap().node_id.0, 102);
    let (_dir, flags) = sources(FILE, &[index], &[("dmq.kraft.pod-index", "0")]);
    assert_eq!(load(&flags).unwrap().node_id.0, 1);
}

#[test]
fn format_needs_no_address_book_but_every_key_is_checked() {
    let flags = [
        ("dmq.kraft.node-id", "3"),
        ("dmq.kraft.cluster.id", "other"),
    ];
    let identity = IdentityConfig::load(&Sources {
        flags: flags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(identity.node_dir(), Path::new("./data/raft-log/node-3"));
    let unknown = format!("{FILE}\nservr: {{ port: 1 }}\n");
    refused(
        &unknown,
        &[("DMQ_KRAFT_POD_INDEX", "0")],
        &[],
        &["servr", "unknown key"],
    );
}

#[test]
fn an_id_and_an_ordinal_together_are_refused() {
    for other in ["DMQ_KRAFT_POD_INDEX", "DMQ_KRAFT_NODE_ID_BASE"] {
        refused(
            FILE,
            &[("DMQ_KRAFT_NODE_ID", "1"), (other, "0")],
            &[],
            &[
                "`dmq.kraft.node-id`",
                "environment variable DMQ_KRAFT_NODE_ID",
                "dmq.kraft.pod-index",
            ],
        );
    }
}

#[test]
fn what_is_missing_everywhere_is_named() {
    refused(
        FILE,
        &[],
        &[],
        &["`dmq.kraft.node-id` is not set", "`dmq.kraft.pod-index`"],
    );
    refused(
        FILE,
        &[("DMQ_KRAFT_NODE_ID_BASE", "100")],
        &[],
        &["`dmq.kraft.node-id` is not set"],
    );
    let (_dir, nameless) = sources(
        &FILE.replace("id: dmq", ""),
        &[("DMQ_KRAFT_POD_INDEX", "0")],
        &[],
    );
    let error = IdentityConfig::load(&nameless).unwrap_err().to_string();
    assert!(
        error.contains("`dmq.kraft.cluster.id` is not set"),
        "{error}"
    );
}

#[test]
fn ordinals_outside_their_range_are_refused() {
    // An API server that does not set the label hands in an empty text.
    for index in ["", "-1", "x", "2147483647"] {
        refused(
            FILE,
            &[("DMQ_KRAFT_POD_INDEX", index)],
            &[],
            &["dmq.kraft.pod-index", "whole number"],
        );
    }
    refused(
        FILE,
        &[
            ("DMQ_KRAFT_POD_INDEX", "1"),
            ("DMQ_KRAFT_NODE_ID_BASE", "2147483646"),
        ],
        &[],
        &["dmq.kraft.pod-index", "2147483648"],
    );
}

#[test]
fn an_ordinal_without_an_entry_in_the_address_book_is_refused_by_its_own_key() {
    let (_dir, lost) = sources(FILE, &[("DMQ_KRAFT_POD_INDEX", "7")], &[]);
    let error = load(&lost).unwrap_err().to_string();
    for part in ["`dmq.kraft.pod-index` = `7`", "node id 8", "1, 2, 102"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}
