//! `kubectl` as a library: raw requests of the API, in and out as JSON.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Running;

/// Speaks to one cluster.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    program: PathBuf,
    config: PathBuf,
}

impl Kubectl {
    pub(super) fn of(running: &Running) -> Self {
        Self::new(&running.bin, &running.kubeconfig)
    }

    pub(super) fn new(bin: &Path, kubeconfig: &Path) -> Self {
        Self {
            program: bin.join("kubectl"),
            config: kubeconfig.to_path_buf(),
        }
    }

    /// A command with its arguments, to be run or followed.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("KUBECONFIG", &self.config)
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    /// The answer to a GET of `path`.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let text = self.text(path)?;
        serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))
    }

    /// The answer to a GET of `path` as it came. It takes 10 s at most.
    pub(super) fn text(&self, path: &str) -> anyhow::Result<String> {
        crate::process::output(self.command(&["get", "--request-timeout=10s", "--raw", path]))
    }

    /// POSTs `body` to `path`. Something of that name that is there already is fine.
    pub(super) fn create(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        self.feed(&["create", "--raw", path, "-f", "-"], body)
    }

    /// DELETEs `path`. Something that is gone already is fine.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<()> {
        let output = self.command(&["delete", "--raw", path]).output()?;
        conclude(path, output.status.success(), &output.stderr, "NotFound")
    }

    fn feed(&self, arguments: &[&str], body: &Value) -> anyhow::Result<()> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(body.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let what = arguments.join(" ");
        conclude(
            &what,
            output.status.success(),
            &output.stderr,
            "AlreadyExists",
        )
    }
}

/// An answer that is an error, unless it is the one that says that nothing was left to do.
fn conclude(what: &str, success: bool, stderr: &[u8], harmless: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(stderr);
    if success || text.contains(harmless) {
        return Ok(());
    }
    bail!("kubectl {what}: {}", text.trim())
}
