//! The watches, and what they set off.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dmq_crd::DmqMetadataCluster;
use dmq_crd::names::{FIELD_MANAGER, label};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::predicates;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::mpsc;

use super::reconcile::{on_error, reconcile};
use crate::context::Context;
use crate::key::Key;
use crate::observe::instance;
use crate::streams;

/// What is watched: an object that does not fit our types must not stop the others.
pub(super) type Guarded = DeserializeGuard<DmqMetadataCluster>;

/// Changes that come close together are one: short, since a new leader must show soon.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// The controller of one namespace, or of all.
pub(super) struct Scoped {
    context: Arc<Context>,
    controller: Controller<Guarded>,
    store: Store<Guarded>,
}

impl Scoped {
    /// Watches and does nothing yet. `namespace`: `None` for all.
    pub(super) fn new(
        context: Context,
        triggers: mpsc::Receiver<Key>,
        namespace: Option<&str>,
        concurrency: u16,
    ) -> Self {
        let client = context.client.clone();
        let (store, writer) = reflector::store();
        let wanted = predicates::generation
            .combine(predicates::annotations)
            .combine(predicates::finalizers);
        let objects = watcher(
            api::<Guarded>(&client, namespace),
            watcher::Config::default(),
        )
        .default_backoff()
        .reflect(writer)
        // A write of the status is our own and says nothing new.
        .touched_objects()
        .predicate_filter(wanted, PredicateConfig::default());
        let config = Config::default()
            .debounce(DEBOUNCE)
            .concurrency(concurrency);
        let controller = Controller::for_stream(objects, store.clone())
            .with_config(config)
            .reconcile_on(streams::triggers(triggers));
        let controller = with_children(controller, &client, namespace);
        Self {
            context: Arc::new(context),
            controller,
            store,
        }
    }

    /// The objects, once all are known.
    pub(super) fn store(&self) -> Store<Guarded> {
        self.store.clone()
    }

    /// Works until `stop`, and ends when the passes that run then have ended.
    pub(super) async fn run(self, stop: impl Future<Output = ()> + Send + Sync + 'static) {
        let context = Arc::clone(&self.context);
        self.controller
            .graceful_shutdown_on(stop)
            .run(reconcile, on_error, self.context)
            .for_each(|result| {
                follow_up(&context, result.err());
                std::future::ready(())
            })
            .await;
    }
}

/// Passes log their failures themselves; the rest is seen here.
fn follow_up(
    context: &Context,
    error: Option<controller::Error<crate::error::Error, watcher::Error>>,
) {
    match error {
        Some(controller::Error::ObjectNotFound(object)) => context.forget(&Key {
            namespace: object.namespace.clone().unwrap_or_default(),
            name: object.name.clone(),
        }),
        Some(controller::Error::QueueError(error)) => {
            tracing::warn!(%error, "a watch failed");
        }
        Some(controller::Error::RunnerError(error)) => {
            tracing::error!(%error, "the controller failed");
        }
        Some(controller::Error::ReconcilerFailed(..)) | None => {}
    }
}

/// Children and pods lead to their object by their labels, since what outlives it has no owner.
fn with_children(
    controller: Controller<Guarded>,
    client: &Client,
    namespace: Option<&str>,
) -> Controller<Guarded> {
    let managed = format!("{}={FIELD_MANAGER}", label::MANAGED_BY);
    let managed = watcher::Config::default().labels(&managed);
    let pods = watcher::Config::default().labels(&format!("{}=dmq-metadata", label::NAME));
    let controller = watch::<StatefulSet>(controller, client, namespace, &managed);
    let controller = watch::<Service>(controller, client, namespace, &managed);
    let controller = watch::<ConfigMap>(controller, client, namespace, &managed);
    let controller = watch::<ServiceAccount>(controller, client, namespace, &managed);
    let controller = watch::<PodDisruptionBudget>(controller, client, namespace, &managed);
    let controller = watch::<NetworkPolicy>(controller, client, namespace, &managed);
    watch::<Pod>(controller, client, namespace, &pods)
}

/// Metadata is enough: a pass reads the rest live.
fn watch<K>(
    controller: Controller<Guarded>,
    client: &Client,
    namespace: Option<&str>,
    config: &watcher::Config,
) -> Controller<Guarded>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + Send + Sync + serde::de::DeserializeOwned + 'static,
{
    let changed = watcher(
        api::<PartialObjectMeta<K>>(client, namespace),
        config.clone(),
    )
    .default_backoff()
    .touched_objects();
    controller.watches_stream(changed, |child: PartialObjectMeta<K>| {
        let name = instance(&child)?;
        Some(ObjectRef::new(&name).within(&child.namespace()?))
    })
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
