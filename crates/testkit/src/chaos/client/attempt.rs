//! One request and what its answer means, and the things that all clients share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::meter::Meter;
use super::topics::Topics;
use super::{ClientOptions, NodeAddress};
use crate::chaos::operation::{
    Call, Clock, Freshness, Operation, Outcome, PAGE, REPLICAS, UNREACHABLE,
};

/// A connection that is not there by then will not come: nodes answer in microseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// One write in so many waits for the controller's database too.
const PROJECTED_ONCE_IN: u64 = 10;

/// What all clients share.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) options: ClientOptions,
    pub(super) clock: Clock,
    pub(super) meter: Meter,
    pub(super) topics: Mutex<Topics>,
    http: reqwest::Client,
    nodes: RwLock<Vec<NodeAddress>>,
    history: Mutex<History>,
    /// The next number that has not been used in this run.
    fresh: AtomicU64,
}

#[derive(Debug, Default)]
struct History {
    operations: Vec<Operation>,
    /// Every text once: most answers show what another one shows.
    texts: HashSet<Arc<str>>,
}

/// An attempt's outcome, and the controller if the answer named it.
#[derive(Debug)]
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    pub(super) controller: Option<u32>,
}

impl Scene {
    pub(super) fn new(nodes: Vec<NodeAddress>, options: ClientOptions) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout)
            .no_proxy()
            .build()
            .unwrap_or_default();
        let topics = Topics::new(&options.prefix);
        Self {
            options,
            clock: Clock::start(),
            meter: Meter::default(),
            topics: Mutex::new(topics),
            http,
            nodes: RwLock::new(nodes),
            history: Mutex::default(),
            fresh: AtomicU64::new(1_000),
        }
    }

    /// A number that no other call of this run carries.
    pub(super) fn fresh(&self) -> u64 {
        self.fresh.fetch_add(1, Ordering::Relaxed)
    }

    /// The addresses at present.
    pub(super) fn nodes(&self) -> Vec<NodeAddress> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_nodes(&self, nodes: Vec<NodeAddress>) {
        *self.nodes.write().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_history(&self) -> Vec<Operation> {
        std::mem::take(
            &mut self
                .history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .operations,
        )
    }

    /// Sends the call to a node, waits for the answer and notes both.
    pub(super) async fn attempt(
        &self,
        client: u32,
        node: &NodeAddress,
        call: &Call,
        key: Option<&Arc<str>>,
    ) -> Attempted {
        let invoked = self.clock.now();
        let request = self.request(node, call, key, invoked.0.is_multiple_of(PROJECTED_ONCE_IN));
        let attempted = match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Attempted {
                outcome: not_sent_or_unknown(&error),
                controller: None,
            },
        };
        let returned = self.clock.now();
        self.note(Operation {
            client,
            node: node.id,
            call: call.clone(),
            key: key.cloned(),
            invoked,
            returned: Some(returned),
            outcome: attempted.outcome.clone(),
        });
        attempted
    }

    fn note(&self, mut operation: Operation) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(returned) = operation.returned {
            self.meter
                .note(returned, &operation.call, &operation.outcome);
        }
        if operation.is_unknown() {
            operation.returned = None;
        }
        match &mut operation.outcome {
            Outcome::Done { body: text, .. } | Outcome::Refused { detail: text, .. } => {
                *text = history.shared(text);
            }
            Outcome::Unknown | Outcome::Broken { .. } => {}
        }
        history.operations.push(operation);
    }

    fn request(
        &self,
        node: &NodeAddress,
        call: &Call,
        key: Option<&Arc<str>>,
        projected: bool,
    ) -> RequestBuilder {
        let (method, path, body) = asked(call);
        let timeout = self.options.timeout.as_millis();
        let query = match call.freshness() {
            None if projected => format!("timeoutMs={timeout}"),
            None => format!("ack=applied&timeoutMs={timeout}"),
            Some(Freshness::Linearizable) => {
                format!("consistency=linearizable&timeoutMs={timeout}")
            }
            Some(Freshness::Local { min_index: 0 }) => String::new(),
            Some(Freshness::Local { min_index }) => {
                format!("minIndex={min_index}&timeoutMs={timeout}")
            }
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}/api/v1/metadata{path}{mark}{query}", node.url);
        let mut request = self.http.request(method, url);
        if let Some(key) = key {
            request = request.header("idempotency-key", &**key);
        }
        match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string()),
            None => request,
        }
    }

    /// A request of a broker, which is no operation: its answer, if one came.
    pub(super) async fn post(&self, node: &NodeAddress, path: &str, body: &Value) -> Option<Value> {
        let url = format!("{}/api/v1/metadata{path}", node.url);
        let response = self.http.post(url).json(body).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        response.json().await.ok()
    }
}

impl History {
    fn shared(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        self.texts.insert(Arc::clone(text));
        Arc::clone(text)
    }
}

