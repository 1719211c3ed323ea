//! Names of what belongs to a quorum: children, labels, annotations, ports, paths.

/// Field manager of children.
pub const FIELD_MANAGER: &str = "dmq-operator";
/// Field manager of the status.
pub const STATUS_FIELD_MANAGER: &str = "dmq-operator-status";

/// Labels.
pub mod label {
    /// `dmq-metadata` on everything of ours.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Name of the object.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// `dmq-operator` on everything of ours.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// Part of the whole: `metadata`.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// `true` on the pod that the Service `<name>-controller` selects, absent elsewhere.
    pub const CONTROLLER: &str = "dmq.io/controller";
    /// Ordinal of a pod; set by Kubernetes.
    pub const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
    /// Revision of a pod's template; set by Kubernetes.
    pub const REVISION: &str = "controller-revision-hash";
}

/// Annotations.
pub mod annotation {
    /// On the object: any new value restarts the pods one by one, as of `kubectl rollout restart`.
    pub const RESTARTED_AT: &str = "dmq.io/restartedAt";
    /// On the object: `true` lets versions go down or skip a minor release.
    pub const ALLOW_UNSAFE_UPGRADE: &str = "dmq.io/allow-unsafe-upgrade";
    /// On the pod template: hash of the configuration that needs a restart.
    pub const CONFIG_HASH: &str = "dmq.io/config-hash";
}

/// Port of the nodes' health and metrics.
pub const MANAGEMENT_PORT: u16 = 8090;

/// `<name>`: the StatefulSet and the client Service.
pub fn stateful_set(name: &str) -> String {
    name.to_owned()
}

/// `<name>-raft`: the headless Service.
pub fn raft_service(name: &str) -> String {
    format!("{name}-raft")
}

/// `<name>-controller`: the Service that selects the controller's pod.
pub fn controller_service(name: &str) -> String {
    format!("{name}-controller")
}

/// `<name>-config`: the ConfigMap with the nodes' file.
pub fn config(name: &str) -> String {
    format!("{name}-config")
}

/// `<name>-operator-token`: the Secret with the bearer token of admin routes.
pub fn operator_token(name: &str) -> String {
    format!("{name}-operator-token")
}

/// `<name>-identity-<incarnation number>`: who the quorum is; create-only.
pub fn identity(name: &str, incarnation: u64) -> String {
    format!("{name}-identity-{incarnation}")
}

/// `<name>-voters-<incarnation number>`: the first voters; create-only.
pub fn voters(name: &str, incarnation: u64) -> String {
    format!("{name}-voters-{incarnation}")
}

/// `<name>-metadata`: the ServiceAccount of the pods, which has no rights.
pub fn service_account(name: &str) -> String {
    format!("{name}-metadata")
}

/// `<name>`: the PodDisruptionBudget.
pub fn pod_disruption_budget(name: &str) -> String {
    name.to_owned()
}

/// `<name>-peers`: the NetworkPolicy of the Raft port.
pub fn peers_policy(name: &str) -> String {
    format!("{name}-peers")
}

/// `<name>-clients`: the NetworkPolicy of the other ports.
pub fn clients_policy(name: &str) -> String {
    format!("{name}-clients")
}

/// `<name>-<ordinal>`: a pod.
pub fn pod(name: &str, ordinal: i32) -> String {
    format!("{name}-{ordinal}")
}

/// Node id of the pod with this ordinal: the voters' pool begins at 0.
pub fn node_id(ordinal: i32) -> i32 {
    ordinal + 1
}
