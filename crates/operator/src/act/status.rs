//! What is written to the object itself: its status. Every write carries the version of what it was made from.

use dmq_crd::names::STATUS_FIELD_MANAGER;
use dmq_crd::status::Operation;
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterStatus};
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::version_of;
use crate::context::Context;
use crate::error::{Doing as _, Error};
use crate::key::Key;

/// Stores the status if it differs from the stored one; the version of the object afterwards.
pub async fn write(
    context: &Context,
    key: &Key,
    stored: &DmqMetadataCluster,
    next: &DmqMetadataClusterStatus,
) -> Result<String, Error> {
    let version = version_of(stored);
    if stored.status.as_ref() == Some(next) {
        return Ok(version);
    }
    let body = document(key, &version, &json!(next));
    let how = PatchParams::apply(STATUS_FIELD_MANAGER).force();
    let written = api(context, key)
        .patch_status(&key.name, &how, &Patch::Apply(&body))
        .await;
    context.metrics.status_written();
    Ok(version_of(&written.doing("writing the status")?))
}

/// Stores or removes `status.operation`, provided that nobody wrote the object since `version`; the version afterwards.
pub(super) async fn set_operation(
    context: &Context,
    key: &Key,
    version: &str,
    operation: Option<&Operation>,
) -> Result<String, Error> {
    let body = document(key, version, &json!({"operation": operation}));
    let how = PatchParams {
        field_manager: Some(STATUS_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let written = api(context, key)
        .patch_status(&key.name, &how, &Patch::Merge(&body))
        .await;
    Ok(version_of(&written.doing("writing status.operation")?))
}

fn document(key: &Key, version: &str, status: &Value) -> Value {
    json!({
        "apiVersion": DmqMetadataCluster::api_version(&()),
        "kind": DmqMetadataCluster::kind(&()),
        "metadata": {"name": key.name, "resourceVersion": version},
        "status": status,
    })
}

fn api(context: &Context, key: &Key) -> Api<DmqMetadataCluster> {
    Api::namespaced(context.client.clone(), &key.namespace)
}
