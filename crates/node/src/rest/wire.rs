//! Gives errors that never reach a handler a body. The HTTP library answers a request that it cannot parse
//! by itself, with an empty body; this stream recognises that answer and writes a problem document instead.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use dmq_api::problem::{self, Problem};
use dmq_api::status::Code;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose bare errors become problem documents.
pub(super) struct Wire<S> {
    inner: S,
    /// A document that is being written in place of the library's answer, and how much of it is out.
    document: Option<(Vec<u8>, usize)>,
}

impl<S> Wire<S> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            document: None,
        }
    }
}

/// The answer to send instead of `written`, if that is the library's own.
///
/// Handlers never send an error with an empty body, so this cannot be one of theirs.
fn replacement(written: &[u8]) -> Option<Vec<u8>> {
    let code = match written.get(..12)? {
        b"HTTP/1.1 400" => Code::MalformedRequest,
        b"HTTP/1.1 414" => Code::UriTooLong,
        b"HTTP/1.1 431" => Code::HeadersTooLarge,
        _ => return None,
    };
    let head = std::str::from_utf8(written).ok()?;
    let ends_there = head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1;
    (ends_there && head.contains("\r\ncontent-length: 0\r\n")).then(|| document(code))
}

fn document(code: Code) -> Vec<u8> {
    let row = code.row();
    let detail = match code {
        Code::UriTooLong => "the URI is too long",
        Code::HeadersTooLarge => "the headers are too large, or too many",
        _ => "the request line or a header is not valid HTTP/1.1",
    };
    let body = serde_json::to_string(&Problem::new(code, detail)).unwrap_or_default();
    format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        row.status.as_u16(),
        row.status.canonical_reason().unwrap_or("Error"),
        problem::CONTENT_TYPE,
        body.len(),
    )
    .into_bytes()
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        written: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.document.is_none() {
            match replacement(written) {
                None => return Pin::new(&mut this.inner).poll_write(cx, written),
                Some(document) => this.document = Some((document, 0)),
            }
        }
        while let Some((document, out)) = &mut this.document {
            match document.get(*out..) {
                None | Some([]) => this.document = None,
                Some(rest) => match Pin::new(&mut this.inner).poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) => *out += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        Poll::Ready(Ok(written.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// As the library writes it.
    const BARE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
        content-length: 0\r\ndate: Mon, 23 Nov 2026 04:00:00 GMT\r\n\r\n";

    #[tokio::test]
    async fn a_bare_error_becomes_a_problem_document_even_if_written_in_pieces() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let writer = tokio::spawn(async move {
            let mut wire = Wire::new(ours);
            wire.write_all(BARE).await.unwrap();
            wire.shutdown().await.unwrap();
        });
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        writer.await.unwrap();

        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            "{head}"
        );
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
        let problem: Problem = serde_json::from_str(body).unwrap();
        assert_eq!(problem.code, "HEADERS_TOO_LARGE");
    }

    #[test]
    fn answers_of_handlers_pass() {
        for passing in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 30\r\n\r\nx\r\ncontent-length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(
                replacement(passing),
                None,
                "{}",
                String::from_utf8_lossy(passing)
            );
        }
    }
}
