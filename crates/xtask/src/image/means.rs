//! What the suite `image` needs: the finished images, and a Docker whose daemon the tests may start for themselves.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};

use crate::apt;

/// Where Debian puts programs for root, which a user's path may lack.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// The variables for the tests, or why they cannot run here.
///
/// - `DMQ_TEST_IMAGES`: a JSON object, reference to path of the archive
/// - `DMQ_TEST_DOCKER`, `DMQ_TEST_DOCKERD`: Docker's client and daemon
pub(crate) fn for_tests() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root may start a Docker daemon and change its root directory"
    );
    if daemon().is_none() {
        apt::install(&["docker.io"]).context("no Docker")?;
    }
    let daemon = daemon().context("no dockerd")?;
    // The client of the daemon's own package comes first: another one on the path may be of another age.
    let client = find(&daemon, "docker").context("no docker")?;
    let images: Map<String, Value> = super::all()?
        .into_iter()
        .map(|archive| {
            let path = archive.path.to_string_lossy().into_owned();
            (archive.reference, Value::String(path))
        })
        .collect();
    Ok(vec![
        ("DMQ_TEST_IMAGES", Value::Object(images).to_string().into()),
        ("DMQ_TEST_DOCKER", client.into()),
        ("DMQ_TEST_DOCKERD", daemon.into()),
    ])
}

fn daemon() -> Option<PathBuf> {
    let system = SYSTEM_FOLDERS.map(|folder| Path::new(folder).join("dockerd"));
    system
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| apt::on_path("dockerd").map(|folder| folder.join("dockerd")))
}

/// `name` beside the daemon, in its `bin` for a daemon in `sbin`, or on the path.
fn find(daemon: &Path, name: &str) -> Option<PathBuf> {
    let beside = daemon.with_file_name(name);
    let above = daemon.parent()?.parent()?.join("bin").join(name);
    [beside, above]
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| apt::on_path(name).map(|folder| folder.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_of_the_daemons_package_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let [bin, sbin] = ["bin", "sbin"].map(|name| root.path().join(name));
        for folder in [&bin, &sbin] {
            std::fs::create_dir(folder).unwrap();
        }
        let daemon = sbin.join("dockerd");
        std::fs::write(bin.join("docker"), "").unwrap();
        assert_eq!(find(&daemon, "docker"), Some(bin.join("docker")));
        std::fs::write(sbin.join("docker"), "").unwrap();
        assert_eq!(find(&daemon, "docker"), Some(sbin.join("docker")));
    }
}
