//! Where things lie in a pod: claims, volumes and paths.

use std::collections::BTreeMap;

use dmq_crd::{StorageRequest, StoreKind, names};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, SecretVolumeSource, Volume, VolumeMount, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Desired, effective};

/// Claim template and volume of the Raft log.
pub(super) const LOG: &str = "log";
/// Claim template and volume of the database.
pub(super) const DATA: &str = "data";
/// Volume of the nodes' file.
pub(super) const CONFIG: &str = "config";
/// Volume of the operator's token.
pub(super) const OPERATOR_TOKEN: &str = "operator-token";
/// Volume for temporary files of the node.
pub(super) const TMP: &str = "tmp";
/// Volume for temporary files of the sidecar.
pub(super) const POSTGRES_TMP: &str = "postgres-tmp";
/// Volume of the sidecar's socket.
pub(super) const POSTGRES_SOCKET: &str = "postgres-socket";
/// Volume of the password of an external server.
pub(super) const STORE_CREDENTIALS: &str = "store-credentials";
/// Volume of an external server's CA.
pub(super) const STORE_CA: &str = "store-ca";

/// Mount of [`LOG`].
pub(super) const LOG_DIR: &str = "/var/lib/dmq/log";
/// Mount of [`DATA`].
pub(super) const DATA_DIR: &str = "/var/lib/dmq/data";
/// Mount of [`CONFIG`].
pub(super) const CONFIG_DIR: &str = "/etc/dmq";
/// Mount of [`OPERATOR_TOKEN`].
pub(super) const TOKEN_DIR: &str = "/etc/dmq-token";
/// Mount of [`STORE_CREDENTIALS`].
pub(super) const CREDENTIALS_DIR: &str = "/etc/dmq-store";
/// Mount of [`STORE_CA`].
pub(super) const CA_DIR: &str = "/etc/dmq-store-ca";
/// Key and file of the password.
pub(super) const PASSWORD: &str = "password";
/// Key and file of the CA.
pub(super) const CA_FILE: &str = "ca.crt";
/// Mount of [`POSTGRES_SOCKET`] in the node.
pub(super) const SOCKET_DIR: &str = "/run/dmq-postgres";
/// Mount of [`POSTGRES_SOCKET`] in the sidecar: where `psql` looks without being told.
pub(super) const SIDECAR_SOCKET_DIR: &str = "/var/run/postgresql";

/// Readable for the owner and for the pod's group.
const SECRET_MODE: i32 = 0o440;

/// The claims of each pod, with these sizes where there are any. Nothing of them can be changed later, labels included.
pub(super) fn claim_templates(
    desired: &Desired<'_>,
    sizes: &BTreeMap<String, String>,
) -> Vec<PersistentVolumeClaim> {
    let storage = &desired.cluster.spec.storage;
    let log = StorageRequest {
        size: storage.size.clone(),
        storage_class_name: storage.storage_class_name.clone(),
    };
    let requests = [
        (LOG, Some(&log)),
        (DATA, effective::storage(desired.cluster)),
    ];
    let claim = |(name, request): (&str, Option<&StorageRequest>)| {
        let request = request?;
        let size = sizes.get(name).unwrap_or(&request.size);
        Some(claim(
            desired,
            name,
            size,
            request.storage_class_name.clone(),
        ))
    };
    requests.into_iter().filter_map(claim).collect()
}

fn claim(
    desired: &Desired<'_>,
    name: &str,
    size: &str,
    storage_class_name: Option<String>,
) -> PersistentVolumeClaim {
    let size = ("storage".to_owned(), Quantity(size.to_owned()));
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(desired.labels()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name,
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([size])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// The volumes of a pod beside its claims.
pub(super) fn volumes(desired: &Desired<'_>) -> Vec<Volume> {
    let name = desired.name();
    let mut volumes = vec![
        config_map(CONFIG, names::config(name)),
        secret(OPERATOR_TOKEN, names::operator_token(name), &[]),
        empty(TMP),
    ];
    match effective::store(desired.cluster) {
        StoreKind::Sqlite(_) => {}
        StoreKind::Sidecar(_) => volumes.extend([empty(POSTGRES_SOCKET), empty(POSTGRES_TMP)]),
        StoreKind::External(external) => {
            let credentials = external.credentials_secret_ref.name.clone();
            volumes.push(secret(STORE_CREDENTIALS, credentials, &[PASSWORD]));
            let ca = external.ca_secret_ref.as_ref();
            volumes.extend(ca.map(|ca| secret(STORE_CA, ca.name.clone(), &[CA_FILE])));
        }
    }
    volumes
}

/// Puts a volume into a container.
pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

/// Puts a volume into a container that must not write to it.
pub(super) fn mount_read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(name, path)
    }
}

fn empty(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

/// Mounted as a directory, never as a single file: only then does a change reach a running pod.
fn config_map(volume: &str, name: String) -> Volume {
    Volume {
        name: volume.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name,
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn secret(volume: &str, name: String, keys: &[&str]) -> Volume {
    let item = |key: &&str| KeyToPath {
        key: (*key).to_owned(),
        path: (*key).to_owned(),
        mode: None,
    };
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name),
            default_mode: Some(SECRET_MODE),
            items: Some(keys.iter().map(item).collect()).filter(|items: &Vec<_>| !items.is_empty()),
            optional: None,
        }),
        ..Volume::default()
    }
}
