//! An image as an OCI archive: one layer, its configuration, a manifest and the index that names it, always in the same bytes.
//!
//! containerd (`ctr images import`, `kind load image-archive`) reads `index.json` and takes the name from an annotation;
//! Docker before 25 reads only its own `manifest.json`, so that is there too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, Header};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// How a container of the image is run, in the words of the OCI image configuration.
#[derive(Debug, Default, Clone)]
pub(super) struct Run {
    pub(super) user: String,
    pub(super) environment: Vec<String>,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// Directories that are volumes, whatever a pod mounts.
    pub(super) volumes: Vec<String>,
    /// As in `5432/tcp`.
    pub(super) ports: Vec<String>,
    pub(super) stop_signal: Option<String>,
}

impl Run {
    /// The object `config`, without what is not set.
    fn json(&self) -> Value {
        let set = |names: &[String]| -> Value {
            let pairs = names.iter().map(|name| (name.clone(), json!({})));
            Value::Object(pairs.collect())
        };
        let mut config = serde_json::Map::new();
        let mut put = |key: &str, value: Value, there: bool| {
            if there {
                config.insert(key.to_owned(), value);
            }
        };
        put("User", json!(self.user), !self.user.is_empty());
        put("Env", json!(self.environment), !self.environment.is_empty());
        put("Entrypoint", json!(self.entrypoint), true);
        put("Cmd", json!(self.command), !self.command.is_empty());
        put("Labels", json!(self.labels), !self.labels.is_empty());
        put("Volumes", set(&self.volumes), !self.volumes.is_empty());
        put("ExposedPorts", set(&self.ports), !self.ports.is_empty());
        put(
            "StopSignal",
            json!(self.stop_signal),
            self.stop_signal.is_some(),
        );
        Value::Object(config)
    }
}

/// The archive of an image that is known as `reference` (`registry/repository:tag`).
pub(super) fn archive(reference: &str, run: &Run, layer: &[u8]) -> anyhow::Result<Vec<u8>> {
    let config = config(run, &digest(layer)).to_string().into_bytes();
    let manifest = manifest(&config, layer).to_string().into_bytes();
    let index = index(reference, &manifest).to_string();
    let docker = docker_manifest(reference, &config, layer).to_string();
    let mut files = BTreeMap::new();
    files.insert("index.json".to_owned(), index.as_bytes());
    files.insert("manifest.json".to_owned(), docker.as_bytes());
    files.insert(
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice(),
    );
    for blob in [config.as_slice(), manifest.as_slice(), layer] {
        files.insert(blob_path(blob), blob);
    }
    pack(&files)
}

/// Blobs come first in the order of their names; readers seek by name and do not mind.
fn pack(files: &BTreeMap<String, &[u8]>) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, contents) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(contents.len() as u64);
        builder
            .append_data(&mut header, path, *contents)
            .with_context(|| format!("cannot pack {path}"))?;
    }
    builder.into_inner().context("cannot end the archive")
}

fn config(run: &Run, diff_id: &str) -> Value {
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": run.json(),
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask images" }],
    })
}

fn manifest(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(LAYER, layer)],
    })
}

fn index(reference: &str, manifest: &[u8]) -> Value {
    let mut described = descriptor(MANIFEST, manifest);
    described["platform"] = json!({ "architecture": architecture(), "os": "linux" });
    described["annotations"] = json!({
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": tag(reference),
    });
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] })
}

fn docker_manifest(reference: &str, config: &[u8], layer: &[u8]) -> Value {
    json!([{
        "Config": blob_path(config),
        "RepoTags": [reference],
        "Layers": [blob_path(layer)],
    }])
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

fn blob_path(blob: &[u8]) -> String {
    format!("blobs/sha256/{}", hex(blob))
}

fn digest(blob: &[u8]) -> String {
    format!("sha256:{}", hex(blob))
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// What stands behind the last colon; a port of a registry has a slash behind it.
pub(super) fn tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "latest",
    }
}

/// The platform's name in images, which is not Rust's.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const REFERENCE: &str = "ghcr.io/dmq-io/dmq-metadata:0.1.0";

    fn sample() -> Vec<u8> {
        let run = Run {
            user: "65532:65532".into(),
            entrypoint: vec!["/dmq-metadata".into()],
            ..Run::default()
        };
        archive(REFERENCE, &run, b"a layer").unwrap()
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            files.insert(path, contents);
        }
        files
    }

    fn parse(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
        serde_json::from_slice(&files[path]).unwrap()
    }

    fn follow(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let blob = files[&digest.replace("sha256:", "blobs/sha256/")].clone();
        assert_eq!(super::digest(&blob), digest);
        assert_eq!(descriptor["size"], json!(blob.len()));
        blob
    }

    #[test]
    fn the_index_leads_to_the_layer() {
        let files = files(&sample());
        let index = parse(&files, "index.json");
        let described = &index["manifests"][0];
        assert_eq!(
            described["annotations"]["io.containerd.image.name"],
            REFERENCE
        );
        let manifest: Value = serde_json::from_slice(&follow(&files, described)).unwrap();
        assert_eq!(follow(&files, &manifest["layers"][0]), b"a layer");
        let config: Value = serde_json::from_slice(&follow(&files, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Cmd"], Value::Null);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(b"a layer"));
    }

    #[test]
    fn dockers_manifest_names_the_same_blobs() {
        let files = files(&sample());
        let docker = &parse(&files, "manifest.json")[0];
        assert_eq!(docker["RepoTags"], json!([REFERENCE]));
        assert_eq!(files[docker["Layers"][0].as_str().unwrap()], b"a layer");
        assert!(files.contains_key(docker["Config"].as_str().unwrap()));
    }

    #[test]
    fn the_same_contents_are_the_same_bytes() {
        assert_eq!(sample(), sample());
        let other = archive(REFERENCE, &Run::default(), b"a layer").unwrap();
        assert_ne!(sample(), other);
    }

    #[test]
    fn a_tag_stands_behind_the_last_colon() {
        assert_eq!(tag(REFERENCE), "0.1.0");
        assert_eq!(tag("localhost:5000/x"), "latest");
        assert_eq!(tag("localhost:5000/x:y"), "y");
    }
}
