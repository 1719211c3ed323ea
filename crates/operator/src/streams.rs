//! One stream of events for each member: whatever a node sees change is looked at at once.

mod follow;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dmq_crd::DmqMetadataCluster;
use futures::Stream;
use futures::stream::unfold;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::key::Key;
use crate::nodes::Nodes;

/// Triggers that wait for the controller; a follower waits for room, none is lost.
const TRIGGERS_MAX: usize = 256;

/// A pod whose node is followed. A pod that comes back is another one: it has another uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Followed {
    /// uid of the pod.
    pub pod_uid: String,
    /// REST address of its node.
    pub url: String,
}

/// The streams of all objects.
#[derive(Debug)]
pub struct Streams {
    nodes: Arc<Nodes>,
    triggers: mpsc::Sender<Key>,
    followers: Mutex<HashMap<Key, HashMap<Followed, Follower>>>,
    running: Gauge,
}

/// Ends its task when dropped.
#[derive(Debug)]
struct Follower {
    task: JoinHandle<()>,
    running: Gauge,
}

impl Follower {
    fn new(task: JoinHandle<()>, running: Gauge) -> Self {
        running.inc();
        Self { task, running }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
        self.running.dec();
    }
}

impl Streams {
    /// No streams yet, and the end where their triggers come out. `running` counts them.
    pub fn new(nodes: Arc<Nodes>, running: Gauge) -> (Self, mpsc::Receiver<Key>) {
        let (triggers, receiver) = mpsc::channel(TRIGGERS_MAX);
        let streams = Self {
            nodes,
            triggers,
            followers: Mutex::default(),
            running,
        };
        (streams, receiver)
    }

    /// Follows exactly these pods of an object from now on.
    pub fn follow(&self, key: &Key, pods: &[Followed]) {
        let mut all = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if pods.is_empty() {
            all.remove(key);
            return;
        }
        let own = all.entry(key.clone()).or_default();
        own.retain(|followed, _| pods.contains(followed));
        for pod in pods {
            own.entry(pod.clone())
                .or_insert_with(|| self.start(key, pod));
        }
    }

    /// Follows no pod of this object any more.
    pub fn forget(&self, key: &Key) {
        self.follow(key, &[]);
    }

    fn start(&self, key: &Key, pod: &Followed) -> Follower {
        let (nodes, triggers) = (Arc::clone(&self.nodes), self.triggers.clone());
        let (key, url) = (key.clone(), pod.url.clone());
        let task = tokio::spawn(async move {
            let changed = || {
                let (triggers, key) = (triggers.clone(), key.clone());
                async move {
                    // Nobody takes triggers any more only when the process ends.
                    let _ = triggers.send(key).await;
                }
            };
            follow::follow(&nodes, &url, changed).await;
        });
        Follower::new(task, self.running.clone())
    }
}

/// The triggers as the controller takes them.
pub fn triggers(
    receiver: mpsc::Receiver<Key>,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<DmqMetadataCluster>>> + Send + 'static {
    unfold(receiver, async |mut receiver| {
        let key: Key = receiver.recv().await?;
        Some((ObjectRef::new(&key.name).within(&key.namespace), receiver))
    })
}

#[cfg(test)]
mod tests;
