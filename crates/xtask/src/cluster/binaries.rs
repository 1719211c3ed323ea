//! The programs of Kubernetes, built once from the modules that `tests/cluster/go.mod` names, and kept.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::layout;
use crate::{apt, process, workspace};

/// A program and the package that it is built from.
type Program = (&'static str, &'static str);

/// What a local cluster runs on, in the order of `go.mod`.
pub(super) const ALL: [Program; 9] = [
    ("coredns", "github.com/coredns/coredns"),
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("helm", "helm.sh/helm/v3/cmd/helm"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
];

/// What a person and the tests need on any cluster.
pub(super) const CLIENTS: [&str; 2] = ["kubectl", "helm"];

/// The folder that holds the named programs, after building those that are missing.
pub(super) fn provide(wanted: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    if missing(wanted, &folder).is_empty() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Another process may be building the same; then there is nothing left to do.
    let turn = fs::File::open(&folder)?;
    turn.lock()?;
    let missing = missing(wanted, &folder);
    if !missing.is_empty() {
        build(&missing, &folder)?;
    }
    Ok(folder)
}

fn missing(wanted: &[&str], folder: &Path) -> Vec<Program> {
    let absent = |name: &str| wanted.contains(&name) && !folder.join(name).is_file();
    ALL.into_iter().filter(|(name, _)| absent(name)).collect()
}

/// A program that is built already.
pub(super) fn built(name: &str) -> Option<PathBuf> {
    let program = folder().ok()?.join(name);
    program.is_file().then_some(program)
}

/// All programs of a local cluster.
pub(super) fn provide_all() -> anyhow::Result<PathBuf> {
    provide(&ALL.map(|(name, _)| name))
}

/// One folder for each set of versions.
fn folder() -> anyhow::Result<PathBuf> {
    let sums = module().join("go.sum");
    let bytes = fs::read(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    let digest = Sha256::digest(&bytes);
    let key = layout::hex(&digest[..8]);
    Ok(workspace::cache()?.join("cluster").join(key))
}

fn module() -> PathBuf {
    workspace::root().join("tests/cluster")
}

/// Builds into a folder beside and moves what is done, so that a build that was ended leaves no half program.
fn build(missing: &[Program], folder: &Path) -> anyhow::Result<()> {
    let modules = fs::read_to_string(module().join("go.mod")).context("tests/cluster/go.mod")?;
    let go = go(&modules)?;
    let building = folder.join(".building");
    fs::create_dir_all(&building).with_context(|| format!("cannot make {}", building.display()))?;
    process::say(&format!(
        "building {} programs of Kubernetes into {}; all nine take about 11 minutes on two cores",
        missing.len(),
        folder.display()
    ));
    let mut command = Command::new(go);
    command
        .args(["install", "-trimpath", "-ldflags", &link_flags(&modules)])
        .args(missing.iter().map(|(_, package)| package))
        .current_dir(module())
        .env("GOFLAGS", "-mod=readonly")
        .env("GOBIN", &building);
    process::run(command).context("the programs of Kubernetes could not be built")?;
    for (name, package) in missing {
        let built = built_as(name, package)
            .into_iter()
            .map(|candidate| building.join(candidate))
            .find(|path| path.is_file())
            .with_context(|| format!("`go install {package}` left no program"))?;
        fs::rename(built, folder.join(name))?;
    }
    fs::remove_dir_all(&building).context("cannot remove the build folder")
}

/// The names that `go install` may give a program; it depends on the Go version for packages that end in `/v3`.
fn built_as<'a>(name: &'a str, package: &'a str) -> Vec<&'a str> {
    let mut names = vec![name];
    names.extend(package.rsplit('/').take(2));
    names
}

/// Without these, the API server and Helm would not know their own versions.
fn link_flags(modules: &str) -> String {
    let mut flags = "-s -w".to_owned();
    let variables = [
        (
            "k8s.io/kubernetes",
            "k8s.io/component-base/version.gitVersion",
        ),
        (
            "helm.sh/helm/v3",
            "helm.sh/helm/v3/internal/version.version",
        ),
    ];
    for (module, variable) in variables {
        if let Some(version) = version_of(modules, module) {
            let _ = write!(flags, " -X {variable}={version}");
        }
    }
    flags
}

/// The version that a `go.mod` requires of a module.
fn version_of<'a>(modules: &'a str, module: &str) -> Option<&'a str> {
    modules.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        line.strip_prefix(module)?
            .strip_prefix(' ')?
            .split_whitespace()
            .next()
            .filter(|version| version.starts_with('v'))
    })
}

