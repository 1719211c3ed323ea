//! Builds the programs of the images: static, so that an image needs nothing else.
//!
//! Whether a Rust program is linked statically is decided when it is linked. So only the programs themselves are
//! compiled for it, and all their dependencies are those of the test build. The Dockerfile does it the plain way.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use cargo_metadata::{Message, Metadata, TargetKind};

use super::elf;
use crate::workspace::{TEST_PROFILE, cargo, metadata};

/// Programs by name.
pub(super) type Binaries = BTreeMap<String, Vec<u8>>;

/// What cargo calls for members of the workspace.
const WRAPPER: &str = include_str!("rustc-static.sh");

/// How often a build is taken whose program was replaced by another build before it was read.
const ATTEMPTS: usize = 3;

/// Builds those of `names` that the workspace has, in one go and in the tests' profile.
pub(super) fn build(names: &[&str]) -> anyhow::Result<Binaries> {
    let metadata = metadata()?;
    let names: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| has_program(&metadata, name))
        .collect();
    let wrapper = write_wrapper(metadata.target_directory.as_std_path())?;
    let mut attempt = 1;
    loop {
        let binaries = build_once(&names, &wrapper)?;
        match all_static(&binaries) {
            Ok(()) => return Ok(binaries),
            // Another cargo may have put its dynamic program in the same place the moment the lock was free.
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn all_static(binaries: &Binaries) -> anyhow::Result<()> {
    for (name, program) in binaries {
        elf::ensure_static(program).with_context(|| format!("`{name}` cannot go into an image"))?;
    }
    Ok(())
}

fn has_program(metadata: &Metadata, name: &str) -> bool {
    let packages = metadata.workspace_packages();
    let mut targets = packages.iter().flat_map(|package| &package.targets);
    targets.any(|target| target.name == name && target.kind.contains(&TargetKind::Bin))
}

/// The wrapper lies in the target directory, since its path is part of what cargo compares.
fn write_wrapper(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("rustc-static.sh");
    // Written only when it differs: its time of change makes cargo ask the compiler again who it is.
    if std::fs::read_to_string(&path).is_ok_and(|text| text == WRAPPER) {
        return Ok(path);
    }
    std::fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(file.path(), WRAPPER)?;
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o755))?;
    file.persist(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn build_once(names: &[&str], wrapper: &Path) -> anyhow::Result<Binaries> {
    // `--workspace` keeps the features of shared dependencies equal to those of the test build.
    let mut arguments = vec!["build", "--workspace", "--profile", TEST_PROFILE];
    arguments.push("--message-format=json-render-diagnostics");
    arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
    eprintln!("$ cargo {} (linked statically)", arguments.join(" "));
    let output = cargo(&arguments)
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the images' programs do not compile"
    );
    let mut binaries = Binaries::new();
    for message in Message::parse_stream(output.stdout.as_slice()) {
        let Message::CompilerArtifact(artifact) = message? else {
            continue;
        };
        let Some(path) = artifact.executable else {
            continue;
        };
        let program = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        binaries.insert(artifact.target.name, program);
    }
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !binaries.contains_key(**name))
        .collect();
    ensure!(missing.is_empty(), "cargo built no {missing:?}");
    Ok(binaries)
}
