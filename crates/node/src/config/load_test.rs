//! Every refusal names the key, the value and the rule; every key works from all three sources.

use std::path::Path;
use std::time::Duration;

use super::*;

const THREE: &str = "
dmq:
  kraft:
    node-id: 1
    cluster:
      id: dmq
      nodes:
        - { id: 1, host: localhost, port: 9093 }
        - { id: 2, host: localhost, port: 9094 }
        - { id: 3, host: localhost, port: 9095 }
";

/// The configuration from a file with this text and these flags.
fn read(yaml: &str, flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read_with(yaml, &[], flags)
}

fn read_with(
    yaml: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.yaml");
    std::fs::write(&file, yaml).unwrap();
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    load(&Sources {
        file: Some(file),
        environment: environment.iter().map(owned).collect(),
        flags: flags.iter().map(owned).collect(),
    })
}

/// The refusal of the three-node file with these flags must contain all of `parts`.
fn refused(flags: &[(&str, &str)], parts: &[&str]) {
    refused_file(THREE, flags, parts);
}

fn refused_file(yaml: &str, flags: &[(&str, &str)], parts: &[&str]) {
    let text = read(yaml, flags).expect_err("must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn the_designs_example_is_read_with_its_defaults() {
    let config = read(THREE, &[]).unwrap();
    assert_eq!(config.node_id.0, 1);
    assert_eq!(config.cluster_id.as_ref().unwrap().as_str(), "dmq");
    assert_eq!(config.nodes.len(), 3);
    assert_eq!(config.raft.election_timeout, Duration::from_secs(1));
    assert_eq!(config.raft.heartbeat_interval, Duration::from_millis(150));
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.advertised_url, "http://localhost:8080");
    assert!(!config.listens_beyond_loopback());
    assert_eq!(config.store_url, "sqlite:");
    assert_eq!(config.broker_session_timeout, Duration::from_secs(9));
    assert_eq!(config.node_dir(), Path::new("./data/raft-log/node-1"));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let yaml = format!("{THREE}\nserver: {{ port: 8081 }}\n");
    let port =
        |environment: &[_], flags: &[_]| read_with(&yaml, environment, flags).unwrap().server.port;
    assert_eq!(port(&[], &[]), 8081);
    assert_eq!(port(&[("SERVER_PORT", "8082")], &[]), 8082);
    assert_eq!(
        port(&[("SERVER_PORT", "8082")], &[("server.port", "8083")]),
        8083
    );
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    let mut names: Vec<String> = KEYS.iter().map(Key::environment_variable).collect();
    assert!(names.contains(&"DMQ_KRAFT_NODE_ID".to_owned()));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
}