/// A Go command that can build the modules. Debian's is tried if there is none at all.
fn go(modules: &str) -> anyhow::Result<PathBuf> {
    let (major, minor) = go_version(modules).context("tests/cluster/go.mod names no Go")?;
    let wanted = format!(
        "the programs of Kubernetes are built from their published modules, which takes Go {major}.{minor} or newer \
         (https://go.dev/dl) as `go` on PATH"
    );
    let mut candidates = go_commands();
    if candidates.is_empty() {
        apt::install(&["golang-go"]).with_context(|| format!("no Go: {wanted}; tried Debian's"))?;
        candidates = go_commands();
    }
    let mut too_old = Vec::new();
    for go in candidates {
        let version = version_of_go(&go)?;
        if new_enough(&version, (major, minor)) {
            return Ok(go);
        }
        too_old.push(format!("{} is {version}", go.display()));
    }
    bail!(
        "no Go that is new enough ({}): {wanted}",
        too_old.join(", ")
    )
}

/// Those on `PATH` and in the place of Go's own archive.
fn go_commands() -> Vec<PathBuf> {
    let usual = PathBuf::from("/usr/local/go/bin");
    let folders = apt::on_path("go").into_iter().chain([usual]);
    let mut commands: Vec<PathBuf> = folders.map(|folder| folder.join("go")).collect();
    commands.dedup();
    commands.retain(|command| command.is_file());
    commands
}

/// Its own version, such as `go1.24.4`: asked outside of any module, since an old one fails on a new module file.
fn version_of_go(go: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(go);
    command
        .args(["env", "GOVERSION"])
        .current_dir("/")
        .env("GOTOOLCHAIN", "local");
    Ok(process::output(command)?.trim().to_owned())
}

/// Go 1.21 and newer fetch the version that a module asks for by themselves, unless they are told not to; what then
/// goes wrong they say well.
fn new_enough(version: &str, wanted: (u32, u32)) -> bool {
    let fetches = (1, 21);
    numbers(
        version
            .trim_start_matches("devel ")
            .trim_start_matches("go"),
    )
    .is_some_and(|found| found >= wanted.min(fetches))
}

/// The version that a `go.mod` asks for.
fn go_version(modules: &str) -> Option<(u32, u32)> {
    let line = modules.lines().find_map(|line| line.strip_prefix("go "))?;
    numbers(line.trim())
}

/// The first two numbers of `1.24.0` or `1.25rc1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "require (\n\tk8s.io/kubernetes v1.34.4 // indirect\n\thelm.sh/helm/v3 v3.19.0\n)\n\
        replace k8s.io/api => k8s.io/api v0.34.4\n";

    #[test]
    fn versions_come_from_the_module_file() {
        assert_eq!(version_of(MODULES, "k8s.io/kubernetes"), Some("v1.34.4"));
        assert_eq!(version_of(MODULES, "k8s.io/api"), None);
        assert_eq!(
            link_flags(MODULES),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
             -X helm.sh/helm/v3/internal/version.version=v3.19.0"
        );
    }

    #[test]
    fn a_go_that_is_too_old_is_known_by_its_version() {
        let modules = fs::read_to_string(module().join("go.mod")).unwrap();
        let wanted = go_version(&modules).unwrap();
        assert!(wanted >= (1, 24));
        assert!(!new_enough("go1.19.8", wanted));
        assert!(!new_enough("nonsense", wanted));
        // It fetches what the module asks for.
        assert!(new_enough("go1.22.2", wanted));
        assert!(new_enough("go1.25rc1", wanted));
        assert!(new_enough("devel go1.26-abcdef", wanted));
        assert!(!new_enough("go1.18", (1, 20)) && new_enough("go1.20.1", (1, 20)));
    }

    #[test]
    fn every_program_is_a_tool_of_the_module_file() {
        let modules = fs::read_to_string(module().join("go.mod")).unwrap();
        for (name, package) in ALL {
            assert!(
                modules.contains(&format!("\t{package}\n")),
                "{name}: {package}"
            );
        }
    }

    #[test]
    fn etcd_is_found_under_the_names_that_go_gives_it() {
        let names = built_as("etcd", "go.etcd.io/etcd/server/v3");
        assert_eq!(names, ["etcd", "v3", "server"]);
    }
}
