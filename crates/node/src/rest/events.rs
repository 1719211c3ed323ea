//! The node's own view of the quorum as a stream of events: needs no majority.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dmq_api::problem::Problem;
use dmq_api::rest::query::EventsQuery;
use dmq_api::rest::quorum::{EventHistory, QuorumEvent, RecordedEvent};
use dmq_api::status::Code;
use futures::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::ApiError;
use super::extract::Params;
use super::state::App;
use super::{convert, respond};
use crate::handle::NodeStatus;

/// Events that are kept: with 100 bytes each, 25 KiB.
const KEPT_MAX: usize = 256;
/// A silent stream says every second that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Streams at one time: each holds a connection for as long as its reader likes, and needs no token.
const FOLLOWERS_MAX: usize = 256;

type Follower = (watch::Receiver<Option<RecordedEvent>>, OwnedSemaphorePermit);

/// The latest events, and a signal for whoever follows.
#[derive(Debug)]
pub(super) struct EventLog {
    kept: Mutex<Kept>,
    latest: watch::Sender<Option<RecordedEvent>>,
    followers: Arc<Semaphore>,
}

/// What is guarded by one lock, so that no event comes after the end.
#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<RecordedEvent>,
    closed: bool,
}

impl EventLog {
    /// A log that begins with this status.
    pub(super) fn new(status: &NodeStatus) -> Self {
        let log = Self {
            kept: Mutex::default(),
            latest: watch::Sender::new(None),
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        };
        log.record(event_of(status), convert::now_ms());
        log
    }

    /// Records every change of `status` until its sender is gone. Then the streams end.
    pub(super) async fn follow(self: Arc<Self>, mut status: watch::Receiver<Arc<NodeStatus>>) {
        loop {
            let event = event_of(&status.borrow_and_update());
            self.record(event, convert::now_ms());
            if status.changed().await.is_err() {
                break;
            }
        }
    }

    /// Ends all streams: for an orderly stop.
    pub(super) fn close(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.closed = true;
        self.latest.send_replace(None);
    }

    /// Keeps an event that differs from the one before. After the end there are none: a stream that was
    /// slow to see the end would go on.
    fn record(&self, event: QuorumEvent, timestamp: i64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.events.back();
        if kept.closed || last.is_some_and(|last| last.event == event) {
            return;
        }
        let sequence = last.map_or(0, |last| last.sequence) + 1;
        let recorded = RecordedEvent {
            sequence,
            timestamp,
            event,
        };
        if kept.events.len() == KEPT_MAX {
            kept.events.pop_front();
        }
        kept.events.push_back(recorded.clone());
        self.latest.send_replace(Some(recorded));
    }

    /// A receiver of the newest event.
    #[cfg(test)]
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<RecordedEvent>> {
        self.latest.subscribe()
    }

    fn history(&self) -> EventHistory {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        EventHistory {
            events: kept.events.iter().cloned().collect(),
        }
    }

    /// The present event, then every later one. A slow reader misses what was overtaken, never the newest.
    /// `None`: too many follow already.
    fn stream(&self) -> Option<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let place = Arc::clone(&self.followers).try_acquire_owned().ok()?;
        let mut latest = self.latest.subscribe();
        latest.mark_changed();
        let follow = |(mut latest, place): Follower| async move {
            latest.changed().await.ok()?;
            let recorded = latest.borrow_and_update().clone()?;
            Some((Ok(to_sse(&recorded)), (latest, place)))
        };
        Some(futures::stream::unfold((latest, place), follow))
    }
}

fn event_of(status: &NodeStatus) -> QuorumEvent {
    QuorumEvent {
        state: convert::state(status.state),
        term: status.term.0,
        leader_id: status.leader.map(|leader| leader.0),
        membership_index: status.membership_index.0,
        incarnation: status.incarnation.to_string(),
        stopping: status.stopping,
    }
}

fn to_sse(recorded: &RecordedEvent) -> Event {
    // Numbers, texts and flags cannot fail to become JSON.
    let data = serde_json::to_string(recorded).unwrap_or_default();
    Event::default()
        .id(recorded.sequence.to_string())
        .event("quorum")
        .data(data)
}

/// The node's own view of the quorum: the recent history, or with `follow` server-sent events named
/// `quorum` on connect and on change, and a comment every second.
#[utoipa::path(
    get, path = "/api/v1/metadata/quorum/events", tag = "quorum", operation_id = "getQuorumEvents",
    params(EventsQuery),
    responses(
        (status = 200, description = "The history", content(
            (EventHistory = "application/json"),
            (RecordedEvent = "text/event-stream"),
        )),
        (status = 503, description = "Too many streams are open", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn quorum_events(
    State(app): State<App>,
    Params(query): Params<EventsQuery>,
) -> Result<Response, ApiError> {
    if query.follow != Some(true) {
        return respond::json(&app.events.history());
    }
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    let stream = app.events.stream().ok_or_else(|| {
        let text = format!("{FOLLOWERS_MAX} streams of events are open: no more at one time");
        ApiError::new(Code::Overloaded, text)
    })?;
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold back what is news.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::handle::NodeState;

    fn event(term: u64) -> QuorumEvent {
        QuorumEvent {
            state: convert::state(NodeState::Leader),
            term,
            leader_id: Some(1),
            membership_index: 1,
            incarnation: "1".to_owned(),
            stopping: false,
        }
    }

    #[test]
    fn nothing_comes_after_the_end_of_the_log() {
        let log = EventLog {
            kept: Mutex::default(),
            latest: watch::Sender::new(None),
            followers: Arc::new(Semaphore::new(1)),
        };
        log.record(event(1), 1);
        let mut slow = Box::pin(log.stream().unwrap());
        assert!(log.stream().is_none(), "its one place is taken");
        assert!(matches!(slow.next().now_or_never(), Some(Some(Ok(_)))));
        log.close();
        log.record(event(2), 2);
        assert!(matches!(slow.next().now_or_never(), Some(None)));
        assert_eq!(log.history().events.len(), 1);
        drop(slow);
        assert!(
            log.stream().is_some(),
            "a reader that is gone leaves its place"
        );
    }
}
