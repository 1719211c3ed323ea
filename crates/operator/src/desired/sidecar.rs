//! The PostgreSQL of a pod: a native sidecar, without probes, that starts before the node and stops after it.

use dmq_crd::Sidecar;
use k8s_openapi::api::core::v1::{Container, EnvVar, SecurityContext};

use super::Desired;
use super::node::{confined, pull_policy};
use super::volumes::{DATA, DATA_DIR, POSTGRES_SOCKET, POSTGRES_TMP, SIDECAR_SOCKET_DIR, mount};

/// Name of the container.
const POSTGRES: &str = "postgres";
/// User and group of the official image.
const POSTGRES_USER: i64 = 999;
/// What the container does; see the comments there.
pub(super) const SCRIPT: &str = include_str!("sidecar.sh");

pub(super) fn postgres(desired: &Desired<'_>, sidecar: &Sidecar) -> Container {
    let image = sidecar.image.as_ref();
    let command = ["/bin/sh", "-c", SCRIPT];
    Container {
        name: POSTGRES.to_owned(),
        image: Some(image.unwrap_or(&desired.settings.postgres_image).clone()),
        image_pull_policy: Some(pull_policy(desired)),
        command: Some(command.map(str::to_owned).to_vec()),
        env: Some(environment()),
        resources: sidecar.resources.clone(),
        // What makes an init container a sidecar.
        restart_policy: Some("Always".to_owned()),
        security_context: Some(SecurityContext {
            run_as_user: Some(POSTGRES_USER),
            run_as_group: Some(POSTGRES_USER),
            ..confined()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(DATA, DATA_DIR),
            mount(POSTGRES_SOCKET, SIDECAR_SOCKET_DIR),
            mount(POSTGRES_TMP, "/tmp"),
        ]),
        ..Container::default()
    }
}

/// The names are those of the official image, as far as it has one.
fn environment() -> Vec<EnvVar> {
    let variables = [
        ("DATA_ROOT", DATA_DIR),
        ("SOCKET_DIR", SIDECAR_SOCKET_DIR),
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        (
            "POSTGRES_INITDB_ARGS",
            "--data-checksums --locale=C --encoding=UTF8",
        ),
    ];
    let variable = |(name, value): (&str, &str)| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    };
    variables.map(variable).to_vec()
}
