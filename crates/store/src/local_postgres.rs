//! Starts a PostgreSQL server on this machine, for development (`dev --postgres`) and for tests.
//! Not for production: whoever reaches the loopback port is trusted.

mod binaries;
mod process;
#[cfg(feature = "conformance")]
mod reconfigure;
mod user;

use std::fmt;
use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use self::binaries::Binaries;
use self::process::{Running, children_of, send};
use self::user::User;

/// How long a server may take to start, to stop, or to recover. Only a broken one does.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at a server that starts or stops.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Where to look for a free port.
const PORTS: Range<u16> = 20_000..30_000;
/// The superuser of the new cluster, whoever runs it.
const SUPERUSER: &str = "postgres";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    /// Nothing to start.
    #[error(
        "PostgreSQL's server programs (initdb, postgres) were not found in $DMQ_TEST_POSTGRES_BIN, \
         /usr/lib/postgresql/*/bin or $PATH: install the Debian package 'postgresql'"
    )]
    NotInstalled,
    /// PostgreSQL refuses to run as root, and there is no other user to run it as.
    #[error("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'")]
    NoUser,
    /// A file or process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What happened.
        source: std::io::Error,
    },
    /// The server did not come up, or did not go down.
    #[error("{what}; its log ends with:\n{log}")]
    Server {
        /// What was waited for.
        what: String,
        /// Last lines of its log.
        log: String,
    },
}

/// A running server with its own data directory, a Unix socket and a loopback port. It ends when
/// this value is dropped, and also when this process dies in any other way.
#[derive(Debug)]
pub struct PostgresServer {
    binaries: Binaries,
    user: User,
    directory: PathBuf,
    port: u16,
    running: Option<Running>,
    /// The directory, if it is ours to remove.
    temporary: Option<TempDir>,
}

