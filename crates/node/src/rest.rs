//! The REST interface of a node (DESIGN section 7).
//!
//! Reading order: `router` (which route leads where), one file per group of routes (`topics`, `partitions`,
//! `brokers`, `controller`, `cluster`, `quorum`, `events`, `probes`, `features`, `health`), `submit` (what
//! all writes share), `extract`, `body` and `json` (what is taken from a request), `respond`, `large` and
//! `error` (what leaves), `server` and `wire` (connections).

mod body;
mod brokers;
mod cluster;
mod confirm;
mod controller;
mod convert;
mod error;
mod events;
mod extract;
mod features;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod json;
mod large;
mod membership;
mod partitions;
mod probes;
mod quorum;
mod respond;
mod router;
mod server;
mod state;
mod submit;
mod topics;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use self::router::Surface;
use self::state::App;
use crate::auth::AdminAuth;
use crate::handle::Handle;
use crate::metrics::Metrics;

/// The REST interface of one member; serves any number of listeners.
#[derive(Clone)]
pub struct Rest {
    app: App,
    connections: Arc<AtomicUsize>,
}

impl Rest {
    /// An interface to `handle`. `admin_token_file`: see [`AdminAuth::new`].
    ///
    /// Must be called within a tokio runtime: a task records the quorum's events until the sender of the
    /// status is gone.
    pub fn new(handle: Handle, metrics: Arc<Metrics>, admin_token_file: Option<PathBuf>) -> Self {
        let events = Arc::new(events::EventLog::new(&handle.status()));
        tokio::spawn(Arc::clone(&events).follow(handle.watch_status()));
        let auth = Arc::new(AdminAuth::new(admin_token_file));
        Self {
            app: App {
                handle,
                auth,
                events,
                metrics,
            },
            connections: Arc::default(),
        }
    }

    /// Connections that are open at the moment, on all listeners.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Serves the routes of `surface` on `listener` until `stop` becomes true or its sender is gone. Event
    /// streams end then, and other requests in flight have 3 s.
    ///
    /// # Errors
    /// When the listener cannot be used at all; errors of single connections are logged.
    pub async fn serve(
        &self,
        listener: TcpListener,
        surface: Surface,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let closing = {
            let (events, mut stop) = (Arc::clone(&self.app.events), stop.clone());
            async move {
                server::told_to(&mut stop).await;
                events.close();
                std::future::pending::<io::Result<()>>().await
            }
        };
        let router = router::router(self.app.clone(), surface);
        let places = server::connections_max(surface, crate::limits::open_files());
        let open = Arc::clone(&self.connections);
        let serving = server::serve(listener, router, places, open, stop);
        tokio::select! {
            ended = serving => ended,
            never = closing => never,
        }
    }
}

/// The `OpenAPI` document of all routes, as it is served and committed.
pub fn openapi_json() -> String {
    // The document is built of plain values, which cannot fail to become JSON.
    let mut text = router::document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
