//! `/livez`, `/readyz` and `/metrics`.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// Whether the process can do its work, and what it waits for.
#[derive(Debug)]
pub struct Readiness {
    ready: AtomicBool,
    waits_for: Mutex<String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            ready: AtomicBool::new(false),
            waits_for: Mutex::new("the start".to_owned()),
        }
    }
}

impl Readiness {
    /// Not ready: it waits for this.
    pub fn wait_for(&self, what: &str) {
        self.ready.store(false, Ordering::Release);
        what.clone_into(
            &mut self
                .waits_for
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Ready: it acts, or stands by.
    pub fn ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn answer(&self) -> (StatusCode, String) {
        if self.is_ready() {
            return (StatusCode::OK, "ok\n".to_owned());
        }
        let waits_for = self
            .waits_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let text = format!("waiting for {waits_for}\n");
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// Begins to answer on this port, over IPv6 and IPv4 where both are there.
pub(super) async fn serve(
    port: u16,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
) -> anyhow::Result<()> {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port)))
            .await
            .with_context(|| format!("--health-port {port}"))?,
    };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes(readiness, metrics)).await {
            tracing::error!(%error, "health and metrics are not served any more");
        }
    });
    Ok(())
}

fn routes(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    let ready = async |State(readiness): State<Arc<Readiness>>| readiness.answer();
    let text = async move || {
        let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(header::CONTENT_TYPE, format)], metrics.text()).into_response()
    };
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(readiness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_what_is_missing() {
        let readiness = Readiness::default();
        readiness.wait_for("the CRD");
        let (status, text) = readiness.answer();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "waiting for the CRD\n");
        readiness.ready();
        assert_eq!(readiness.answer().0, StatusCode::OK);
    }
}
