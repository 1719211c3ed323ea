//! A PostgreSQL server of a test's own: killed, restarted, emptied as the test likes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use dmq_store::local_postgres::PostgresServer;

/// A server with its data in a temporary directory. It stops when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    server: PostgresServer,
}

impl Postgres {
    /// A fresh server that answers. Fails where PostgreSQL is not installed: `cargo xtask test` installs it.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            server: PostgresServer::start().await?,
        })
    }

    /// Starts the server again, on the same data and port, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let before = self.server.port();
        self.server.restart().await?;
        ensure!(
            self.server.port() == before,
            "another program took port {before}"
        );
        Ok(())
    }

    /// `kill -9` of the server and of everything that it started.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.server.kill().await?)
    }

    /// The server and its sessions stand still, until they are resumed.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// They go on.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// An orderly, fast stop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.server.stop().await?)
    }

    /// Makes an empty database and returns its address.
    pub fn create_database(&self, name: &str) -> anyhow::Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.server.url(name))
    }

    /// Drops a database under its users and makes it anew, empty.
    pub fn empty_database(&self, name: &str) -> anyhow::Result<()> {
        self.query("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        // A node that was quicker has made it already, as empty.
        let _ = self.query("postgres", &format!("CREATE DATABASE {name}"));
        Ok(())
    }

    /// Puts another database in the place of one: what a restore into the wrong place does. The two names change in one
    /// transaction, so that nobody finds the place empty and fills it.
    pub fn replace_database(&self, name: &str, by: &str) -> anyhow::Result<()> {
        self.query(
            "postgres",
            &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"),
        )?;
        let terminate =
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname";
        self.query("postgres", &format!("{terminate} IN ('{name}', '{by}')"))?;
        let swap = format!(
            "ALTER DATABASE {name} RENAME TO {name}_before; ALTER DATABASE {by} RENAME TO {name}"
        );
        self.query("postgres", &swap).map(drop)
    }

    /// Runs a statement and returns its rows, one a line, columns split by `|`.
    pub fn query(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let output = Command::new(psql())
            .args(["-At", "-v", "ON_ERROR_STOP=1", "-c", statement])
            .arg(self.server.tcp_url(database))
            .output()
            .context("cannot start psql")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{statement}: {}", error.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Beside the server's programs, else on the path.
fn psql() -> PathBuf {
    let folder = std::env::var_os("DMQ_TEST_POSTGRES_BIN").map(PathBuf::from);
    let beside = folder
        .map(|folder| folder.join("psql"))
        .filter(|path| path.exists());
    beside.unwrap_or_else(|| PathBuf::from("psql"))
}
