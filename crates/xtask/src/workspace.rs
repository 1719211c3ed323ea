//! Where the checkout is, which packages it has, and how `cargo` is called in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The profile of every test build, so that dependencies are compiled once: optimised, with assertions.
pub(crate) const TEST_PROFILE: &str = "sim";

/// The server's binary and the package that builds it.
pub(crate) const SERVER_BINARY: &str = "dmq-metadata";

/// The root of the checkout: two folders above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Where things lie that are worth keeping between runs: `$DMQ_CACHE_DIR`, or `~/.cache/dmq-metadata`.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DMQ_CACHE_DIR").filter(|value| !value.is_empty()) {
        return std::path::absolute(folder).context("DMQ_CACHE_DIR is not a path");
    }
    let home = std::env::var_os("HOME").context("neither DMQ_CACHE_DIR nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/dmq-metadata"))
}

/// `true` where nobody looks on: what cannot run is then a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// A `cargo` command in the root of the checkout. What `cargo run` told this program about itself is taken out of the
/// environment: build scripts of dependencies read it, and would be run again for every change of it.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os().filter(|(name, _)| describes_this_package(name)) {
        command.env_remove(name);
    }
    command
}

fn describes_this_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The members of the workspace with their dependencies, without the dependency graph of others.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    MetadataCommand::new()
        .current_dir(root())
        .exec()
        .context("cargo metadata failed")
}

/// The folder name of a member: `crates/raft` is `raft`, `tests` is `tests`.
pub(crate) fn folder(package: &Package) -> &str {
    package
        .manifest_path
        .parent()
        .and_then(|folder| folder.file_name())
        .unwrap_or_default()
}

/// Builds the server in `profile` and returns the path of its binary.
pub(crate) fn build_server(profile: &str) -> anyhow::Result<PathBuf> {
    build_server_with(profile, &[])
}

/// The same with its crash points, in a folder of its own.
pub(crate) fn build_server_with_crash_points(profile: &str) -> anyhow::Result<PathBuf> {
    let built = build_server_with(profile, &["--features", "dmq-node/crash-points"])?;
    let folder = built.with_file_name("crash-points");
    std::fs::create_dir_all(&folder)?;
    let kept = folder.join(SERVER_BINARY);
    std::fs::copy(&built, &kept).context("cannot copy the server")?;
    // Nobody may take it for the other one, which the next build puts here again.
    std::fs::remove_file(&built)?;
    Ok(kept)
}

fn build_server_with(profile: &str, more: &[&str]) -> anyhow::Result<PathBuf> {
    // `--workspace` keeps the features of shared dependencies equal to those of the test build.
    let arguments = [
        "build",
        "--workspace",
        "--bin",
        SERVER_BINARY,
        "--profile",
        profile,
    ];
    crate::process::run(cargo(&[&arguments[..], more].concat()))?;
    let folder = metadata()?.target_directory.into_std_path_buf();
    Ok(folder.join(profile).join(SERVER_BINARY))
}
