//! The client of the Kubernetes API; every answer is counted.

use std::sync::Arc;

use anyhow::Context as _;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::util::MapResultLayer;

use super::metrics::Metrics;

/// As the pod's service account, or as the kubeconfig outside of a pod.
pub(super) async fn connect(metrics: &Arc<Metrics>) -> anyhow::Result<Client> {
    let config = Config::infer()
        .await
        .context("neither a service account nor a kubeconfig says where the Kubernetes API is")?;
    let builder = ClientBuilder::try_from(config).context("the Kubernetes client")?;
    let metrics = Arc::clone(metrics);
    let counted = MapResultLayer::new(move |answer: Result<http::Response<_>, _>| {
        metrics.requested(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        answer
    });
    Ok(builder.with_layer(&counted).build())
}
