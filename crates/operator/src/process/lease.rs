//! Which replica acts: the one that holds the Lease.
//!
//! `kube-lease-manager` acquires and renews it. It hides a renewal that fails, and a standby sleeps until the Lease would
//! expire even if it is given back, so the Lease is watched here as well: what it says is what counts.

use std::time::Duration;

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseParams};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Pause before the Kubernetes API is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Giving the Lease back has this long.
const RELEASE: Duration = Duration::from_secs(3);

/// Where the Lease lies, and who wants it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) identity: String,
    pub(super) duration: Duration,
}

/// A Lease that is held.
pub(super) struct Lease {
    settings: Settings,
    client: Client,
    holds: watch::Receiver<bool>,
    renewing: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
}

/// Waits until the Lease is held.
pub(super) async fn acquire(client: &Client, settings: &Settings) -> Lease {
    loop {
        match standby(client, settings).await {
            Ok(Some(lease)) => return lease,
            Ok(None) => tracing::debug!("the lease was given back: trying at once"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the lease cannot be asked for"
                );
                sleep(PAUSE).await;
            }
        }
    }
}

/// Tries until the Lease is held; `None` when it was given back and a fresh manager would get it sooner.
async fn standby(client: &Client, settings: &Settings) -> anyhow::Result<Option<Lease>> {
    let manager = manager(client, settings).await?;
    let (mut holds, renewing) = manager.watch().await;
    let mut seen = Box::pin(seen(client, settings));
    let mut was_taken = false;
    loop {
        tokio::select! {
            changed = holds.changed() => {
                changed.context("the lease manager has ended")?;
                if *holds.borrow_and_update() {
                    let (settings, client) = (settings.clone(), client.clone());
                    return Ok(Some(Lease { settings, client, holds, renewing }));
                }
            }
            Some(object) = seen.next() => {
                let holder = object.as_ref().ok().and_then(holder);
                if was_taken && holder.is_none() && object.is_ok() {
                    // Ended the hard way: an orderly end gives back what the next manager may hold by then.
                    renewing.abort();
                    return Ok(None);
                }
                was_taken |= holder.is_some_and(|holder| holder != settings.identity);
            }
        }
    }
}

async fn manager(client: &Client, settings: &Settings) -> anyhow::Result<LeaseManager> {
    let seconds = settings.duration.as_secs();
    let parameters = LeaseParams::new(&settings.identity, seconds, seconds - seconds / 3)
        .with_field_manager(format!("dmq-operator-{}", settings.identity));
    LeaseManagerBuilder::new(client.clone(), &settings.name)
        .with_namespace(&settings.namespace)
        .with_parameters(parameters)
        .build()
        .await
        .with_context(|| format!("Lease {}/{}", settings.namespace, settings.name))
}

impl Lease {
    /// Ends when the Lease is not held any more, or cannot be known to be.
    pub(super) async fn lost(&mut self) -> String {
        let mut seen = Box::pin(seen(&self.client, &self.settings));
        let patience = patience(self.settings.duration);
        let mut until = Instant::now() + patience;
        let mut renewed = None;
        loop {
            tokio::select! {
                changed = self.holds.changed() => {
                    if changed.is_err() || !*self.holds.borrow_and_update() {
                        return "the lease manager gave it up".to_owned();
                    }
                }
                Some(object) = seen.next() => {
                    let Ok(object) = object else { continue };
                    let holder = holder(&object).unwrap_or_default();
                    if holder != self.settings.identity {
                        return format!("it is held by '{holder}'");
                    }
                    // A watch that begins anew repeats what is stored: only a new time is a renewal.
                    let at = object.spec.and_then(|spec| spec.renew_time);
                    if at != renewed {
                        renewed = at;
                        until = Instant::now() + patience;
                    }
                }
                () = sleep_until(until) => {
                    return format!("no renewal was seen for {patience:?}");
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica acts at once.
    pub(super) async fn release(self) {
        drop(self.holds);
        match timeout(RELEASE, self.renewing).await {
            Ok(Ok(Ok(_))) => tracing::info!("the lease was given back"),
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease was not given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back"),
            Err(_) => tracing::warn!("the lease was not given back in time"),
        }
    }
}

/// The Lease as it changes.
fn seen(
    client: &Client,
    settings: &Settings,
) -> impl Stream<Item = Result<Object, watcher::Error>> + Send + use<> {
    let api: Api<Object> = Api::namespaced(client.clone(), &settings.namespace);
    watch_object(api, &settings.name)
        .default_backoff()
        .map(|object| object.map(Option::unwrap_or_default))
}

/// How long a holder acts without having seen a renewal: it ends well before another replica may begin, since what is
/// seen comes late and clocks differ. It is renewed twice in that time.
fn patience(duration: Duration) -> Duration {
    duration * 2 / 3
}

/// Who holds a Lease.
pub(super) fn holder(lease: &Object) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

#[cfg(test)]
mod tests;
