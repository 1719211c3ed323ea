//! A PostgreSQL server of a test's own: killed, restarted, emptied as the test likes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::ports::free_port;
use super::process::Process;
use super::wait::wait_until;

/// A server with its data in a temporary directory. It stops when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    programs: PathBuf,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    /// A fresh server that answers. Fails where PostgreSQL is not installed: `cargo xtask test` installs it.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("dmq-pg-").tempdir()?;
        give_to_postgres(folder.path())?;
        let mut server = Self {
            process: None,
            programs,
            port: free_port()?,
            folder,
        };
        let mut initdb = unprivileged(&server.programs.join("initdb"));
        initdb.args([
            "--auth=trust",
            "--username=dmq",
            "--locale=C",
            "--encoding=UTF8",
            "-N",
            "-D",
        ]);
        run(initdb.arg(server.data()))?;
        server.restart().await?;
        Ok(server)
    }

    /// Starts the server again, on the same data and port, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "PostgreSQL runs already");
        let port = format!("port={}", self.port);
        let mut command = unprivileged(&self.programs.join("postgres"));
        command.arg("-D").arg(self.data());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            &port,
        ] {
            command.args(["-c", setting]);
        }
        self.process = Some(Process::start(
            &mut command,
            self.folder.path().join("log"),
        )?);
        wait_until("PostgreSQL answers", async || {
            Ok(self.query("postgres", "SELECT 1").ok())
        })
        .await
        .map(drop)
    }

    /// `kill -9` of the server and of everything that it started.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("PostgreSQL does not run")?;
        let children = children_of(process.id());
        process.kill()?;
        for child in children {
            // A child that noticed its parent's death first is gone already.
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        Ok(())
    }

    /// An orderly, fast stop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("PostgreSQL does not run")?;
        process.signal(Signal::INT)?;
        process.wait().await.map(drop)
    }

    /// Makes an empty database and returns its address.
    pub fn create_database(&self, name: &str) -> anyhow::Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// Drops a database under its users and makes it anew, empty.
    pub fn empty_database(&self, name: &str) -> anyhow::Result<()> {
        self.query("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        self.query("postgres", &format!("CREATE DATABASE {name}"))
            .map(drop)
    }

    /// Gives the name of one database to another: what a restore into the wrong place does.
    pub fn replace_database(&self, name: &str, by: &str) -> anyhow::Result<()> {
        self.query("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        self.query("postgres", &format!("CREATE DATABASE {name} TEMPLATE {by}"))
            .map(drop)
    }

    /// The address of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://dmq@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs a statement and returns its rows, one a line, columns split by `|`.
    pub fn query(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-h",
            "127.0.0.1",
            "-U",
            "dmq",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
        ])
        .args([
            "-p",
            &self.port.to_string(),
            "-d",
            database,
            "-c",
            statement,
        ]);
        run(&mut psql)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            let _ = self.kill();
        }
    }
}

/// The folder of `initdb`: named by `DMQ_TEST_POSTGRES_BIN`, else the newest that Debian installed.
fn programs() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DMQ_TEST_POSTGRES_BIN") {
        return Ok(folder.into());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .max()
        .context("PostgreSQL is not installed; `cargo xtask test` installs it")
}

/// PostgreSQL refuses to run as root; Debian's package made a user for it.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(program).current_dir("/");
    command
}

fn give_to_postgres(folder: &Path) -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(folder))?;
    }
    Ok(())
}

fn children_of(parent: u32) -> Vec<rustix::process::Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let ids = text.split_whitespace().filter_map(|id| id.parse().ok());
    ids.filter_map(rustix::process::Pid::from_raw).collect()
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
