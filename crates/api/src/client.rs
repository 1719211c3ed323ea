//! The typed REST client: finds the controller, follows it, and repeats what may be repeated.

mod calls;
mod error;
mod events;
mod retry;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::error::ClientError;
pub use self::events::{EventStream, SseParser};
use self::retry::{Backoff, Failure, Step};
use crate::problem::Problem;
use crate::rest::{PREFIX, header};

/// A request without a wish has this long, all attempts together.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
/// One attempt has this long: more than a server takes to say that an outcome is unknown.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);
/// A connection is made within this time, or the node counts as gone. What is sent to the address of a pod that
/// was deleted is dropped, not refused: only time tells.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection on which nothing comes is asked for a sign of life this often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// ... and given up after so many without an answer: a request that waits for a node whose machine is gone would
/// otherwise wait for all of [`ATTEMPT_TIMEOUT`].
const KEEPALIVE_RETRIES: u32 = 2;
/// The same where data was sent and not confirmed.
#[cfg(target_os = "linux")]
const UNCONFIRMED_MAX: Duration = Duration::from_secs(3);
/// Idle connections are closed well before the server closes them, after 30 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one quorum. Cheap to share by reference; holds a pool of connections.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    nodes: Vec<String>,
    token: Option<HeaderValue>,
    deadline: Duration,
    controller: Mutex<Option<String>>,
}

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The body.
    pub body: T,
    /// Metadata index that the body shows, or that the write has.
    pub index: Option<u64>,
    /// Term of the entry at that index.
    pub term: Option<u64>,
    /// How far the controller's database was.
    pub projected_index: Option<u64>,
}

/// One request, whatever node it goes to.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
    key: Option<HeaderValue>,
}

impl Client {
    /// A client that begins with these REST addresses, for example `http://localhost:8080`.
    ///
    /// # Errors
    /// [`ClientError::InvalidAddress`] for one that is not `http://host:port`, or if there is none.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(nodes: I) -> Result<Self, ClientError> {
        let nodes: Vec<String> = nodes
            .into_iter()
            .map(|node| address(&node.into()))
            .collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::InvalidAddress("no address given".to_owned()));
        }
        let http = transport().map_err(ClientError::Transport)?;
        let controller = Mutex::default();
        Ok(Self {
            http,
            nodes,
            token: None,
            deadline: DEADLINE_DEFAULT,
            controller,
        })
    }

    /// The same client, with the bearer token of admin routes.
    ///
    /// # Errors
    /// [`ClientError::InvalidToken`] if it cannot be sent in a header.
    pub fn with_token(mut self, token: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| ClientError::InvalidToken)?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(self)
    }

    /// The same client, with another time for each request, all attempts together.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Reads a path below `/api/v1/metadata` from the first node that answers.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, ClientError> {
        let call = Call::new(Method::GET, path, None);
        self.until_deadline(&call, Target::Any)
            .await
            .and_then(Raw::decode)
    }

    /// Sends a request below `/api/v1/metadata` to the controller, wherever that is, until it has an
    /// outcome or time is over. Repeats carry one `Idempotency-Key`, so that it takes effect once.
    pub async fn write<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Answer<T>, ClientError> {
        self.submit(method, path, body).await?.decode()
    }

    async fn submit<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Raw, ClientError> {
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(ClientError::Encode)?;
        let mut call = Call::new(method, path, body.map(Bytes::from));
        call.key = HeaderValue::from_str(&Uuid::new_v4().to_string()).ok();
        self.until_deadline(&call, Target::Controller).await
    }

    /// Asks one node and no other, once.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        node: &str,
        path: &str,
    ) -> Result<Answer<T>, ClientError> {
        let raw = self
            .attempt(node, &Call::new(Method::GET, path, None), ATTEMPT_TIMEOUT)
            .await;
        raw.map_err(Failure::into_error).and_then(Raw::decode)
    }

    /// Attempts until there is an outcome, nothing more to try, or no time left.
    async fn until_deadline(&self, call: &Call, target: Target) -> Result<Raw, ClientError> {
        let ends = Instant::now() + self.deadline;
        let mut backoff = Backoff::new();
        let mut round = 0;
        loop {
            let node = self.choose(target, round);
            let left = ends.saturating_duration_since(Instant::now());
            let failure = match self.attempt(&node, call, left.min(ATTEMPT_TIMEOUT)).await {
                Ok(raw) => return Ok(raw),
                Err(failure) => failure,
            };
            let pause = match retry::next_step(&failure, call.may_repeat()) {
                Step::Stop => return Err(failure.into_error()),
                Step::Follow(leader) => {
                    self.remember(Some(leader));
                    backoff.short()
                }
                Step::Elsewhere => {
                    self.remember(None);
                    round += 1;
                    backoff.longer()
                }
            };
            if Instant::now() + pause >= ends {
                return Err(ClientError::Deadline {
                    last: Box::new(failure.into_error()),
                });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The remembered controller for what needs it, else one node after another.
    fn choose(&self, target: Target, round: usize) -> String {
        let known = self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let in_turn = || {
            self.nodes
                .get(round % self.nodes.len())
                .cloned()
                .unwrap_or_default()
        };
        known
            .filter(|_| target == Target::Controller)
            .unwrap_or_else(in_turn)
    }

    fn remember(&self, controller: Option<String>) {
        *self
            .controller
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = controller;
    }

    async fn attempt(&self, node: &str, call: &Call, time: Duration) -> Result<Raw, Failure> {
        let url = format!("{node}{PREFIX}{}", call.path);
        let mut request = self.http.request(call.method.clone(), url).timeout(time);
        if let Some(body) = &call.body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.clone());
        }
        if let Some(key) = &call.key {
            request = request.header(header::IDEMPOTENCY_KEY, key.clone());
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let response = request.send().await.map_err(Failure::Transport)?;
        if !response.status().is_success() {
            return Err(rejected(response).await);
        }
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(Failure::Transport)?;
        Ok(Raw { headers, body })
    }
}

/// Connections that find out soon when the other end is gone without a word.
fn transport() -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE_INTERVAL)
        .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(KEEPALIVE_RETRIES)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNCONFIRMED_MAX);
    builder.build()
}

