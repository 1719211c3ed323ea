//! The node's containers: `format`, which makes sure of the directory's identity, and `dmq-metadata`, which serves.

use dmq_crd::names::{MANAGEMENT_PORT, label};
use dmq_crd::{PullPolicy, StoreKind};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, Probe, SecretKeySelector, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Desired;
use super::config::FILE;
use super::effective;
use super::volumes::{
    CA_DIR, CONFIG, CONFIG_DIR, CREDENTIALS_DIR, DATA, DATA_DIR, LOG, LOG_DIR, OPERATOR_TOKEN,
    POSTGRES_SOCKET, SOCKET_DIR, STORE_CA, STORE_CREDENTIALS, TMP, TOKEN_DIR, mount,
    mount_read_only,
};

/// Name of the main container.
pub(super) const NODE: &str = "dmq-metadata";
/// Name of the container that formats.
const FORMAT: &str = "format";
/// Name of the peers' port.
pub(super) const RAFT: &str = "raft";
/// Name of the clients' port.
pub(super) const REST: &str = "rest";
/// Name of the port of health and metrics.
pub(super) const MANAGEMENT: &str = "management";

/// The variable that tells a node which pod it is.
const POD_INDEX: &str = "DMQ_KRAFT_POD_INDEX";
/// The variable with the user of an external server.
const STORE_USER: &str = "STORE_USER";
/// A node may need this long to read a long log before it is taken for stuck: half an hour, looked at every second.
const STARTUP_SECONDS: i32 = 1800;

/// Runs before everything else at every start of a pod. It writes into an empty directory only, and refuses another node's.
pub(super) fn format(desired: &Desired<'_>) -> Container {
    Container {
        args: Some(arguments(&["format", "--if-empty"])),
        env: Some(vec![pod_index()]),
        volume_mounts: Some(vec![
            mount_read_only(CONFIG, CONFIG_DIR),
            mount(LOG, LOG_DIR),
        ]),
        ..container(desired, FORMAT)
    }
}

/// Serves.
pub(super) fn node(desired: &Desired<'_>) -> Container {
    let spec = &desired.cluster.spec;
    let own = environment(desired);
    let ours = |env: &&EnvVar| own.iter().any(|own| own.name == env.name);
    let given = spec.pod.env.iter().filter(|env| !ours(env));
    Container {
        args: Some(arguments(&["serve"])),
        env: Some(own.iter().chain(given).cloned().collect()),
        ports: Some(vec![
            port(REST, spec.service.rest_port),
            port(RAFT, spec.service.raft_port),
            port(MANAGEMENT, MANAGEMENT_PORT),
        ]),
        startup_probe: Some(probe("/livez", 1, 3, STARTUP_SECONDS)),
        // Event loop and disk only: a partition that restarted everybody would make matters worse.
        liveness_probe: Some(probe("/livez", 10, 5, 6)),
        // Every second, since a roll waits for it.
        readiness_probe: Some(probe("/readyz", 1, 3, 3)),
        volume_mounts: Some(mounts(desired)),
        ..container(desired, NODE)
    }
}

/// When an image is pulled, in Kubernetes' words: one rule for all containers of the pod.
pub(super) fn pull_policy(desired: &Desired<'_>) -> String {
    let policy = match desired.cluster.spec.image.pull_policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    policy.to_owned()
}

fn container(desired: &Desired<'_>, name: &str) -> Container {
    let spec = &desired.cluster.spec;
    Container {
        name: name.to_owned(),
        image: Some(effective::image(desired.cluster, desired.settings)),
        image_pull_policy: Some(pull_policy(desired)),
        // An init container costs nothing beyond what the main container asks for, and a quota wants every container to ask.
        resources: spec.pod.resources.clone(),
        security_context: Some(confined()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// No rights beyond those of a process that owns its volumes.
pub(super) fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

fn mounts(desired: &Desired<'_>) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount_read_only(CONFIG, CONFIG_DIR),
        mount_read_only(OPERATOR_TOKEN, TOKEN_DIR),
        mount(LOG, LOG_DIR),
        mount(TMP, "/tmp"),
    ];
    match effective::store(desired.cluster) {
        StoreKind::Sqlite(_) => mounts.push(mount(DATA, DATA_DIR)),
        StoreKind::Sidecar(_) => mounts.push(mount(POSTGRES_SOCKET, SOCKET_DIR)),
        StoreKind::External(external) => {
            mounts.push(mount_read_only(STORE_CREDENTIALS, CREDENTIALS_DIR));
            let ca = external.ca_secret_ref.as_ref();
            mounts.extend(ca.map(|_| mount_read_only(STORE_CA, CA_DIR)));
        }
    }
    mounts
}

fn arguments(command: &[&str]) -> Vec<String> {
    let file = ["--config".to_owned(), format!("{CONFIG_DIR}/{FILE}")];
    let command = command.iter().map(|word| (*word).to_owned());
    command.chain(file).collect()
}

/// What differs from pod to pod, and what only a Secret knows.
fn environment(desired: &Desired<'_>) -> Vec<EnvVar> {
    let mut environment = vec![pod_index()];
    if let StoreKind::External(external) = effective::store(desired.cluster) {
        environment.push(user_name(external.credentials_secret_ref.name.clone()));
    }
    environment
}

fn user_name(secret: String) -> EnvVar {
    EnvVar {
        name: STORE_USER.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret,
                key: "username".to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}

fn pod_index() -> EnvVar {
    EnvVar {
        name: POD_INDEX.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: format!("metadata.labels['{}']", label::POD_INDEX),
            }),
            ..EnvVarSource::default()
        }),
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(MANAGEMENT.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}
