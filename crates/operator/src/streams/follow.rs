//! Follows the events of one node for as long as its pod lives.

use std::time::Duration;

use dmq_api::rest::quorum::QuorumEvent;
use tokio::time::{Instant, sleep};

use crate::nodes::Nodes;

/// First pause before the node is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A stream that lived this long was a good one.
const STEADY: Duration = Duration::from_secs(5);

/// Follows the node at this address for ever, and calls `changed` after every event that says something new and
/// when a stream is lost. Ends only by being dropped.
pub(super) async fn follow<F: Future<Output = ()>>(
    nodes: &Nodes,
    url: &str,
    changed: impl Fn() -> F,
) {
    let mut last: Option<QuorumEvent> = None;
    let mut pause = PAUSE_MIN;
    loop {
        match nodes.events(url).await {
            Ok(mut stream) => {
                let began = Instant::now();
                while let Ok(Some(recorded)) = stream.next().await {
                    if last.as_ref() != Some(&recorded.event) {
                        tracing::debug!(url, event = ?recorded.event, "a node saw a change");
                        last = Some(recorded.event);
                        changed().await;
                    }
                }
                tracing::debug!(url, "a stream of events was lost");
                // That the node can be heard again is news, even if it says the same.
                last = None;
                changed().await;
                // One that ends as soon as it begins must not be asked for ten times a second.
                if began.elapsed() >= STEADY {
                    pause = PAUSE_MIN;
                }
            }
            Err(error) => tracing::trace!(url, %error, "no stream of events"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