#[test]
fn all_of_a_configuration_may_come_from_the_environment() {
    let nodes = "[{id: 4, host: meta-0.meta, port: 9093}]";
    let environment = [
        ("DMQ_KRAFT_NODE_ID", "4"),
        ("DMQ_KRAFT_CLUSTER_NODES", nodes),
        ("LOG_FORMAT", "json"),
    ];
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let environment = environment.iter().map(owned).collect();
    let config = load(&Sources {
        environment,
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.own().authority(), "meta-0.meta:9093");
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(
        config.listens_beyond_loopback(),
        "a node with a real host name serves the network"
    );
}

#[test]
fn the_originals_timings_work() {
    let flags = [
        ("dmq.kraft.raft.election-timeout-ms", "5000"),
        ("dmq.kraft.raft.heartbeat-interval-ms", "1000"),
    ];
    assert_eq!(
        read(THREE, &flags).unwrap().raft.election_timeout,
        Duration::from_secs(5)
    );
}

#[test]
fn an_election_timeout_under_three_heartbeats_is_refused() {
    refused(
        &[("dmq.kraft.raft.election-timeout-ms", "449")],
        &[
            "dmq.kraft.raft.election-timeout-ms",
            "`449`",
            "at least 3 times",
            "450",
            "flag --dmq.kraft.raft.election-timeout-ms",
        ],
    );
    let flags = [("dmq.kraft.raft.election-timeout-ms", "450")];
    assert!(read(THREE, &flags).is_ok());
}

#[test]
fn a_node_id_without_an_entry_is_refused() {
    refused(
        &[("dmq.kraft.node-id", "4")],
        &["dmq.kraft.node-id", "`4`", "1, 2, 3"],
    );
}

#[test]
fn a_missing_node_id_is_named() {
    let yaml = THREE.replace("node-id: 1", "");
    refused_file(&yaml, &[], &["dmq.kraft.node-id", "not set"]);
}

#[test]
fn node_ids_outside_their_range_are_refused() {
    for id in ["0", "-1", "2147483648", "one", "1.5", ""] {
        refused(
            &[("dmq.kraft.node-id", id)],
            &["dmq.kraft.node-id", "1 to 2147483647"],
        );
    }
}

#[test]
fn duplicate_ids_and_addresses_are_refused() {
    let nodes = "dmq.kraft.cluster.nodes";
    let twice = "[{id: 1, host: a, port: 1}, {id: 1, host: b, port: 1}]";
    refused(&[(nodes, twice)], &[nodes, "id 1", "every id occurs once"]);
    let twice = "[{id: 1, host: a, port: 1}, {id: 2, host: A, port: 1}]";
    refused(
        &[(nodes, twice)],
        &[nodes, "node 1 and node 2", "every host:port occurs once"],
    );
}

#[test]
fn entries_of_the_address_book_are_checked() {
    let nodes = "dmq.kraft.cluster.nodes";
    for (entry, rule) in [
        ("{id: 0, host: a, port: 1}", "`id`"),
        ("{id: 1, host: a, port: 0}", "`port`"),
        ("{id: 1, host: a, port: 65536}", "`port`"),
        ("{id: 1, host: 'a b', port: 1}", "`host`"),
        ("{id: 1, host: '', port: 1}", "`host`"),
        ("{id: 1, host: a}", "missing field `port`"),
        ("{id: 1, host: a, port: 1, rack: x}", "unknown field `rack`"),
        ("{id: x, host: a, port: 1}", "each entry"),
        ("nonsense", "each entry"),
    ] {
        refused(&[(nodes, &format!("[{entry}]"))], &[nodes, rule]);
    }
    refused(&[(nodes, "[]")], &[nodes, "1 to 32 entries"]);
    refused(&[(nodes, "text")], &[nodes, "a list of"]);
    refused(&[(nodes, "[{id: 1")], &[nodes, "a YAML list"]);
}

#[test]
fn unknown_keys_are_refused_with_the_key_that_was_meant() {
    let yaml = format!("{THREE}    raft: {{ election_timeout_ms: 900 }}\n");
    refused_file(
        &yaml,
        &[],
        &[
            "dmq.kraft.raft.election_timeout_ms",
            "did you mean `dmq.kraft.raft.election-timeout-ms`",
        ],
    );
    refused_file(
        &format!("{THREE}\nservr: {{ port: 1 }}\n"),
        &[],
        &["servr", "unknown key"],
    );
}

#[test]
fn a_section_is_not_a_value() {
    refused_file(
        &format!("{THREE}\nserver: 8080\n"),
        &[],
        &["`server`", "`8080`", "a section"],
    );
    refused_file("- 1\n- 2\n", &[], &["(top level)", "a section"]);
}

#[test]
fn a_file_that_is_missing_or_no_yaml_is_named() {
    let sources = Sources {
        file: Some("/nowhere/node.yaml".into()),
        ..Sources::default()
    };
    assert!(
        load(&sources)
            .unwrap_err()
            .to_string()
            .contains("/nowhere/node.yaml")
    );
    refused_file("dmq: [", &[], &["node.yaml", "not valid YAML"]);
    refused_file(
        &format!("{THREE}\nlog: {{}}\nlog: {{}}\n"),
        &[],
        &["node.yaml"],
    );
}

#[test]
fn cluster_ids_keep_their_rule() {
    let long = "x".repeat(65);
    for id in ["", "a b", "ä", long.as_str()] {
        refused(
            &[("dmq.kraft.cluster.id", id)],
            &["dmq.kraft.cluster.id", "1 to 64 characters"],
        );
    }
    // Unquoted digits are a number to YAML and a name to us.
    let config = read(&THREE.replace("id: dmq", "id: 42"), &[]).unwrap();
    assert_eq!(config.cluster_id.unwrap().as_str(), "42");
}

#[test]
fn ports_are_checked_and_distinct() {
    for port in ["0", "65536", "-1", "http"] {
        refused(
            &[("server.port", port)],
            &["server.port", port, "from 1 to 65535"],
        );
    }
    refused(
        &[("server.port", "9093")],
        &["server.port", "own peer port"],
    );
    refused(
        &[("management.port", "8080")],
        &["management.port", "differs from `server.port`"],
    );
    assert_eq!(
        read(THREE, &[("management.port", "9000")])
            .unwrap()
            .management_port,
        Some(9000)
    );
}

#[test]
fn urls_are_checked_and_passwords_stay_hidden() {
    for url in [
        "localhost:8080",
        "ftp://host",
        "http://",
        "http:// host",
        "",
    ] {
        refused(
            &[("server.advertised-url", url)],
            &["server.advertised-url"],
        );
    }
    for url in ["mysql://host/db", "postgres:", "sqlite", "/var/lib/db"] {
        refused(&[("store.url", url)], &["store.url", url, "postgres://"]);
    }
    refused(
        &[("store.url", "mysql://me:secret@host/db")],
        &["store.url", "mysql://me:***@host/db"],
    );
    for url in [
        "postgres://u:pw@h:99999/d",
        "postgres:///d?schema=Bad-Name",
        "sqlite::memory:",
        "sqlite://foo?mode=zz",
    ] {
        refused(
            &[("store.url", url)],
            &["`store.url`", &dmq_store::redact(url), "flag --store.url"],
        );
    }
    for url in [
        "postgres://u:secret@h:99999/d",
        "postgres://u@h:99999/d?password=secret",
        "mysql://h/d?password=secret&a=b",
    ] {
        let refusal = read(THREE, &[("store.url", url)]).unwrap_err().to_string();
        assert!(!refusal.contains("secret"), "{refusal}");
    }
    for url in [
        "sqlite:",
        "sqlite:/var/lib/meta.db",
        "postgres://u:p@db:5432/meta",
        "postgres:///meta?host=/run/postgresql",
    ] {
        assert_eq!(read(THREE, &[("store.url", url)]).unwrap().store_url, url);
    }
}

#[test]
fn a_databases_user_and_password_may_be_kept_out_of_its_url() {
    let url = ("store.url", "postgres://db:5432/meta?sslmode=require");
    let file = ("store.password-file", "/secret/password");
    let config = read_with(THREE, &[("STORE_USER", "meta")], &[url, file]).unwrap();
    assert_eq!(config.store_credentials.user.as_deref(), Some("meta"));
    assert_eq!(
        config.store_credentials.password_file.as_deref(),
        Some(Path::new("/secret/password"))
    );
    refused(
        &[("store.url", "postgres://u:secret@db/meta"), file],
        &[
            "`store.url`",
            "u:***@",
            "store.password-file",
            "give it once",
        ],
    );
    refused(&[file], &["`store.url`", "`sqlite:`", "only"]);
    let url = ("store.url", "postgres://db/dmq_{id}?sslmode=require");
    assert_eq!(
        read(THREE, &[url]).unwrap().store_url,
        "postgres://db/dmq_1?sslmode=require"
    );
}

#[test]
fn hosts_levels_and_formats_are_checked() {
    refused(
        &[("server.host", "localhost")],
        &["server.host", "`localhost`", "an IP address"],
    );
    refused(
        &[("log.format", "xml")],
        &["log.format", "`xml`", "human or json"],
    );
    refused(&[("log.level", "loud=?")], &["log.level", "loud=?", "info"]);
    refused(
        &[("broker.session-timeout-ms", "99")],
        &["broker.session-timeout-ms", "100 to 3600000"],
    );
    let config = read(THREE, &[("server.host", "0.0.0.0")]).unwrap();
    assert!(config.listens_beyond_loopback());
}

#[test]
fn an_ipv6_host_is_put_in_brackets() {
    let nodes = "[{id: 1, host: '::1', port: 9093}]";
    let config = read(THREE, &[("dmq.kraft.cluster.nodes", nodes)]).unwrap();
    assert_eq!(config.own().authority(), "[::1]:9093");
    assert_eq!(config.server.advertised_url, "http://[::1]:8080");
    assert!(!config.listens_beyond_loopback());
}