impl PostgresServer {
    /// Starts a server in a directory of its own, which goes with it.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn start() -> Result<Self, LocalPostgresError> {
        let temporary = TempDir::with_prefix("dmq-postgres-").map_err(io("a directory"))?;
        let mut server = Self::prepare(temporary.path())?;
        server.temporary = Some(temporary);
        server.restart().await?;
        Ok(server)
    }

    /// Starts a server on `directory`, which keeps its data for the next time. Created when
    /// missing.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn start_in(directory: &Path) -> Result<Self, LocalPostgresError> {
        std::fs::create_dir_all(directory).map_err(io(directory.display()))?;
        let mut server = Self::prepare(&std::path::absolute(directory).map_err(io("a path"))?)?;
        server.restart().await?;
        Ok(server)
    }

    /// URL of a database of this server through its Unix socket. The database need not exist yet.
    pub fn url(&self, database: &str) -> String {
        let (directory, port) = (self.socket_directory(), self.port);
        format!(
            "postgres://{SUPERUSER}@localhost/{database}?host={}&port={port}",
            directory.display()
        )
    }

    /// URL of a database through the loopback port.
    pub fn tcp_url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// The loopback port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server if it is down and waits until it answers.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn restart(&mut self) -> Result<(), LocalPostgresError> {
        if self.running.is_some() {
            self.stop().await?;
        }
        if !self.data_directory().join("PG_VERSION").exists() {
            self.initialize().await?;
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.launch_and_wait(deadline).await? {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Stops the server as `pg_ctl stop -m fast` does: sessions end, everything is written.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn stop(&mut self) -> Result<(), LocalPostgresError> {
        self.end(Signal::INT).await
    }

    /// Kills the server, as a power cut does to it: it recovers at the next start.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn kill(&mut self) -> Result<(), LocalPostgresError> {
        self.end(Signal::KILL).await
    }

    /// Stops the server, deletes its data and starts an empty one at the same address.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn wipe(&mut self) -> Result<(), LocalPostgresError> {
        self.end(Signal::KILL).await?;
        std::fs::remove_dir_all(self.data_directory()).map_err(io("the data directory"))?;
        self.restart().await
    }

    /// Looks for everything that is needed, before anything is started.
    fn prepare(directory: &Path) -> Result<Self, LocalPostgresError> {
        let binaries = Binaries::find().ok_or(LocalPostgresError::NotInstalled)?;
        let user = User::to_run_as().ok_or(LocalPostgresError::NoUser)?;
        user.give(directory).map_err(io(directory.display()))?;
        let directory = directory.to_owned();
        let port = free_port().map_err(io("a loopback port"))?;
        Ok(Self {
            binaries,
            user,
            directory,
            port,
            running: None,
            temporary: None,
        })
    }

    async fn initialize(&self) -> Result<(), LocalPostgresError> {
        let data = self.data_directory();
        let mut initdb = self.command("initdb");
        initdb
            .arg("-D")
            .arg(&data)
            .args(["-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]);
        initdb.args(["--locale=C", "--data-checksums", "--no-instructions"]);
        if self.temporary.is_some() {
            initdb.arg("--no-sync");
        }
        initdb.stdin(Stdio::null());
        let output = tokio::process::Command::from(initdb)
            .output()
            .await
            .map_err(io("initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(LocalPostgresError::Server {
            what: "initdb failed".to_owned(),
            log,
        })
    }

    /// `false` if the server gave up at once: after a kill, what is left of the old one may still
    /// be in its way.
    async fn launch_and_wait(&mut self, deadline: Instant) -> Result<bool, LocalPostgresError> {
        let mut running = self.launch()?;
        loop {
            if self.answers().await {
                self.running = Some(running);
                return Ok(true);
            }
            let gone = running
                .server
                .try_wait()
                .map_err(io("the server"))?
                .is_some();
            if Instant::now() > deadline {
                let what = format!("PostgreSQL did not answer within {PATIENCE:?}");
                return Err(LocalPostgresError::Server {
                    what,
                    log: self.log_tail(),
                });
            }
            if gone {
                self.port = self.port_for_next_try().map_err(io("a loopback port"))?;
                return Ok(false);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn launch(&self) -> Result<Running, LocalPostgresError> {
        let log = File::create(self.log_file()).map_err(io("the server's log"))?;
        let errors = log.try_clone().map_err(io("the server's log"))?;
        let mut server = self.command("postgres");
        server
            .arg("-D")
            .arg(self.data_directory())
            .arg("-k")
            .arg(self.socket_directory());
        server.arg("-p").arg(self.port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "shared_buffers=32MB",
            "max_connections=50",
        ] {
            server.args(["-c", setting]);
        }
        let server = server
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        let server = server.map_err(io("postgres"))?;
        let mut running = Running {
            server,
            watchdog: None,
        };
        let watchdog = self.watch(running.server.id()).map_err(io("sh"))?;
        running.watchdog = Some(watchdog);
        Ok(running)
    }

    /// Starts the watchdog. A temporary directory goes when the server is gone; a server that
    /// nobody collects counts as gone after 10 s.
    fn watch(&self, server: u32) -> std::io::Result<Child> {
        const SCRIPT: &str = r#"
            read -r _; kill -QUIT "$1"
            [ -n "$2" ] || exit 0
            tries=0
            while kill -0 "$1" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
            rm -rf "$2""#;
        let temporary = self.temporary.as_ref().map_or(Path::new(""), TempDir::path);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "sh", &server.to_string()])
            .arg(temporary);
        shell.current_dir("/").process_group(0);
        self.user.run_as(&mut shell);
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    async fn answers(&self) -> bool {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(self.socket_directory())
            .port(self.port)
            .username(SUPERUSER)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        match options.connect().await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Ends the server and waits until it, and everything that it started, is gone.
    async fn end(&mut self, signal: Signal) -> Result<(), LocalPostgresError> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        let children = children_of(running.server.id());
        running.signal(signal);
        if signal == Signal::KILL {
            for child in &children {
                send(*child, signal);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while !running.is_gone(&children).map_err(io("the server"))? {
            if Instant::now() > deadline {
                let what = format!("PostgreSQL did not stop within {PATIENCE:?}");
                return Err(LocalPostgresError::Server {
                    what,
                    log: self.log_tail(),
                });
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// In a process group of its own: a Ctrl-C at the terminal is for us, and we end the server
    /// last.
    fn command(&self, program: &str) -> Command {
        let mut command = self.binaries.command(program);
        command
            .current_dir(&self.directory)
            .env("LC_ALL", "C")
            .process_group(0);
        self.user.run_as(&mut command);
        command
    }

    /// Another process may have taken the port since it was found free.
    fn port_for_next_try(&self) -> std::io::Result<u16> {
        match TcpListener::bind(("127.0.0.1", self.port)) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => free_port(),
            Ok(_) | Err(_) => Ok(self.port),
        }
    }

    fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn socket_directory(&self) -> &Path {
        &self.directory
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("postgres.log")
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn io(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> LocalPostgresError {
    let what = what.to_string();
    move |source| LocalPostgresError::Io { what, source }
}

/// Free a moment ago, and below the range that the kernel gives to outgoing connections: it stays
/// ours while the server is down. Each server begins its search elsewhere.
fn free_port() -> std::io::Result<u16> {
    let ports = PORTS.end - PORTS.start;
    let offset = u16::try_from(Uuid::new_v4().as_u128() % u128::from(ports)).unwrap_or(0);
    let mut candidates = (0..ports).map(|step| PORTS.start + (offset + step) % ports);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates
        .find(free)
        .ok_or_else(|| std::io::ErrorKind::AddrInUse.into())
}
