//! The description of the interface against the routes that are mounted, both ways, and against the
//! committed copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::body::Body;
use http::Request;
use serde_json::Value;

use super::fake::Rig;
use crate::rest::openapi_json;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Paths and their methods, as the description says.
pub(super) fn described() -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// A path template with numbers for its parameters.
pub(super) fn filled(template: &str) -> String {
    template
        .split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_described_method_is_mounted_and_no_other() {
    let rig = Rig::new();
    for (template, described) in described() {
        for method in METHODS {
            let request = Request::builder().method(method).uri(filled(&template));
            let got = rig.send(request.body(Body::empty()).unwrap()).await;
            let is_mounted = got.status != 405 && !got.text.contains("\"NOT_FOUND\"");
            assert_eq!(
                is_mounted,
                described.contains(method),
                "{method} {template}: {got:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_allow_header_of_every_path_is_what_is_described() {
    let rig = Rig::new();
    for (template, mut described) in described() {
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        let request = Request::builder().method("TRACE").uri(filled(&template));
        let got = rig.send(request.body(Body::empty()).unwrap()).await;
        let allowed: BTreeSet<String> = got
            .header("allow")
            .unwrap()
            .split(',')
            .map(str::to_owned)
            .collect();
        assert_eq!(allowed, described, "{template}");
    }
}

/// The other way round: what the issue of this interface promises is described, name by name.
#[test]
fn nothing_that_was_promised_is_missing() {
    let promised = [
        "GET /api/v1/metadata/controller",
        "POST /api/v1/metadata/topics",
        "GET /api/v1/metadata/topics",
        "GET /api/v1/metadata/topics/{topic}",
        "DELETE /api/v1/metadata/topics/{topic}",
        "GET /api/v1/metadata/topics/{topic}/partitions/{partition}",
        "PATCH /api/v1/metadata/topics/{topic}/partitions/{partition}",
        "POST /api/v1/metadata/topics/{topic}/partitions/{partition}/leader",
        "POST /api/v1/metadata/brokers",
        "GET /api/v1/metadata/brokers",
        "GET /api/v1/metadata/brokers/{id}",
        "POST /api/v1/metadata/brokers/{id}/heartbeat",
        "POST /api/v1/metadata/heartbeat/{id}",
        "GET /api/v1/metadata/cluster",
        "GET /api/v1/metadata/quorum",
        "POST /api/v1/metadata/quorum:initialize",
        "POST /api/v1/metadata/quorum/leader:transfer",
        "PUT /api/v1/metadata/quorum/voters",
        "POST /api/v1/metadata/quorum/observers",
        "DELETE /api/v1/metadata/quorum/observers/{id}",
        "GET /api/v1/metadata/quorum/events",
        "GET /api/v1/metadata/quorum/snapshots",
        "POST /api/v1/metadata/quorum/snapshots",
        "GET /api/v1/metadata/quorum/probe/pre-restart",
        "GET /api/v1/metadata/quorum/probe/post-restart",
        "GET /api/v1/metadata/features",
        "PUT /api/v1/metadata/features",
        "GET /api/v1/metadata/state-hash",
        "GET /openapi.json",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
    ];
    let described: BTreeSet<String> = described()
        .into_iter()
        .flat_map(|(path, methods)| {
            methods
                .into_iter()
                .map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(
        described,
        promised.iter().map(|&route| route.to_owned()).collect()
    );
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let served = Rig::new().get("//openapi.json").await;
    assert_eq!(
        (served.status.as_u16(), &served.text),
        (200, &openapi_json())
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/openapi.json");
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(
        committed == served.text,
        "{} differs from the routes; write it with `cargo xtask openapi --write`",
        file.display(),
    );
}

#[test]
fn references_lead_somewhere_and_every_error_is_a_problem() {
    let text = openapi_json();
    let document: Value = serde_json::from_str(&text).unwrap();
    for reference in text
        .split("\"$ref\": \"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_problem = response
                    .pointer("/content/application~1problem+json")
                    .is_some();
                assert_eq!(
                    !status.starts_with('2'),
                    is_problem,
                    "{method} {path} {status}"
                );
            }
        }
    }
}
