//! A Kubernetes API that answers as a test tells it, and a quorum that was seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::key::Key;
use crate::nodes::Nodes;
use crate::observe::{Children, Seen, live_pods};
use crate::observed::{Latch, Observed, StatefulSet};
use crate::process::metrics::Metrics;
use crate::settings::Settings;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Sent {
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    pub(crate) fn is_forced_apply(&self) -> bool {
        self.method == "PATCH"
            && self.query.contains("force=true")
            && self.query.contains("fieldManager=dmq-operator")
    }
}

type Answer = dyn Fn(&Sent) -> (u16, Value) + Send + Sync;

/// Answers every request by a function and remembers it.
pub(crate) struct Api {
    answer: Arc<Answer>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Api {
    pub(crate) fn new(answer: impl Fn(&Sent) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            sent: Arc::default(),
        }
    }

    /// What arrived since the last call.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    pub(crate) fn context(&self) -> (Context, mpsc::Receiver<Key>) {
        let (answer, sent) = (Arc::clone(&self.answer), Arc::clone(&self.sent));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (answer, sent) = (Arc::clone(&answer), Arc::clone(&sent));
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let arrived = Sent {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    body: serde_json::from_slice(&bytes).unwrap_or_default(),
                };
                let (status, body) = answer(&arrived);
                sent.lock().unwrap().push(arrived);
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, std::io::Error>(Response::builder().status(status).body(body).unwrap())
            }
        });
        Context::new(
            kube::Client::new(service, "n"),
            Arc::new(settings()),
            Arc::new(Nodes::new().unwrap()),
            Arc::new(Metrics::default()),
            "operator-0",
        )
    }
}

/// A refusal as Kubernetes words it.
pub(crate) fn failure(code: u16, reason: &str) -> (u16, Value) {
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "no", "reason": reason, "code": code,
    });
    (code, body)
}

pub(crate) fn pod(ordinal: usize, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("meta-{ordinal}"), "namespace": "n", "uid": format!("uid-{ordinal}"),
            "resourceVersion": format!("1{ordinal}"), "creationTimestamp": "2026-11-23T07:00:00Z",
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "meta", "uid": "set", "controller": true},
            ],
        },
        "spec": {"containers": []},
        "status": {"conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-23T07:00:00Z"},
        ]},
    })
}

fn settings() -> Settings {
    Settings {
        image_repository: "registry.example/dmq-metadata".to_owned(),
        postgres_image: "postgres:15".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        version: "0.1.0".to_owned(),
        operator_namespace: "dmq-system".to_owned(),
    }
}

/// A quorum of three pods, Ready or not.
pub(crate) fn seen(ready: [bool; 3]) -> Seen {
    let cluster = serde_json::from_value(json!({
        "apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster",
        "metadata": {
            "name": "meta", "namespace": "n", "uid": "0195d1a2-0000-4000-8000-000000000001", "resourceVersion": "100",
        },
        "spec": {},
    }));
    let pods: Vec<_> = (0..3)
        .map(|ordinal| serde_json::from_value(pod(ordinal, ready[ordinal])).unwrap())
        .collect();
    let observed = Observed {
        cluster: Arc::new(cluster.unwrap()),
        settings: Arc::new(settings()),
        now: "2026-11-23T08:00:00Z".parse().unwrap(),
        identity: Latch::Absent,
        voters: Latch::Absent,
        token: true,
        stateful_set: Some(StatefulSet {
            uid: "set".to_owned(),
            replicas: 3,
            generation: 1,
            observed_generation: 1,
            update_revision: None,
            claim_sizes: BTreeMap::new(),
            terminating: false,
            applied: true,
        }),
        pods: live_pods(&pods, "set"),
        claims: BTreeMap::new(),
        invalid: Vec::new(),
        conflicts: Vec::new(),
        missing: Vec::new(),
        members: BTreeMap::new(),
        leader: None,
    };
    Seen {
        effective: Arc::clone(&observed.cluster),
        observed,
        children: Children::default(),
        token: None,
        urls: BTreeMap::new(),
    }
}