/// Which node a request goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Any,
    Controller,
}

impl Call {
    fn new(method: Method, path: &str, body: Option<Bytes>) -> Self {
        Self {
            method,
            path: path.to_owned(),
            body,
            key: None,
        }
    }

    /// Whether it may be sent again when its outcome is unknown.
    fn may_repeat(&self) -> bool {
        self.method == Method::GET || self.key.is_some()
    }
}

struct Raw {
    headers: HeaderMap,
    body: Bytes,
}

impl Raw {
    fn decode<T: DeserializeOwned>(self) -> Result<Answer<T>, ClientError> {
        let body = serde_json::from_slice(&self.body).map_err(ClientError::Decode)?;
        Ok(self.with(body))
    }

    fn without_body(&self) -> Answer<()> {
        self.with(())
    }

    fn with<T>(&self, body: T) -> Answer<T> {
        let number = |name| self.headers.get(name)?.to_str().ok()?.parse().ok();
        Answer {
            body,
            index: number(header::METADATA_INDEX),
            term: number(header::METADATA_TERM),
            projected_index: number(header::METADATA_PROJECTED_INDEX),
        }
    }
}

/// The problem document of an answer; one without is wrapped as it is.
async fn rejected(response: reqwest::Response) -> Failure {
    let status = response.status();
    let Ok(body) = response.bytes().await else {
        return Failure::Foreign(status);
    };
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Failure::Problem(Box::new(problem)),
        Err(_) => Failure::Foreign(status),
    }
}

/// `http://host:port` without a slash at the end.
fn address(text: &str) -> Result<String, ClientError> {
    let trimmed = text.trim_end_matches('/');
    let is_http = trimmed.parse::<http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && uri.path() == "/"
    });
    if is_http {
        Ok(trimmed.to_owned())
    } else {
        Err(ClientError::InvalidAddress(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
