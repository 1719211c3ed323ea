//! Rules that the API server cannot check: between the object's name, the process' defaults and the spec, and those of the
//! nodes' own configuration, which would otherwise show only in a pod that does not start.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use dmq_crd::quantity::Quantity;
use dmq_crd::{DmqMetadataCluster, ExternalPostgres, StoreKind};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::Resource as _;
use tracing_subscriber::filter::EnvFilter;

use super::effective;
use super::format::{
    is_cluster_id, is_database_name, is_domain, is_image, is_label_key, is_label_value,
    is_service_name, is_version,
};
use super::{Desired, config, pod};
use crate::observed::Problem;
use crate::settings::Settings;

/// Reason of every problem here.
const REASON: &str = "InvalidSpec";
/// Highest node id of a quorum: the longest database name has it.
const ID_MAX: &str = "7";
/// First words of the variables that a node reads its configuration from.
const NODE_VARIABLES: [&str; 7] = [
    "DMQ_",
    "SERVER_",
    "MANAGEMENT_",
    "STORE_",
    "BROKER_",
    "AUTH_",
    "LOG_",
];

/// Everything that is wrong with the spec; each message names the field, the value and the rule.
pub fn invalid(cluster: &DmqMetadataCluster, settings: &Settings) -> Vec<Problem> {
    let mut found = Found::default();
    names(cluster, settings, &mut found);
    images(cluster, settings, &mut found);
    volumes(cluster, &mut found);
    let store = cluster.spec.store.kind();
    let rule = "takes exactly one of postgres.sidecar, postgres.external and sqlite";
    found.unless(store.is_some(), "spec.store", "", rule);
    if let StoreKind::External(external) = effective::store(cluster) {
        external_postgres(cluster, settings, external, &mut found);
    }
    configuration(cluster, &mut found);
    pods(cluster, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    /// Notes a broken rule.
    fn unless(&mut self, holds: bool, field: &str, value: &str, rule: &str) {
        if !holds {
            let message = format!("{field} is '{value}': {rule}");
            self.0.push(Problem {
                reason: REASON.to_owned(),
                message,
            });
        }
    }
}

fn names(cluster: &DmqMetadataCluster, settings: &Settings, found: &mut Found) {
    let name = cluster.meta().name.as_deref().unwrap_or_default();
    found.unless(
        is_service_name(name),
        "metadata.name",
        name,
        "its Services are called like it, so it begins with a letter and has only a-z, 0-9 and '-'",
    );
    let domain = effective::cluster_domain(cluster, settings);
    let last = cluster.spec.replicas - 1;
    found.unless(
        is_domain(domain) && effective::host(cluster, settings, last).len() <= 253,
        "spec.clusterDomain",
        domain,
        "a DNS domain such as cluster.local, with which a pod's host name has at most 253 characters",
    );
    let id = cluster.spec.cluster_id.as_deref();
    let id = id.filter(|id| !is_cluster_id(id));
    found.unless(
        id.is_none(),
        "spec.clusterId",
        id.unwrap_or_default(),
        "1 to 64 characters of A-Z a-z 0-9 _ -",
    );
}

fn images(cluster: &DmqMetadataCluster, settings: &Settings, found: &mut Found) {
    let version = effective::version(cluster, settings);
    let rule = "a release such as 0.1.0";
    found.unless(is_version(version), "spec.version", version, rule);
    let image = effective::image(cluster, settings);
    let rule = "repository, tag and digest do not make an image reference";
    found.unless(is_image(&image), "spec.image", &image, rule);
    if let StoreKind::Sidecar(sidecar) = effective::store(cluster) {
        let image = sidecar.image.as_ref().unwrap_or(&settings.postgres_image);
        let field = "spec.store.postgres.sidecar.image";
        found.unless(is_image(image), field, image, "not an image reference");
    }
}

fn volumes(cluster: &DmqMetadataCluster, found: &mut Found) {
    let rule = "a Kubernetes quantity such as 10Gi";
    let size = &cluster.spec.storage.size;
    found.unless(is_quantity(size), "spec.storage.size", size, rule);
    if let Some(request) = effective::storage(cluster) {
        let field = "spec.store: storage.size";
        found.unless(is_quantity(&request.size), field, &request.size, rule);
    }
}

fn external_postgres(
    cluster: &DmqMetadataCluster,
    settings: &Settings,
    external: &ExternalPostgres,
    found: &mut Found,
) {
    let field = |name: &str| format!("spec.store.postgres.external.{name}");
    let host = &external.host;
    let rule = "a host name or an IP address, without port, user or path";
    let is_host = is_domain(host) || host.parse::<std::net::IpAddr>().is_ok();
    found.unless(is_host, &field("host"), host, rule);

    let template = &external.database_template;
    let rule = "must hold {id}: every node has a database of its own";
    found.unless(
        template.contains("{id}"),
        &field("databaseTemplate"),
        template,
        rule,
    );
    let desired = Desired::new(cluster, settings, "");
    let longest = config::database(&desired, external).replace("{id}", ID_MAX);
    let rule = format!(
        "it makes the database name '{longest}'; the rule: at most 63 of A-Z a-z 0-9 _ -, first a letter or _; {{name}}, {{namespace}} and {{id}} are filled in"
    );
    found.unless(
        is_database_name(&longest),
        &field("databaseTemplate"),
        template,
        &rule,
    );
}

/// What a value of `spec.config` may be; the ranges are those of the node.
enum Rule {
    Number(RangeInclusive<u64>),
    OneOf(&'static [&'static str]),
    Filter,
}

