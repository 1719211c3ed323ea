//! `dmq-operator check`: whether an installation is sound, for `helm test`.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::metrics::Metrics;
use super::{client, definition, lease};
use crate::args::Args;

/// Ends well if the kind is served and a replica holds the Lease.
pub(super) async fn check(args: &Args) -> anyhow::Result<()> {
    let client = client::connect(&Arc::new(Metrics::default())).await?;
    if !definition::is_served(&client).await? {
        bail!("the kind DmqMetadataCluster is not served: its CustomResourceDefinition is missing");
    }
    let (namespace, name) = (args.lease_namespace(), &args.lease_name);
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let found = leases
        .get(name)
        .await
        .with_context(|| format!("Lease {namespace}/{name}"))?;
    let Some(holder) = lease::holder(&found) else {
        bail!("nobody holds Lease {namespace}/{name}: no operator acts");
    };
    tracing::info!(holder, "the kind is served and an operator acts");
    Ok(())
}
