//! What a local cluster asks of the machine: root, namespaces, control groups and a few Debian packages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::apt;

/// A program that the cluster runs, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 8] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("openssl", "openssl"),
    ("nsenter", "util-linux"),
];

/// Where distributions put the CNI plugins.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// Folders that a node sees as its own; a cluster's files must not lie below them.
pub(super) const NODE_FOLDERS: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// Fails with the reason where no local cluster can run; installs what is missing.
pub(super) fn prepare(run: &Path) -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a local cluster needs root for its namespaces and containers; run it as root, or with `--provider kind`"
    );
    if let Some(folder) = NODE_FOLDERS.iter().find(|folder| run.starts_with(folder)) {
        bail!(
            "{} lies below {folder}, which each node has for itself: set DMQ_CACHE_DIR to another folder",
            run.display()
        );
    }
    install_missing()
}

fn install_missing() -> anyhow::Result<()> {
    let packages = missing(&|program| find(program).is_some(), plugins().is_some());
    if packages.is_empty() {
        return Ok(());
    }
    apt::install(&packages)
        .with_context(|| format!("the cluster needs {}", packages.join(", ")))?;
    let left = missing(&|program| find(program).is_some(), plugins().is_some());
    ensure!(
        left.is_empty(),
        "installed, but still missing: {}",
        left.join(", ")
    );
    Ok(())
}

/// The packages whose programs are not there, each once.
fn missing(has: &dyn Fn(&str) -> bool, has_plugins: bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !has(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    if !has_plugins {
        packages.push("containernetworking-plugins");
    }
    packages
}

/// A program on `PATH` or where Debian keeps those for root.
fn find(program: &str) -> Option<PathBuf> {
    search_path()
        .iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// `PATH` with the folders for root, which a user's shell may lack.
pub(super) fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for folder in ["/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !folders.iter().any(|known| known == Path::new(folder)) {
            folders.push(folder.into());
        }
    }
    folders
}

/// The folder of the CNI plugins.
pub(super) fn plugins() -> Option<&'static str> {
    PLUGIN_FOLDERS
        .into_iter()
        .find(|folder| Path::new(folder).join("ptp").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once_and_only_if_something_of_it_is_missing() {
        assert!(missing(&|_| true, true).is_empty());
        let bare = missing(&|_| false, false);
        assert_eq!(bare.iter().filter(|name| **name == "containerd").count(), 1);
        assert!(bare.contains(&"containernetworking-plugins"));
        assert_eq!(missing(&|program| program != "ip", true), ["iproute2"]);
    }
}
