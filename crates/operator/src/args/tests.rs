//! The command line, as people and charts write it.

use super::*;

fn parse(flags: &[&str]) -> Args {
    Args::try_parse_from(std::iter::once("dmq-operator").chain(flags.iter().copied())).unwrap()
}

#[test]
fn the_definition_is_sound() {
    use clap::CommandFactory;
    Args::command().debug_assert();
}

#[test]
fn nothing_given_means_all_namespaces_and_the_released_images() {
    let args = parse(&[]);
    assert_eq!(args.command, None);
    assert!(args.namespaces().is_empty());
    assert!(args.leader_elect);
    assert_eq!(args.health_port, 8081);
    let settings = args.settings("");
    assert_eq!(settings.image_repository, "ghcr.io/dmq-io/dmq-metadata");
    assert_eq!(settings.cluster_domain, "cluster.local");
    assert_eq!(settings.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn namespaces_are_a_list_and_an_empty_one_means_all() {
    assert_eq!(parse(&["--namespaces", "b, a,b"]).namespaces(), ["a", "b"]);
    assert!(parse(&["--namespaces", ""]).namespaces().is_empty());
}

#[test]
fn the_lease_lies_beside_the_operator_unless_said() {
    assert_eq!(parse(&["--pod-namespace", "dmq"]).lease_namespace(), "dmq");
    let elsewhere = parse(&["--pod-namespace", "dmq", "--lease-namespace", "leases"]);
    assert_eq!(elsewhere.lease_namespace(), "leases");
}

#[test]
fn the_domain_comes_from_the_flag_or_from_the_resolver() {
    let resolver = "nameserver 10.0.0.10\nsearch dmq.svc.k8s.example svc.k8s.example k8s.example\noptions ndots:5\n";
    assert_eq!(parse(&[]).settings(resolver).cluster_domain, "k8s.example");
    let given = parse(&["--cluster-domain", "other.example"]);
    assert_eq!(given.settings(resolver).cluster_domain, "other.example");
    let at_home = "search fritz.box\nnameserver 127.0.0.1\n";
    assert_eq!(parse(&[]).settings(at_home).cluster_domain, "cluster.local");
}

#[test]
fn wrong_values_are_refused() {
    for flags in [
        ["--lease-seconds", "1"],
        ["--concurrency", "0"],
        ["--log-format", "xml"],
        ["--leader-elect", "perhaps"],
    ] {
        let given = std::iter::once("dmq-operator").chain(flags);
        assert!(Args::try_parse_from(given).is_err(), "{flags:?}");
    }
}

#[test]
fn check_takes_the_lease() {
    let args = parse(&["check", "--lease-name", "other"]);
    assert_eq!(args.command, Some(Command::Check));
    assert_eq!(args.lease_name, "other");
}
