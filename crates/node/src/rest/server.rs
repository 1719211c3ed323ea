//! Accepts connections and feeds requests to the router, within limits, until it is told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use dmq_api::status::Code;
use futures::FutureExt;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::error::ApiError;
use super::extract::PeerAddr;
use super::router::Surface;
use super::wire::Wire;

/// Connections at a time; more wait in the listener's queue. 16 KiB each makes 128 MiB at the worst.
const CONNECTIONS_MAX: usize = 8_192;
/// Connections at a time that a node takes even where the system allows it very few open files.
const CONNECTIONS_MIN: usize = 16;
/// Connections at a time on the management port: probes and a scraper must find room whatever clients do.
const MANAGEMENT_CONNECTIONS_MAX: usize = 64;
/// Open files that are kept back for the log, snapshots, database and peers, and for the management port:
/// a log that finds none for its next segment ends the process.
const RESERVED_FILES: u64 = 256;
/// The headers of a request have this long to arrive, and an idle connection lives this long: the HTTP
/// library has one timer for both, which runs from the end of one request to the last header of the next.
/// Clients with a pool would like it longer (those that reuse a connection at its very end see it
/// closed), a server beset by slow senders shorter; the bound on the number of connections holds anyway.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest request target, in bytes.
const URI_BYTES_MAX: usize = 8 * 1024;
/// Names and values of all headers together, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// What the HTTP library may buffer of a head before it gives up: above our own limits, so that these give
/// the answer with a name for what is too large.
const HEAD_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Requests in flight have this long to end after the server was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause after a failed accept (out of file descriptors): trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections `surface` may have open where the process may have so many open files.
pub(super) fn connections_max(surface: Surface, open_files: u64) -> usize {
    if surface == Surface::Management {
        return MANAGEMENT_CONNECTIONS_MAX;
    }
    let left = open_files.saturating_sub(RESERVED_FILES);
    usize::try_from(left)
        .unwrap_or(usize::MAX)
        .clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Serves `router` on `listener`, `places` connections at a time, until `stop` becomes true or its sender is gone; then lets the requests
/// in flight end.
///
/// # Errors
/// Never for a single connection; what is returned is for the listener as a whole.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    places: usize,
    open: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(places));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted?,
            () = told_to(&mut stop) => break,
        };
        let (stream, peer, place) = accepted;
        let (router, open, stop) = (router.clone(), Arc::clone(&open), stop.clone());
        connections.spawn(async move {
            let _counted = Counted::new(open);
            connection(stream, peer, router, stop).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "closing connections with requests in flight"
        );
    }
    Ok(())
}

/// Waits until `stop` is true or can no longer become so.
pub(super) async fn told_to(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Counts one connection for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Ok((stream, peer, place)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |request| answer(router.clone(), peer, request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEAD_BUFFER_BYTES_MAX)
        .writev(false);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Wire::new(stream)), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told_to(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

/// Answers one request. A handler that panics costs its request, never the connection or the process.
async fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if let Err(error) = within_limits(&request) {
        // Whoever sends such a head is not worth a kept connection.
        let close = HeaderValue::from_static("close");
        return Ok(error.with_header("connection", close).into_response());
    }
    request.extensions_mut().insert(PeerAddr(peer));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answering = AssertUnwindSafe(router.oneshot(request.map(Body::new)));
    match answering.catch_unwind().await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(%method, %uri, "a handler panicked");
            let detail = "the server has a defect in handling this request; its log says more";
            Ok(ApiError::new(Code::Internal, detail).into_response())
        }
    }
}

fn within_limits<B>(request: &Request<B>) -> Result<(), ApiError> {
    let uri = request.uri();
    let uri_length = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if uri_length > URI_BYTES_MAX {
        let detail = format!("the URI has {uri_length} bytes, at most {URI_BYTES_MAX} are allowed");
        return Err(ApiError::new(Code::UriTooLong, detail));
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let detail = format!(
            "{} headers of {bytes} bytes; at most {HEADERS_MAX} of {HEADER_BYTES_MAX} are allowed",
            headers.len(),
        );
        return Err(ApiError::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_files_for_the_log() {
        assert_eq!(connections_max(Surface::Full, 1_024), 768);
        assert_eq!(connections_max(Surface::Api, 1 << 20), CONNECTIONS_MAX);
        assert_eq!(connections_max(Surface::Api, u64::MAX), CONNECTIONS_MAX);
        assert_eq!(connections_max(Surface::Full, 64), CONNECTIONS_MIN);
        let management = connections_max(Surface::Management, 1 << 20);
        assert!((management as u64) < RESERVED_FILES);
    }
}
