//! The databases of the nodes, and what can happen to them: killed, emptied, standing still.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use super::fault::StoreKind;
use super::plan::Choice;
use crate::harness::{Postgres, Quorum};

/// Name of the one database of every server.
const DATABASE: &str = "projection";

/// One database for each node.
#[derive(Debug)]
pub enum Databases {
    /// Files that the nodes make by themselves.
    Sqlite,
    /// Servers, in the order of the nodes.
    Postgres(Vec<Postgres>),
}

impl Databases {
    pub(super) async fn start(choice: &Choice) -> anyhow::Result<Self> {
        if choice.store == StoreKind::Sqlite {
            return Ok(Self::Sqlite);
        }
        let mut servers = Vec::new();
        // One more for the guest.
        for _ in 0..=choice.nodes {
            servers.push(Postgres::start().await?);
        }
        Ok(Self::Postgres(servers))
    }

    /// Addresses for the nodes; none where they make their own.
    pub(super) fn urls(&self) -> anyhow::Result<Vec<String>> {
        self.servers()
            .iter()
            .map(|server| server.create_database(DATABASE))
            .collect()
    }

    fn servers(&self) -> &[Postgres] {
        match self {
            Self::Sqlite => &[],
            Self::Postgres(servers) => servers,
        }
    }

    /// `kill -9` of all servers.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Self::Postgres(servers) = self {
            for server in servers {
                server.kill().await?;
            }
        }
        Ok(())
    }

    /// Starts all servers again.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        if let Self::Postgres(servers) = self {
            for server in servers {
                server.restart().await?;
            }
        }
        Ok(())
    }

    /// One node's database is empty from now on. A file cannot be taken from under its node: the node is killed for it.
    pub(super) fn empty(&self, quorum: &mut Quorum, id: u32) -> anyhow::Result<()> {
        if let Some(server) = self.servers().get(id as usize - 1) {
            return server.empty_database(DATABASE);
        }
        quorum.node(id)?.kill()?;
        let file = file(quorum, id);
        for suffix in ["", "-wal", "-shm"] {
            let path = PathBuf::from(format!("{}{suffix}", file.display()));
            if path.exists() {
                std::fs::remove_file(path)?;
            }
        }
        quorum.node(id)?.start()
    }

    /// All databases stand still until they are thawed.
    pub(super) fn freeze(&self, quorum: &Quorum, ids: &[u32]) -> anyhow::Result<Frozen> {
        if let Self::Postgres(servers) = self {
            servers.iter().for_each(Postgres::pause);
            return Ok(Frozen { _locks: Vec::new() });
        }
        let locks = ids.iter().map(|id| lock(&file(quorum, *id)));
        Ok(Frozen {
            _locks: locks.collect::<anyhow::Result<_>>()?,
        })
    }

    /// They go on.
    pub(super) fn thaw(&self, frozen: Frozen) {
        self.servers().iter().for_each(Postgres::resume);
        drop(frozen);
    }
}

/// Databases that stand still; files go on when it is dropped.
#[derive(Debug)]
pub struct Frozen {
    _locks: Vec<Lock>,
}

/// A program that holds the write lock of a `SQLite` file until it ends.
#[derive(Debug)]
struct Lock(Child);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lock(file: &Path) -> anyhow::Result<Lock> {
    let mut child = Command::new("sqlite3")
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start sqlite3")?;
    let input = child.stdin.as_mut().context("no standard input")?;
    // The input stays open, and so does the transaction.
    input.write_all(b".timeout 10000\nBEGIN EXCLUSIVE;\n")?;
    input.flush()?;
    Ok(Lock(child))
}

fn file(quorum: &Quorum, id: u32) -> PathBuf {
    quorum.data_directory(id).join("metadata.db")
}
