//! A run has namespaces of its own for network, mounts and processes: nothing of it touches the machine's, and all of it ends
//! with it, however it ends.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, ensure};

/// Tells the inner program where everything of the run lies.
const FOLDER: &str = "DMQ_CHAOS_FOLDER";

/// The folder of the run, if this program is the inner one.
pub(super) fn inside() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs this program again, with the same arguments, as the first process of new namespaces. It dies with this one. The folder of a
/// run that failed is kept, and its path is the last line; `DMQ_TEST_KEEP` keeps any.
pub(super) fn run_inside() -> anyhow::Result<ExitStatus> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "namespaces, nftables and mounts need root"
    );
    let folder = tempfile::Builder::new().prefix("dmq-chaos-").tempdir()?;
    // PostgreSQL runs as another user and must pass through.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    let ended = command(folder.path())?
        .status()
        .context("cannot start setpriv and unshare of util-linux")?;
    if !ended.success() || std::env::var_os("DMQ_TEST_KEEP").is_some() {
        let kept = folder.keep();
        super::report::say(&format!("logs, data and history: {}", kept.display()));
    }
    Ok(ended)
}

fn command(folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "unshare"])
        .args(["--net", "--mount", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(FOLDER, folder)
        .env("TMPDIR", folder)
        // The whole folder goes at the end, unless somebody wants to look into it.
        .env("DMQ_TEST_KEEP", "1");
    Ok(command)
}
