//! The configuration of a node: the file, and the address book as a flag.

use std::collections::BTreeSet;

use dmq_node::config::{Config, ConfigError, Sources, load, of_text};
use dmq_testkit::fuzz::{Answer, Form, Target};

/// The file.
pub(super) const FILE: Target = Target {
    name: "config_file",
    form: Form::Text,
    run: run_file,
    seeds: seeds_of_files,
    memory_base: 2 << 20,
    memory_factor: 2048,
};

/// `--dmq.kraft.cluster.nodes`.
pub(super) const NODES: Target = Target {
    name: "cluster_nodes",
    form: Form::Text,
    run: run_nodes,
    seeds: seeds_of_nodes,
    memory_base: 2 << 20,
    memory_factor: 2048,
};

fn run_file(input: &[u8]) -> Answer {
    match std::str::from_utf8(input) {
        Ok(text) => judge(of_text("node.yaml", text)),
        Err(error) => Answer::refused(&error),
    }
}

fn run_nodes(input: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(input) else {
        return Answer::refused(&"no text");
    };
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    judge(load(&Sources {
        flags: vec![
            flag("dmq.kraft.node-id", "1"),
            flag("dmq.kraft.cluster.nodes", text),
        ],
        ..Sources::default()
    }))
}

/// What is taken keeps the rules that the server builds on; what is refused is refused in words.
fn judge(result: Result<Config, ConfigError>) -> Answer {
    let config = match result {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Answer::refused(&error);
        }
    };
    let ids: BTreeSet<_> = config.nodes.iter().map(|node| node.id).collect();
    assert_eq!(ids.len(), config.nodes.len(), "every node once");
    assert_eq!(config.own().id, config.node_id);
    assert!(config.node_id.0 > 0 && config.nodes.iter().all(|node| node.port > 0));
    assert!(config.raft.election_timeout >= 3 * config.raft.heartbeat_interval);
    Answer::taken(&config)
}

fn seeds_of_files() -> Vec<Vec<u8>> {
    let full = r#"
dmq:
  kraft:
    node-id: 1
    cluster:
      id: dmq
      nodes:
        - { id: 1, host: localhost, port: 9093 }
        - { id: 2, host: "node-2.example", port: 9094 }
        - { id: 3, host: "::1", port: 9095 }
    raft:
      election-timeout-ms: 1000
      heartbeat-interval-ms: 150
      log-dir: ./data/raft-log
      snapshot-bytes: 1048576
      snapshot-interval-ms: 60000
      kept-entries: 100
server: { port: 8080, host: 127.0.0.1, advertised-url: "http://localhost:8080" }
management: { port: 8181 }
store: { url: "sqlite:" }
broker: { session-timeout-ms: 9000 }
log: { format: json, level: info }
"#;
    let pod = "dmq: {kraft: {pod-index: 0, node-id-base: 0, cluster: {nodes: [{id: 1, host: h, port: 1}]}}}";
    let flow = "{dmq: {kraft: {node-id: 2, cluster: {nodes: [{id: 2, host: a, port: 65535}]}}}, \
        store: {url: 'postgres://h/db', user: u}}";
    [full, pod, flow]
        .map(|text| text.as_bytes().to_vec())
        .into()
}

fn seeds_of_nodes() -> Vec<Vec<u8>> {
    [
        "[{id: 1, host: localhost, port: 9093}]",
        "- id: 1\n  host: \"::1\"\n  port: 9093\n- {id: 7, host: b.example, port: 1}\n",
        "[{\"id\": 1, \"host\": \"127.0.0.1\", \"port\": 65535}]",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
