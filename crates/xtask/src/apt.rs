//! Installs Debian packages that a suite or a benchmark needs, where we may.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::process;

/// Installs `packages` without questions. Fails with the reason where that is not possible.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    update()?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    process::run(apt_get(&arguments)?)
}

/// Brings the package lists up to date.
pub(crate) fn update() -> anyhow::Result<()> {
    process::run(apt_get(&["update", "-qq"])?)
}

/// The folder of PostgreSQL's server programs, installed first if it is missing.
pub(crate) fn postgres() -> anyhow::Result<PathBuf> {
    if let Some(folder) = find_postgres() {
        return Ok(folder);
    }
    forbid_default_cluster()?;
    install(&["postgresql"])?;
    find_postgres().ok_or_else(|| anyhow::anyhow!("`postgresql` is installed, but has no `initdb`"))
}

/// The newest `/usr/lib/postgresql/<major>/bin`, or the folder of an `initdb` on the path.
fn find_postgres() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = installed
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    newest
        .map(|(_, folder)| folder)
        .or_else(|| on_path("initdb"))
}

/// The folder on `PATH` that holds `program`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join(program).is_file())
}

/// Debian's package creates and starts a server of its own unless it is told not to; the tests start theirs.
fn forbid_default_cluster() -> anyhow::Result<()> {
    let script = "f=/etc/postgresql-common/createcluster.conf; mkdir -p ${f%/*}; \
                  [ -e $f ] || echo 'create_main_cluster = false' > $f";
    process::run(privileged(&["sh", "-c", script])?)
}

/// What must stand before a command that needs root: nothing, `sudo -n`, or no way.
fn privilege() -> Option<&'static [&'static str]> {
    on_path("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]);
    process::output(sudo)
        .is_ok()
        .then_some(["sudo", "-n"].as_slice())
}

/// `RUNLEVEL=1` keeps the packages' services from being started.
fn apt_get(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut words = vec![
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "RUNLEVEL=1",
        "apt-get",
    ];
    words.extend(arguments);
    privileged(&words)
}

fn privileged(words: &[&str]) -> anyhow::Result<Command> {
    let Some(prefix) = privilege() else {
        bail!("this user may not install packages (no apt-get, or neither root nor sudo)");
    };
    let mut words = prefix.iter().chain(words);
    let mut command = Command::new(words.next().context("an empty command")?);
    command.args(words);
    Ok(command)
}
