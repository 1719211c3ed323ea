//! One HTTP/1.1 connection with as little work per request as possible.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A kept-alive connection to a port of the loopback interface.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `X-Metadata-Index` and `X-Metadata-Projected-Index`, where the answer has both.
    pub(super) indexes: Option<(u64, u64)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body of a success as JSON, or what the server said instead.
    pub(super) fn json(&self) -> anyhow::Result<serde_json::Value> {
        let text = String::from_utf8_lossy(&self.body);
        ensure!(self.status.is_success(), "{}: {text}", self.status);
        serde_json::from_slice(&self.body).with_context(|| text.into_owned())
    }
}

impl Connection {
    /// Connects. The connection's own task ends with the connection.
    pub(super) async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(Self {
            sender,
            host: format!("127.0.0.1:{port}"),
        })
    }

    /// Sends one request and reads its whole answer. An empty body is sent without a content type.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let body = body.into();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &self.host);
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let answer = self
            .sender
            .send_request(request.body(Full::new(body))?)
            .await?;
        let status = answer.status();
        let indexes = indexes(answer.headers());
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer {
            status,
            indexes,
            body,
        })
    }
}

fn indexes(headers: &http::HeaderMap) -> Option<(u64, u64)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    Some((
        number("x-metadata-index")?,
        number("x-metadata-projected-index")?,
    ))
}

/// One request on a connection of its own, for set-up and questions.
pub(super) async fn once(
    port: u16,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> anyhow::Result<Answer> {
    Connection::open(port).await?.send(method, path, body).await
}
