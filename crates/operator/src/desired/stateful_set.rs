//! The StatefulSet: `OnDelete`, because only the operator knows which pod may go next; `Parallel`, because a quorum needs its
//! peers in order to become ready.

use std::collections::BTreeMap;

use dmq_crd::{Retention, names};
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};

use super::{Desired, pod, volumes};

/// Old templates that Kubernetes keeps.
const REVISIONS: i32 = 10;

pub(super) fn build(
    desired: &Desired<'_>,
    replicas: i32,
    claim_sizes: &BTreeMap<String, String>,
) -> StatefulSet {
    let spec = &desired.cluster.spec;
    StatefulSet {
        metadata: desired.meta(names::stateful_set(desired.name())),
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            selector: desired.label_selector(),
            service_name: Some(names::raft_service(desired.name())),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            min_ready_seconds: Some(spec.update_strategy.min_ready_seconds),
            revision_history_limit: Some(REVISIONS),
            persistent_volume_claim_retention_policy: Some(retention(desired)),
            template: pod::template(desired),
            volume_claim_templates: Some(volumes::claim_templates(desired, claim_sizes)),
            ordinals: None,
        }),
        status: None,
    }
}

/// Claims are never given up because there are fewer pods for a while.
fn retention(desired: &Desired<'_>) -> StatefulSetPersistentVolumeClaimRetentionPolicy {
    let when_deleted = match desired.cluster.spec.storage.retention_policy.when_deleted {
        Retention::Retain => "Retain",
        Retention::Delete => "Delete",
    };
    StatefulSetPersistentVolumeClaimRetentionPolicy {
        when_deleted: Some(when_deleted.to_owned()),
        when_scaled: Some("Retain".to_owned()),
    }
}
