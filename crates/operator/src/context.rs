//! What every pass shares.

use std::sync::Arc;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::mpsc;

use crate::act::applied::Applied;
use crate::key::Key;
use crate::nodes::Nodes;
use crate::process::backoff::Backoff;
use crate::process::metrics::Metrics;
use crate::process::trouble::Troubles;
use crate::settings::Settings;
use crate::streams::Streams;

/// Name of the operator in Events.
const CONTROLLER: &str = "dmq-operator";

/// What every pass shares.
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// Defaults for what specs leave out.
    pub settings: Arc<Settings>,
    /// The REST interface of nodes.
    pub nodes: Arc<Nodes>,
    /// Their events.
    pub streams: Streams,
    /// What was applied last.
    pub applied: Applied,
    /// Publishes Events.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What went wrong last.
    pub troubles: Troubles,
    /// How long objects that fail are left alone.
    pub backoff: Backoff,
}

impl Context {
    /// A context, and the end where triggers of the nodes' events come out. `instance` is the operator's pod.
    pub fn new(
        client: Client,
        settings: Arc<Settings>,
        nodes: Arc<Nodes>,
        metrics: Arc<Metrics>,
        instance: &str,
    ) -> (Self, mpsc::Receiver<Key>) {
        let (streams, triggers) = Streams::new(Arc::clone(&nodes), metrics.streams());
        let context = Self {
            recorder: Recorder::new(client.clone(), reporter(instance)),
            client,
            settings,
            nodes,
            streams,
            applied: Applied::default(),
            metrics,
            troubles: Troubles::default(),
            backoff: Backoff::default(),
        };
        (context, triggers)
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        self.streams.forget(key);
        self.applied.forget(key);
        self.metrics.forget(key);
        self.troubles.forget(key);
        self.backoff.reset(key);
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// Who an Event is from.
pub fn reporter(instance: &str) -> Reporter {
    Reporter {
        controller: CONTROLLER.to_owned(),
        instance: Some(instance.to_owned()),
    }
}
