//! Tests of the builders. The cases lie in `testdata/desired/<case>/`: `cluster.yaml` is what a user applies, the other files
//! are what comes of it, written anew by `UPDATE_GOLDENS=1 cargo test -p dmq-operator`.

mod golden;
mod invalid;
mod latch;
mod rules;
mod sidecar;

use std::path::PathBuf;

use dmq_crd::DmqMetadataCluster;

use crate::settings::Settings;

/// The cases, by the names of their folders.
const CASES: [&str; 6] = [
    "minimal",
    "sqlite",
    "external-postgres",
    "everything",
    "single",
    "five",
];

fn folder(case: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/desired");
    PathBuf::from(root).join(case)
}

fn cluster(case: &str) -> DmqMetadataCluster {
    let text = std::fs::read_to_string(folder(case).join("cluster.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn settings() -> Settings {
    Settings {
        image_repository: "ghcr.io/dmq-io/dmq-metadata".to_owned(),
        postgres_image: "docker.io/library/postgres:15".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        version: "0.1.0".to_owned(),
        operator_namespace: "dmq-system".to_owned(),
    }
}
