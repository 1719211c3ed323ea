//! What the operator process was told at its start and every plan needs: defaults for what a spec leaves out.

/// Defaults for what a spec leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Repository of the node's image without tag, for example `ghcr.io/dmq-io/dmq-metadata`.
    pub image_repository: String,
    /// Image of the PostgreSQL sidecar with tag.
    pub postgres_image: String,
    /// DNS domain of the Kubernetes cluster, for example `cluster.local`.
    pub cluster_domain: String,
    /// Version of the operator: the default of `spec.version`.
    pub version: String,
    /// Namespace and pod labels of the operator, for the NetworkPolicies of the quorum.
    pub operator_namespace: String,
}
