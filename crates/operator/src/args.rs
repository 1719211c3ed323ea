//! The command line: every flag is an environment variable too.

use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::settings::Settings;

/// Runs metadata quorums of DMQ on Kubernetes, one for each `DmqMetadataCluster`.
#[derive(Clone, Debug, Parser)]
#[command(name = "dmq-operator", version)]
pub struct Args {
    /// What to do; without one the operator runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Namespaces to watch, separated by commas; none: all of them.
    #[arg(
        long,
        env = "DMQ_OPERATOR_NAMESPACES",
        value_delimiter = ',',
        global = true
    )]
    pub namespaces: Vec<String>,
    /// Repository of the nodes' image, without a tag, for objects that name none.
    #[arg(
        long,
        env = "DMQ_OPERATOR_IMAGE_REPOSITORY",
        default_value = "ghcr.io/dmq-io/dmq-metadata"
    )]
    pub image_repository: String,
    /// Image of the PostgreSQL sidecar, with a tag, for objects that name none.
    #[arg(
        long,
        env = "DMQ_OPERATOR_POSTGRES_IMAGE",
        default_value = "docker.io/library/postgres:15"
    )]
    pub postgres_image: String,
    /// DNS domain of the Kubernetes cluster; default: as /etc/resolv.conf has it.
    #[arg(long, env = "DMQ_OPERATOR_CLUSTER_DOMAIN")]
    pub cluster_domain: Option<String>,
    /// Whether replicas of the operator agree on one that acts.
    #[arg(long, env = "DMQ_OPERATOR_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Name of the Lease that they agree by.
    #[arg(
        long,
        env = "DMQ_OPERATOR_LEASE_NAME",
        default_value = "dmq-operator",
        global = true
    )]
    pub lease_name: String,
    /// Namespace of that Lease; default: the operator's own.
    #[arg(long, env = "DMQ_OPERATOR_LEASE_NAMESPACE", global = true)]
    pub lease_namespace: Option<String>,
    /// Seconds that a replica may be silent before another one takes over, 5 to 300.
    #[arg(long, env = "DMQ_OPERATOR_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub lease_seconds: u64,
    /// Port of /livez, /readyz and /metrics.
    #[arg(long, env = "DMQ_OPERATOR_HEALTH_PORT", default_value_t = 8081)]
    pub health_port: u16,
    /// Objects that are worked on at a time, 1 to 64.
    #[arg(long, env = "DMQ_OPERATOR_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// What is logged: a level, or a filter such as `info,kube=debug`.
    #[arg(long, env = "DMQ_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// How it is logged.
    #[arg(
        long,
        env = "DMQ_OPERATOR_LOG_FORMAT",
        value_enum,
        default_value = "json"
    )]
    pub log_format: LogFormat,
    /// Name of the operator's pod.
    #[arg(
        long,
        env = "POD_NAME",
        default_value = "dmq-operator",
        hide_default_value = true
    )]
    pub pod_name: String,
    /// Namespace of the operator's pod.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "default",
        hide_default_value = true,
        global = true
    )]
    pub pod_namespace: String,
}

/// Other things than to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ends well if the kind `DmqMetadataCluster` is served and a replica holds the Lease.
    Check,
}

/// How it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON document for each line.
    Json,
    /// For people.
    Text,
}

impl Args {
    /// The namespaces; an empty list means all.
    pub fn namespaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .namespaces
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Namespace of the Lease.
    pub fn lease_namespace(&self) -> &str {
        self.lease_namespace
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.pod_namespace)
    }

    /// How long a Lease holds without a renewal.
    pub fn lease_duration(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// What plans need of it. `resolv_conf` is the text of `/etc/resolv.conf`.
    pub fn settings(&self, resolv_conf: &str) -> Settings {
        Settings {
            image_repository: self.image_repository.clone(),
            postgres_image: self.postgres_image.clone(),
            cluster_domain: self
                .cluster_domain
                .clone()
                .filter(|domain| !domain.is_empty())
                .or_else(|| cluster_domain(resolv_conf))
                .unwrap_or_else(|| "cluster.local".to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operator_namespace: self.pod_namespace.clone(),
        }
    }
}

/// The domain of the Kubernetes cluster as a pod's resolv.conf shows it: the search list holds `svc.<domain>`.
fn cluster_domain(resolv_conf: &str) -> Option<String> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"))
        .flat_map(str::split_whitespace)
        .find_map(|name| name.strip_prefix("svc."))
        .map(|domain| domain.trim_end_matches('.').to_owned())
        .filter(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests;