impl Rule {
    fn of(key: &str) -> Option<Self> {
        match key {
            "broker.session-timeout-ms" => Some(Self::Number(100..=3_600_000)),
            "dmq.kraft.raft.kept-entries" => Some(Self::Number(0..=1 << 40)),
            "dmq.kraft.raft.snapshot-interval-ms" => Some(Self::Number(100..=31_536_000_000)),
            "log.format" => Some(Self::OneOf(&["human", "json"])),
            "log.level" => Some(Self::Filter),
            _ => None,
        }
    }

    /// The rule in words if the value breaks it.
    fn broken_by(&self, value: &str) -> Option<String> {
        let (holds, rule) = match self {
            Self::Number(range) => (
                value.parse().is_ok_and(|number| range.contains(&number)),
                format!("a whole number from {} to {}", range.start(), range.end()),
            ),
            Self::OneOf(words) => (words.contains(&value), words.join(" or ")),
            Self::Filter => (
                !value.trim().is_empty() && value.parse::<EnvFilter>().is_ok(),
                "off, error, warn, info, debug, trace, or a list such as info,dmq_raft=debug"
                    .to_owned(),
            ),
        };
        (!holds).then_some(rule)
    }
}

fn configuration(cluster: &DmqMetadataCluster, found: &mut Found) {
    for (key, value) in &cluster.spec.config {
        let field = format!("spec.config[{key}]");
        match Rule::of(key) {
            None => {
                let rule = "not a key that can be set here: the operator decides it, or there is none of that name";
                found.unless(false, &field, value, rule);
            }
            Some(rule) => {
                if let Some(rule) = rule.broken_by(value) {
                    found.unless(false, &field, value, &rule);
                }
            }
        }
    }
}

fn pods(cluster: &DmqMetadataCluster, found: &mut Found) {
    let given = &cluster.spec.pod;
    let mut seen = BTreeSet::new();
    for variable in &given.env {
        let name = &variable.name;
        let ours = NODE_VARIABLES.iter().any(|first| name.starts_with(first));
        let rule = "variables that begin so configure the node: use spec.config";
        found.unless(!ours, "spec.pod.env", name, rule);
        let rule = "the name occurs twice";
        found.unless(seen.insert(name), "spec.pod.env", name, rule);
    }
    for (key, value) in &given.labels {
        let rule = "not a label that Kubernetes accepts";
        let holds = is_label_key(key) && is_label_value(value);
        found.unless(holds, &format!("spec.pod.labels[{key}]"), value, rule);
    }
    for key in given.annotations.keys() {
        let rule = "not an annotation that can be set here";
        let holds = is_label_key(key) && key != pod::KUBECTL_RESTARTED_AT;
        found.unless(holds, "spec.pod.annotations", key, rule);
    }
    resources("spec.pod.resources", given.resources.as_ref(), found);
    if let StoreKind::Sidecar(sidecar) = effective::store(cluster) {
        let field = "spec.store.postgres.sidecar.resources";
        resources(field, sidecar.resources.as_ref(), found);
    }
}

fn is_quantity(text: &str) -> bool {
    Quantity::parse(text).is_some()
}

fn resources(field: &str, given: Option<&ResourceRequirements>, found: &mut Found) {
    let Some(given) = given else { return };
    for (kind, amounts) in [("requests", &given.requests), ("limits", &given.limits)] {
        for (resource, amount) in amounts.iter().flatten() {
            let field = format!("{field}.{kind}.{resource}");
            let rule = "a Kubernetes quantity such as 500m or 1Gi";
            found.unless(is_quantity(&amount.0), &field, &amount.0, rule);
        }
    }
}
