//! Who may use which route: every described route against every kind of caller.

use std::net::SocketAddr;

use axum::body::Body;
use http::Request;
use serde_json::Value;

use super::fake::{Got, Rig};
use super::openapi::filled;
use crate::rest::extract::PeerAddr;
use crate::rest::openapi_json;

/// Every operation, and whether it is described as one for admins.
fn operations() -> Vec<(String, String, bool)> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_admin = operation.pointer("/security/0/adminToken").is_some();
            operations.push((method.to_uppercase(), filled(path), is_admin));
        }
    }
    operations
}

async fn send(rig: &Rig, method: &str, path: &str, peer: &str, token: Option<&str>) -> Got {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .extension(PeerAddr(peer));
    if let Some(token) = token {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    rig.send(builder.body(Body::empty()).unwrap()).await
}

const LOCAL: &str = "127.0.0.1:50000";
const REMOTE: &str = "10.1.2.3:50000";

#[test]
fn the_admin_routes_are_these() {
    let admin: Vec<String> = operations()
        .into_iter()
        .filter(|(_, _, is_admin)| *is_admin)
        .map(|(method, path, _)| {
            format!("{method} {}", path.trim_start_matches("/api/v1/metadata"))
        })
        .collect();
    assert_eq!(
        admin,
        [
            "PUT /features",
            "POST /quorum/leader:transfer",
            "POST /quorum/observers",
            "DELETE /quorum/observers/1",
            "POST /quorum/snapshots",
            "PUT /quorum/voters",
            "POST /quorum:initialize",
        ]
    );
}

#[tokio::test]
async fn without_a_token_file_admin_routes_answer_to_loopback_only() {
    let rig = Rig::new();
    for (method, path, is_admin) in operations() {
        for token in [None, Some("anything")] {
            let local = send(&rig, &method, &path, LOCAL, token).await;
            assert!(
                !matches!(local.status.as_u16(), 401 | 403),
                "{method} {path}: {local:?}"
            );
            let remote = send(&rig, &method, &path, REMOTE, token).await;
            assert_eq!(
                remote.status == 403,
                is_admin,
                "{method} {path}: {remote:?}"
            );
            if is_admin {
                remote.assert_problem(403, "FORBIDDEN");
            }
        }
    }
}

#[tokio::test]
async fn with_a_token_file_admin_routes_want_the_token_from_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let rig = Rig::with_token_file(Some(file));
    for (method, path, is_admin) in operations() {
        for peer in [LOCAL, REMOTE] {
            for token in [None, Some("s3cre"), Some("s3cret2"), Some("S3CRET")] {
                let refused = send(&rig, &method, &path, peer, token).await;
                assert_eq!(
                    refused.status == 401,
                    is_admin,
                    "{method} {path}: {refused:?}"
                );
                if is_admin {
                    refused.assert_problem(401, "UNAUTHENTICATED");
                    let challenge = refused.header("www-authenticate").unwrap();
                    assert!(challenge.starts_with("Bearer"), "{challenge}");
                }
            }
            let admitted = send(&rig, &method, &path, peer, Some("s3cret")).await;
            assert!(
                !matches!(admitted.status.as_u16(), 401 | 403),
                "{method} {path}: {admitted:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_caller_reaches_nothing() {
    let rig = Rig::new();
    for (method, path, is_admin) in operations() {
        if is_admin {
            send(&rig, &method, &path, REMOTE, None)
                .await
                .assert_problem(403, "FORBIDDEN");
        }
    }
    assert_eq!(*rig.member.calls.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn an_admin_writes_under_its_own_name() {
    let rig = Rig::new();
    let set = rig.json("PUT", "/features", r#"{"featureLevel":1}"#).await;
    assert!(set.header("x-metadata-index").is_some(), "{set:?}");
    let proposed = rig.member.proposed.lock().unwrap();
    assert_eq!(
        proposed.last().map(|request| request.principal.to_string()),
        Some("admin".to_owned())
    );
}
