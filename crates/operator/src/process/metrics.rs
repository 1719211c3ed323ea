//! What is counted, in the text format of Prometheus.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dmq_crd::DmqMetadataClusterStatus;
use dmq_crd::condition::kind;
use dmq_crd::status::OperationType;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::key::Key;

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    action: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}

/// What changes rarely about a quorum, as labels; the value is always 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    namespace: String,
    name: String,
    cluster_id: String,
    leader: String,
    term: String,
    phase: String,
    version: String,
}

/// Seconds from a fast idle pass to the ceiling of a pass.
#[derive(Clone, Debug)]
struct PassSeconds;

impl MetricConstructor<Histogram> for PassSeconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new([
            0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
        ])
    }
}

/// Seconds from the fastest restart to one that waits for a large image.
#[derive(Clone, Debug)]
struct OperationSeconds;

impl MetricConstructor<Histogram> for OperationSeconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new([1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0])
    }
}

/// All of it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Result, Counter>,
    seconds: Histogram,
    errors: Family<Reason, Counter>,
    actions: Family<Action, Counter>,
    status_writes: Counter,
    requests: Family<Code, Counter>,
    operations: Family<Operation, Histogram, OperationSeconds>,
    leader: Gauge,
    info: Family<Info, Gauge>,
    healthy: Family<Object, Gauge>,
    available: Family<Object, Gauge>,
    streams: Gauge,
    shown: Mutex<HashMap<Key, Info>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            seconds: PassSeconds.new_metric(),
            errors: Family::default(),
            actions: Family::default(),
            status_writes: Counter::default(),
            requests: Family::default(),
            operations: Family::new_with_constructor(OperationSeconds),
            leader: Gauge::default(),
            info: Family::default(),
            healthy: Family::default(),
            available: Family::default(),
            streams: Gauge::default(),
            shown: Mutex::default(),
        };
        metrics.register_process();
        metrics.register_quorums();
        metrics
    }
}

impl Metrics {
    fn register_process(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("dmq_operator");
        registry.register(
            "reconciles",
            "Passes over an object",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long passes took",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Passes that failed, by reason",
            self.errors.clone(),
        );
        registry.register("actions", "What was done", self.actions.clone());
        registry.register(
            "status_writes",
            "Writes of a status",
            self.status_writes.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the Kubernetes API, by status code; `none` for no answer",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "operation",
            "How long disruptive operations took",
            Unit::Seconds,
            self.operations.clone(),
        );
        registry.register(
            "leader",
            "1 if this replica of the operator acts",
            self.leader.clone(),
        );
        registry.register(
            "event_streams",
            "Nodes whose events are followed",
            self.streams.clone(),
        );
    }

    fn register_quorums(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "dmq_cluster_info",
            "Leader, term, phase and version of a quorum",
            self.info.clone(),
        );
        registry.register(
            "dmq_quorum_healthy",
            "1 if every voter is up and within the lag limit",
            self.healthy.clone(),
        );
        registry.register(
            "dmq_quorum_available",
            "1 if a leader is confirmed",
            self.available.clone(),
        );
    }

    /// Counts a pass; `failure` is the word for why it failed.
    pub fn passed(&self, took: Duration, failure: Option<&str>) {
        let result = if failure.is_some() { "error" } else { "ok" };
        let result = result.to_owned();
        self.reconciles.get_or_create(&Result { result }).inc();
        self.seconds.observe(took.as_secs_f64());
        if let Some(reason) = failure {
            let reason = reason.to_owned();
            self.errors.get_or_create(&Reason { reason }).inc();
        }
    }

    /// Counts an action.
    pub fn acted(&self, action: &str) {
        let action = action.to_owned();
        self.actions.get_or_create(&Action { action }).inc();
    }

    /// Counts a write of a status.
    pub fn status_written(&self) {
        self.status_writes.inc();
    }

    /// Counts a request to the Kubernetes API; `None` if there was no answer.
    pub fn requested(&self, code: Option<u16>) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.requests.get_or_create(&Code { code }).inc();
    }

    /// Notes how long a disruptive operation took.
    pub fn operation_ended(&self, operation: OperationType, took: Duration) {
        let operation = format!("{operation:?}");
        self.operations
            .get_or_create(&Operation { operation })
            .observe(took.as_secs_f64());
    }

    /// Whether this replica acts.
    pub fn lead(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Counts streams of events, up and down.
    pub fn streams(&self) -> Gauge {
        self.streams.clone()
    }

    /// Shows the status of an object.
    pub fn show(&self, key: &Key, status: &DmqMetadataClusterStatus) {
        let info = info(key, status);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.insert(key.clone(), info.clone());
        if let Some(before) = before.filter(|before| before != &info) {
            self.info.remove(&before);
        }
        self.info.get_or_create(&info).set(1);
        let truth = |wanted: &str| {
            let found = status.conditions.iter().find(|one| one.type_ == wanted);
            i64::from(found.is_some_and(|one| one.status == "True"))
        };
        let healthy = self.healthy.get_or_create_owned(&object(key));
        healthy.set(truth(kind::QUORUM_HEALTHY));
        let available = self.available.get_or_create_owned(&object(key));
        available.set(truth(kind::AVAILABLE));
    }

    /// Removes what was shown of an object.
    pub fn forget(&self, key: &Key) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(info) = shown.remove(key) {
            self.info.remove(&info);
        }
        self.healthy.remove(&object(key));
        self.available.remove(&object(key));
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn object(key: &Key) -> Object {
    Object {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

fn info(key: &Key, status: &DmqMetadataClusterStatus) -> Info {
    let leader = status.leader.as_ref();
    Info {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        cluster_id: status.cluster_id.clone().unwrap_or_default(),
        leader: leader
            .map(|leader| leader.pod_name.clone())
            .unwrap_or_default(),
        term: status.term.map(|term| term.to_string()).unwrap_or_default(),
        phase: status
            .phase
            .map(|phase| format!("{phase:?}"))
            .unwrap_or_default(),
        version: status.version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_shown_once_and_vanishes_with_its_object() {
        let metrics = Metrics::default();
        let key = Key {
            namespace: "n".to_owned(),
            name: "meta".to_owned(),
        };
        for term in [1, 2] {
            let status = DmqMetadataClusterStatus {
                term: Some(term),
                ..DmqMetadataClusterStatus::default()
            };
            metrics.show(&key, &status);
        }
        let text = metrics.text();
        assert!(
            text.contains("term=\"2\"") && !text.contains("term=\"1\""),
            "{text}"
        );
        assert!(
            text.contains("dmq_quorum_healthy{namespace=\"n\",name=\"meta\"} 0"),
            "{text}"
        );
        metrics.forget(&key);
        assert!(!metrics.text().contains("name=\"meta\""));
    }

    #[test]
    fn passes_and_requests_are_counted() {
        let metrics = Metrics::default();
        metrics.passed(Duration::from_millis(20), None);
        metrics.passed(Duration::from_millis(20), Some("conflict"));
        metrics.requested(Some(409));
        metrics.requested(None);
        let text = metrics.text();
        for line in [
            "dmq_operator_reconciles_total{result=\"ok\"} 1",
            "dmq_operator_reconcile_errors_total{reason=\"conflict\"} 1",
            "dmq_operator_api_requests_total{code=\"409\"} 1",
            "dmq_operator_api_requests_total{code=\"none\"} 1",
            "dmq_operator_reconcile_duration_seconds_count 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
