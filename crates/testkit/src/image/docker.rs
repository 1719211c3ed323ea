//! A Docker daemon of a test's own: its own data, its own socket, no networks, and nothing left of it afterwards.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::wait_until;

/// A daemon that does not end on request after this time is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Mounts of the daemon end with it, because they are in a namespace of its own. There it meets neither the machine's
/// configuration and containerd, nor leaves its key and its plugins' folder in the places that no option names.
const ALONE: &str = r#"mkdir -p /etc/docker && mount -t tmpfs tmpfs /etc/docker && mount -t tmpfs tmpfs /run && exec "$0" "$@""#;

/// A running daemon; dropping it ends it.
#[derive(Debug)]
pub struct Docker {
    client: PathBuf,
    daemon: Child,
    folder: TempDir,
}

impl Docker {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// The variables `DMQ_TEST_DOCKER` and `DMQ_TEST_DOCKERD` are missing, or the daemon ends or does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let client = program("DMQ_TEST_DOCKER")?;
        let folder = tempfile::tempdir()?;
        let log = File::create(folder.path().join("log"))?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", ALONE])
            .arg(program("DMQ_TEST_DOCKERD")?)
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid"), "--host"])
            .arg(format!("unix://{}", path("socket")))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            // Copies instead of mounts: these images are small, and it works on every file system.
            .arg("--storage-driver=vfs")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let daemon = command.spawn().context("cannot start dockerd")?;
        let mut docker = Self {
            client,
            daemon,
            folder,
        };
        wait_until("the Docker daemon answers", async || docker.answers()).await?;
        Ok(docker)
    }

    fn answers(&mut self) -> anyhow::Result<Option<()>> {
        if let Some(status) = self.daemon.try_wait()? {
            bail!("dockerd ended ({status}):\n{}", self.log());
        }
        Ok(self.run(&["version"]).ok().map(drop))
    }

    /// Runs the client against this daemon and returns what it printed.
    ///
    /// # Errors
    /// The client fails; the error has what it said.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let socket = self.folder.path().join("socket");
        let output = Command::new(&self.client)
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            // Neither somebody's credentials nor their contexts.
            .env("DOCKER_CONFIG", self.folder.path())
            .env_remove("DOCKER_CONTEXT")
            // The builder that leaves stages alone which nothing needs.
            .env("DOCKER_BUILDKIT", "1")
            .env("BUILDKIT_PROGRESS", "plain")
            .stdin(Stdio::null())
            .output()
            .context("cannot start docker")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`docker {}` failed: {said}",
            arguments.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.daemon.id().cast_signed()) {
            // A daemon that has ended already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.daemon.try_wait(), Ok(None)) {
            if asked.elapsed() > STOP_LIMIT {
                let _ = self.daemon.kill();
                let _ = self.daemon.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn program(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable);
    path.map(PathBuf::from)
        .with_context(|| format!("{variable} is not set: run this with `cargo xtask test image`"))
}
