//! Whether Kubernetes serves our kind yet: the chart may bring it after the operator.

use std::time::Duration;

use dmq_crd::DmqMetadataCluster;
use kube::{Client, Resource};
use tokio::time::{sleep, timeout};

use super::health::Readiness;
use crate::error::kubernetes;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// One look has this long.
const LOOK: Duration = Duration::from_secs(10);

/// Waits until the kind is served, and says so while it is not.
pub(super) async fn wait(client: &Client, readiness: &Readiness) {
    let mut said = String::new();
    loop {
        let missing = match timeout(LOOK, is_served(client)).await {
            Ok(Ok(true)) => return,
            Ok(Ok(false)) => {
                "the kind DmqMetadataCluster of dmq.io/v1alpha1: install its CustomResourceDefinition"
                    .to_owned()
            }
            Ok(Err(error)) => format!("the Kubernetes API: {}", kubernetes(&error)),
            Err(_) => "the Kubernetes API, which does not answer".to_owned(),
        };
        readiness.wait_for(&missing);
        if said != missing {
            tracing::warn!(waits_for = missing, "waiting");
            said = missing;
        }
        sleep(PAUSE).await;
    }
}

/// Whether the kind is served.
pub(super) async fn is_served(client: &Client) -> Result<bool, kube::Error> {
    let version = DmqMetadataCluster::api_version(&());
    let plural = DmqMetadataCluster::plural(&());
    match client.list_api_group_resources(&version).await {
        Ok(found) => Ok(found
            .resources
            .iter()
            .any(|resource| resource.name == plural)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
