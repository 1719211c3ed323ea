//! The file, its lock, and connections to it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::StoreError;

/// How long a statement waits for a reader that holds a checkpoint up, or for our own last
/// connection to close.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of 4 KiB in the WAL before a commit copies them into the file: 16 MiB.
const WAL_CHECKPOINT_PAGES: &str = "4096";
/// The WAL file shrinks to this after a checkpoint, in bytes: 64 MiB.
const WAL_SIZE_BYTES: &str = "67108864";

/// One database file.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Held from the first claim on; the lock goes with the handle.
    lock: Option<File>,
    /// Device and inode of the file that the writer opened.
    opened: Option<(u64, u64)>,
}

impl DatabaseFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            lock: None,
            opened: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Takes the writer lock: a lock on a file beside the database, since readers lock the database
    /// itself.
    pub(super) fn lock(&mut self) -> Result<(), StoreError> {
        if self.lock.is_some() && self.companion("lock").exists() {
            return Ok(());
        }
        let path = self.companion("lock");
        let unavailable =
            |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(unavailable)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let text = format!("another process writes {}", self.path.display());
                StoreError::Unavailable(text)
            }
            TryLockError::Error(error) => unavailable(error),
        })?;
        self.lock = Some(file);
        Ok(())
    }

    pub(super) async fn connect_writer(&mut self) -> sqlx::Result<SqliteConnection> {
        let options = self
            .options()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("wal_autocheckpoint", WAL_CHECKPOINT_PAGES)
            .pragma("journal_size_limit", WAL_SIZE_BYTES);
        let connection = options.connect().await?;
        self.opened = self.identity();
        Ok(connection)
    }

    pub(super) async fn connect_read_only(&self) -> sqlx::Result<SqliteConnection> {
        self.options().read_only(true).connect().await
    }

    /// Whether the path no longer names the file that the writer opened: its writes would go
    /// nowhere.
    pub(super) fn was_replaced(&self) -> bool {
        self.opened != self.identity()
    }

    /// Removes the database, readers or not. The lock stays.
    pub(super) fn remove(&mut self) -> Result<(), StoreError> {
        let files = [
            self.path.clone(),
            self.companion("wal"),
            self.companion("shm"),
        ];
        for file in files.iter().filter(|file| file.exists()) {
            std::fs::remove_file(file)
                .map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))?;
        }
        Ok(())
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
    }

    fn identity(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.path)
            .ok()
            .map(|metadata| (metadata.dev(), metadata.ino()))
    }

    /// `<path>-wal` and `<path>-shm` as SQLite names them, and `<path>.lock`.
    fn companion(&self, kind: &str) -> PathBuf {
        let separator = if kind == "lock" { "." } else { "-" };
        let mut name = self.path.clone().into_os_string();
        name.push(separator);
        name.push(kind);
        name.into()
    }
}