/// Method, path and body of a call.
fn asked(call: &Call) -> (Method, String, Option<Value>) {
    match call {
        Call::CreateTopic { topic, mark } => (
            Method::POST,
            "/topics".to_owned(),
            Some(
                json!({ "topicName": topic, "assignments": [REPLICAS], "configs": { "retention.ms": mark } }),
            ),
        ),
        Call::DeleteTopic { topic } => (Method::DELETE, format!("/topics/{topic}"), None),
        Call::UpdatePartition {
            topic,
            leader,
            broker_epoch,
            leader_epoch,
            partition_epoch,
            isr,
        } => (
            Method::PATCH,
            format!("/topics/{topic}/partitions/0"),
            Some(json!({
                "brokerId": leader, "brokerEpoch": broker_epoch, "leaderEpoch": leader_epoch,
                "partitionEpoch": partition_epoch, "isr": isr,
            })),
        ),
        Call::ElectLeader { topic, broker } => (
            Method::POST,
            format!("/topics/{topic}/partitions/0/leader"),
            Some(json!({ "brokerId": broker })),
        ),
        Call::RegisterBroker { id, mark } => (
            Method::POST,
            "/brokers".to_owned(),
            Some(json!({ "id": id, "host": "127.0.0.1", "port": 9092, "rack": mark.to_string() })),
        ),
        Call::GetTopic { topic, .. } => (Method::GET, format!("/topics/{topic}"), None),
        Call::ListTopics { prefix, .. } => (
            Method::GET,
            format!("/topics?prefix={prefix}&limit={PAGE}"),
            None,
        ),
        Call::GetBroker { id, .. } => (Method::GET, format!("/brokers/{id}"), None),
    }
}

/// Without a connection nothing was sent. Everything else may have arrived.
fn not_sent_or_unknown(error: &reqwest::Error) -> Outcome {
    if error.is_connect() {
        return Outcome::Refused {
            code: UNREACHABLE.into(),
            detail: "".into(),
            at: None,
        };
    }
    Outcome::Unknown
}

async fn read(response: Response) -> Attempted {
    let status = response.status();
    let number = |name: &str| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()?
            .parse::<u64>()
            .ok()
    };
    let at = number("x-metadata-index").zip(number("x-metadata-term"));
    let controller = number("x-controller-leader").and_then(|id| u32::try_from(id).ok());
    let outcome = match response.text().await {
        Ok(text) => meaning(status, at, &text),
        // The head came and the body did not: whatever was done, was done.
        Err(_) => Outcome::Unknown,
    };
    Attempted {
        outcome,
        controller,
    }
}

/// What an answer says, by the rules of the interface.
fn meaning(status: StatusCode, at: Option<(u64, u64)>, text: &str) -> Outcome {
    let broken = || Outcome::Broken {
        text: format!("{status} {at:?} {text}").into(),
    };
    if status.is_success() {
        return at.map_or_else(broken, |(index, term)| Outcome::Done {
            index,
            term,
            body: text.into(),
        });
    }
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(code) = problem["code"].as_str() else {
        return broken();
    };
    if problem["outcomeUnknown"] == json!(true) {
        return Outcome::Unknown;
    }
    // Beyond the log, only what may pass by itself is refused: the calls are well-formed.
    if at.is_none() && problem["retriable"] != json!(true) {
        return broken();
    }
    let detail = problem["detail"].as_str().unwrap_or_default();
    Outcome::Refused {
        code: code.into(),
        detail: detail.into(),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_without_an_index_and_a_defect_are_broken_answers() {
        let broken = |outcome| matches!(outcome, Outcome::Broken { .. });
        assert!(broken(meaning(StatusCode::OK, None, "{}")));
        let defect = r#"{"code":"INTERNAL","retriable":false,"outcomeUnknown":false}"#;
        assert!(broken(meaning(
            StatusCode::INTERNAL_SERVER_ERROR,
            None,
            defect
        )));
        assert!(broken(meaning(StatusCode::BAD_GATEWAY, None, "<html>")));
    }

    #[test]
    fn refusals_say_where_they_were_decided() {
        let text = r#"{"code":"TOPIC_ALREADY_EXISTS","detail":"d","retriable":false,"outcomeUnknown":false}"#;
        let refused = meaning(StatusCode::CONFLICT, Some((7, 2)), text);
        assert_eq!(
            refused,
            Outcome::Refused {
                code: "TOPIC_ALREADY_EXISTS".into(),
                detail: "d".into(),
                at: Some((7, 2))
            }
        );
        let text = r#"{"code":"OUTCOME_UNKNOWN","retriable":false,"outcomeUnknown":true}"#;
        assert_eq!(
            meaning(StatusCode::GATEWAY_TIMEOUT, None, text),
            Outcome::Unknown
        );
    }
}
