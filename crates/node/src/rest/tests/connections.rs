//! Limits and manners of the server, over real connections.

use dmq_api::problem::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::events::served;
use super::fake::Rig;
use crate::handle::RequestError;

/// Sends raw bytes and takes the whole answer apart: status and problem document.
async fn raw(url: &str, bytes: &[u8]) -> (u16, Problem) {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{text}"));
    assert!(head.contains("application/problem+json"), "{text}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")),
    )
}

#[tokio::test]
async fn what_the_http_library_refuses_is_a_problem_document_too() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let one_huge_header = format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let many_headers = format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(150)
    );
    let huge_target = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(60_000));
    for (bytes, status, code) in [
        ("NOT HTTP\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (
            "GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
            400,
            "MALFORMED_REQUEST",
        ),
        (one_huge_header.as_str(), 431, "HEADERS_TOO_LARGE"),
        (many_headers.as_str(), 431, "HEADERS_TOO_LARGE"),
        (huge_target.as_str(), 414, "URI_TOO_LONG"),
    ] {
        let (got, problem) = raw(&url, bytes.as_bytes()).await;
        assert_eq!(
            (got, problem.code.as_str()),
            (status, code),
            "{}",
            &bytes[..20]
        );
    }
}

#[tokio::test]
async fn our_own_limits_are_below_those_of_the_library() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let close = "host: a\r\nconnection: close\r\n";
    let headers = |count: usize| {
        let rest = "x: y\r\n".repeat(count);
        format!("GET /nope HTTP/1.1\r\n{close}{rest}\r\n")
    };
    let header = |bytes: usize| {
        format!(
            "GET /nope HTTP/1.1\r\n{close}x: {}\r\n\r\n",
            "y".repeat(bytes)
        )
    };
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\n{close}\r\n", "x".repeat(bytes - 1));
    for (bytes, status, code) in [
        (target(8 * 1024), 404, "NOT_FOUND"),
        (target(8 * 1024 + 1), 414, "URI_TOO_LONG"),
        (headers(62), 404, "NOT_FOUND"),
        (headers(63), 431, "HEADERS_TOO_LARGE"),
        (header(16_000), 404, "NOT_FOUND"),
        (header(16 * 1024), 431, "HEADERS_TOO_LARGE"),
    ] {
        let (got, problem) = raw(&url, bytes.as_bytes()).await;
        assert_eq!(
            (got, problem.code.as_str()),
            (status, code),
            "{}",
            &bytes[..20]
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_gets_its_answer_however_it_is_sent() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let client = reqwest::Client::new();
    let to = format!("{url}/api/v1/metadata/topics");
    let body = vec![b' '; 3 * 1024 * 1024];
    let announced = client
        .post(&to)
        .header("content-type", "application/json")
        .body(body.clone());
    let pieces = futures::stream::iter(
        body.chunks(64 * 1024)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect::<Vec<_>>(),
    );
    let chunked = client
        .post(&to)
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(pieces));
    for request in [announced, chunked] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 413);
        let problem: Problem = answer.json().await.unwrap();
        assert_eq!(problem.code, "BODY_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_panic_costs_one_request_and_no_connection() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    rig.member.refuse(|| -> RequestError { panic!("a defect") });
    let client = reqwest::Client::new();
    let answer = client
        .get(format!("{url}/api/v1/metadata/brokers"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 500);
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.retriable),
        ("INTERNAL", false)
    );
    let next = client.get(format!("{url}/readyz")).send().await.unwrap();
    assert_eq!((next.status().as_u16(), rig.rest.connections()), (200, 1));
}

#[tokio::test]
async fn a_java_client_that_offers_http2_is_answered_in_http1() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let offer = "GET /api/v1/metadata/nope HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings, close\r\n\
        upgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\n";
    let (status, problem) = raw(&url, offer.as_bytes()).await;
    assert_eq!((status, problem.code.as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn a_head_request_is_a_get_without_its_body() {
    let rig = Rig::new();
    let (url, _stop) = served(&rig).await;
    let answer = reqwest::Client::new()
        .head(format!("{url}/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stopped_server_takes_no_connection_and_ends_what_is_open() {
    let rig = Rig::new();
    let (url, stop) = served(&rig).await;
    let client = reqwest::Client::new();
    assert_eq!(
        client
            .get(format!("{url}/livez"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    stop.send_replace(true);
    while rig.rest.connections() > 0 {
        tokio::task::yield_now().await;
    }
    while TcpStream::connect(url.trim_start_matches("http://"))
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
}
