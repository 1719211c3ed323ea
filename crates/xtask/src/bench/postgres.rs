//! One PostgreSQL server with a database per node, for the column that projects into PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;

use super::server::{Server, free_ports, wait_for};
use crate::{apt, process};

/// A running server; it stops when dropped.
pub(super) struct Postgres {
    server: Server,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Installs PostgreSQL if it is missing, and starts a server below `folder`.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let programs = apt::postgres()?;
        let data = folder.join("postgres");
        let [port] = free_ports::<1>()?;
        open_to_all(folder)?;
        std::fs::create_dir(&data)?;
        give_to_postgres(&data)?;
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.args([
            "--auth=trust",
            "--username=dmq",
            "--locale=C",
            "--encoding=UTF8",
            "-k",
            "-D",
        ]);
        initdb.arg(&data);
        process::output(initdb)?;
        let mut command = unprivileged(&programs.join("postgres"));
        command.arg("-D").arg(&data).args(settings(port));
        let server = Server::start(command, folder.join("postgres.log"))?;
        let mut postgres = Self {
            server,
            programs,
            port,
        };
        postgres.wait_until_up().await?;
        Ok(postgres)
    }

    /// Makes a database and returns its address.
    pub(super) fn create_database(&self, name: &str) -> anyhow::Result<String> {
        self.psql(&format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgres://dmq@127.0.0.1:{}/{name}", self.port))
    }

    /// What it calls itself.
    pub(super) fn version(&self) -> anyhow::Result<String> {
        let mut postgres = Command::new(self.programs.join("postgres"));
        postgres.arg("--version");
        Ok(process::output(postgres)?.trim().to_owned())
    }

    async fn wait_until_up(&mut self) -> anyhow::Result<()> {
        wait_for("PostgreSQL answers", async || {
            self.server.check()?;
            Ok(self.psql("SELECT 1").ok())
        })
        .await
        .map(drop)
    }

    fn psql(&self, statement: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-h",
            "127.0.0.1",
            "-U",
            "dmq",
            "-d",
            "postgres",
            "-c",
            statement,
        ])
        .arg("-p")
        .arg(self.port.to_string());
        process::output(psql)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown: the server's own children would outlive a kill.
        if self.server.signal(Signal::INT).is_ok() {
            let _ = self.server.wait();
        }
    }
}

/// Durable as PostgreSQL is by default; only where it listens differs.
fn settings(port: u16) -> Vec<String> {
    let port = format!("port={port}");
    [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=50",
        &port,
    ]
    .iter()
    .flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()])
    .collect()
}

/// PostgreSQL refuses to run as root.
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

/// The folder of a run is its owner's alone, as temporary folders are; the server has to get through it.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(
        folder,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

fn give_to_postgres(data: &Path) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let mut chown = Command::new("chown");
    chown.arg("postgres:postgres").arg(data);
    process::output(chown)
        .map(drop)
        .context("cannot give the data directory to `postgres`")
}
