//! What a spec means once the defaults are filled in.

use std::sync::LazyLock;

use dmq_crd::{DmqMetadataCluster, Sidecar, StorageRequest, StoreKind, names};

use crate::settings::Settings;

/// The database of the nodes. The API server lets in exactly one kind; an object that is older than that rule has the default,
/// and [`super::invalid`] says what is wrong with it.
pub(super) fn store(cluster: &DmqMetadataCluster) -> StoreKind<'_> {
    static DEFAULT: LazyLock<Sidecar> = LazyLock::new(Sidecar::default);
    let kind = cluster.spec.store.kind();
    kind.unwrap_or_else(|| StoreKind::Sidecar(&DEFAULT))
}

/// The claim of the database, if it lies in the pod.
pub(super) fn storage(cluster: &DmqMetadataCluster) -> Option<&StorageRequest> {
    match store(cluster) {
        StoreKind::Sidecar(sidecar) => Some(&sidecar.storage),
        StoreKind::Sqlite(sqlite) => Some(&sqlite.storage),
        StoreKind::External(_) => None,
    }
}

/// Release that the nodes are to run.
pub fn version<'a>(cluster: &'a DmqMetadataCluster, settings: &'a Settings) -> &'a str {
    cluster.spec.version.as_deref().unwrap_or(&settings.version)
}

/// Reference of the nodes' image: a digest goes before a tag, a tag before the version.
pub fn image(cluster: &DmqMetadataCluster, settings: &Settings) -> String {
    let image = &cluster.spec.image;
    let repository = image.repository.as_deref();
    let repository = repository.unwrap_or(&settings.image_repository);
    match (&image.digest, &image.tag) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) => format!("{repository}:{}", version(cluster, settings)),
    }
}

/// DNS domain of the Kubernetes cluster.
pub fn cluster_domain<'a>(cluster: &'a DmqMetadataCluster, settings: &'a Settings) -> &'a str {
    let own = cluster.spec.cluster_domain.as_deref();
    own.unwrap_or(&settings.cluster_domain)
}

/// Name of the DMQ cluster for a new quorum: `spec.clusterId`, or the 22 characters of the object's uid in URL-safe base64.
pub fn cluster_id(cluster: &DmqMetadataCluster) -> String {
    if let Some(id) = &cluster.spec.cluster_id {
        return id.clone();
    }
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    match uid.parse::<uuid::Uuid>() {
        Ok(uuid) => base64_of(uuid.as_u128()),
        // Kubernetes promises uniqueness, not a form. What is no UUID is taken as it is, as far as an id may look like it.
        Err(_) => uid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .take(64)
            .collect(),
    }
}

/// RFC 4648, section 5, without padding: 21 digits of six bits, and one of the last two.
fn base64_of(bits: u128) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |six: u128| char::from(DIGITS[usize::try_from(six & 63).unwrap_or_default()]);
    let whole = (0..21).map(|place| digit(bits >> (122 - 6 * place)));
    whole.chain([digit((bits & 3) << 4)]).collect()
}

/// Host name of a pod, for peers and clients.
pub(super) fn host(cluster: &DmqMetadataCluster, settings: &Settings, ordinal: i32) -> String {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    format!(
        "{}.{}.{namespace}.svc.{}",
        names::pod(name, ordinal),
        names::raft_service(name),
        cluster_domain(cluster, settings)
    )
}

/// REST address of a pod's node inside of the Kubernetes cluster, as the node tells it to clients.
pub fn rest_url(cluster: &DmqMetadataCluster, settings: &Settings, ordinal: i32) -> String {
    let host = host(cluster, settings, ordinal);
    format!("http://{host}:{}", cluster.spec.service.rest_port)
}
