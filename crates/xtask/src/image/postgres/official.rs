//! The official PostgreSQL image, for machines that reach a registry and have other packages than the image needs.

use std::process::Command;

use anyhow::Context as _;

use super::super::Archive;
use super::super::store::Store;
use crate::process;

/// Pulls the image with Docker, if it is not there, and keeps it as an archive.
pub(super) fn archive(store: &Store, reference: &str) -> anyhow::Result<Archive> {
    if identity(reference).is_err() {
        process::output(docker(&["pull", "--quiet", reference]))
            .with_context(|| format!("cannot pull {reference}"))?;
    }
    let id = identity(reference)?;
    let key = id.trim_start_matches("sha256:").to_owned();
    if let Some(archive) = store.find(reference, &key) {
        return Ok(archive);
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("image.tar");
    let path = file.to_string_lossy();
    process::output(docker(&["save", "--output", &path, reference]))?;
    store.write(reference, &key, &std::fs::read(&file)?)
}

fn identity(reference: &str) -> anyhow::Result<String> {
    let arguments = ["image", "inspect", "--format", "{{.Id}}", reference];
    let id = process::output(docker(&arguments))?;
    Ok(id.trim().to_owned())
}

fn docker(arguments: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(arguments);
    docker
}
