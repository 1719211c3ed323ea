//! One member as a process: a directory that outlives its lives, ports that stay its own.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use super::process::{Process, read_log};
use super::rest::Rest;
use super::wait::wait_until;

/// The server under test: `DMQ_METADATA_BIN`, else the one that was built beside the test program.
pub fn server_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("DMQ_METADATA_BIN") {
        return Ok(path.into());
    }
    let program = std::env::current_exe()?;
    // <target>/<profile>/deps/<test program>
    let folder = program
        .ancestors()
        .nth(2)
        .context("the test program has no folder")?;
    let binary = folder.join("dmq-metadata");
    ensure!(
        binary.exists(),
        "{} is not built; run the tests with `cargo xtask test`",
        binary.display()
    );
    Ok(binary)
}

/// Where a node runs, if not plainly on this machine.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address, for peers and clients.
    pub host: String,
    /// Words before the program that bring it there; the process id stays the same.
    pub entry: Vec<String>,
    /// What its data directory lies in.
    pub volume: PathBuf,
}

/// One node and how it is started.
#[derive(Debug)]
pub struct Node {
    /// Node id.
    pub id: u32,
    /// Its address.
    pub host: String,
    /// REST port.
    pub rest_port: u16,
    /// gRPC port.
    pub peer_port: u16,
    entry: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Process>,
    paused: bool,
}

impl Node {
    /// A node that has never run. `arguments` come behind `serve`.
    pub(super) fn new(
        id: u32,
        rest_port: u16,
        peer_port: u16,
        arguments: Vec<String>,
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("node-{id}.log"));
        Self {
            id,
            host: "127.0.0.1".to_owned(),
            rest_port,
            peer_port,
            entry: Vec::new(),
            arguments,
            environment: Vec::new(),
            log,
            process: None,
            paused: false,
        }
    }

    /// The same node at another place.
    pub(super) fn placed(mut self, place: Option<&Place>) -> Self {
        if let Some(place) = place {
            self.host.clone_from(&place.host);
            self.entry.clone_from(&place.entry);
        }
        self
    }

    /// Starts the process; it need not be ready, or even stay.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "node {} runs already", self.id);
        let mut command = self.program()?;
        command.arg("serve").args(&self.arguments);
        command.envs(self.environment.iter().cloned());
        self.process = Some(Process::start(&mut command, self.log.clone())?);
        self.paused = false;
        Ok(())
    }

    /// Our program where the node runs, still without arguments.
    pub fn program(&self) -> anyhow::Result<Command> {
        let binary = server_binary()?;
        let Some((enter, words)) = self.entry.split_first() else {
            return Ok(Command::new(binary));
        };
        let mut command = Command::new(enter);
        command.args(words).arg(binary);
        Ok(command)
    }

    /// The process id of a node that runs.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running()?.id())
    }

    /// Changes what the next start is given.
    pub fn set(&mut self, key: &str, value: &str) {
        let flag = format!("--{key}=");
        self.arguments
            .retain(|argument| !argument.starts_with(&flag));
        self.arguments.push(format!("{flag}{value}"));
    }

    /// From the next start on it only joins what is there.
    pub(super) fn without_bootstrap(&mut self) {
        self.arguments.retain(|argument| argument != "--bootstrap");
    }

    /// Sets an environment variable of all later starts.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// `true` between a start and an end that the test asked for.
    pub fn is_running(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.take()?;
        process.kill()
    }

    /// SIGTERM, and waits for the orderly end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self.take()?;
        process.signal(Signal::TERM)?;
        process.wait().await
    }

    /// SIGSTOP: the process stands still, its connections stay open.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.running()?.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.paused = false;
        self.running()?.signal(Signal::CONT)
    }

    /// Waits until the process ended by itself, and returns how.
    pub async fn wait_for_end(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self.take()?;
        process.wait().await
    }

    /// Waits until `/readyz` answers 200.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let rest = self.rest()?;
        let id = self.id;
        wait_until(&format!("node {id} is ready"), async || {
            self.check()?;
            let answer = rest.send(reqwest::Method::GET, "/readyz", None, &[]).await;
            Ok(answer.ok().filter(super::Answer::is_success).map(drop))
        })
        .await
    }

    /// Fails if the process ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        if let Some(status) = process.ended()? {
            bail!(
                "node {} ended by itself ({status}):\n{}",
                self.id,
                self.log_tail(30)
            );
        }
        Ok(())
    }

    /// A client of this node.
    pub fn rest(&self) -> anyhow::Result<Rest> {
        Rest::at(&self.host, self.rest_port)
    }

    /// Everything that all lives of the node have written.
    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn running(&self) -> anyhow::Result<&Process> {
        self.process
            .as_ref()
            .with_context(|| format!("node {} does not run", self.id))
    }

    fn take(&mut self) -> anyhow::Result<Process> {
        self.paused = false;
        self.process
            .take()
            .with_context(|| format!("node {} does not run", self.id))
    }
}
