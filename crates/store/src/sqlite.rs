//! The embedded store: one SQLite file in the node's directory, one writer.

mod audit;
mod error;
mod file;
mod inspect;
mod write;

use std::path::PathBuf;
use std::sync::LazyLock;

use async_trait::async_trait;
use dmq_metadata::{Image, MetadataIndex};
use sqlx::migrate::Migrator;
use sqlx::{Connection, SqliteConnection};

use self::error::classify;
use self::file::DatabaseFile;
use self::write::Writer;
use crate::mutant;
use crate::rebuild::chunks;
use crate::schema::{migrate, migrator};
use crate::{Audit, Batch, Checkpoint, Found, Owner, Position, StateStore, StoreError};

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[(
        "projection",
        include_str!("../migrations/sqlite/0001_projection.sql"),
    )])
});

/// A file of ours that cannot be read.
const UNREADABLE: Found = Found::UnknownSchema {
    version: None,
    owner: None,
};

/// A projection in a SQLite file: WAL, `synchronous = NORMAL`, `BEGIN IMMEDIATE`. A crash of the
/// machine can take the last transactions back, never half of one; the log then brings them again.
///
/// `<file>.lock` is locked for as long as the store writes, so that a second process is refused.
/// Readers are welcome.
#[derive(Debug)]
pub struct SqliteStore {
    file: DatabaseFile,
    /// Taken out during every write: dropped half-way, the connection closes and the transaction is
    /// rolled back.
    session: Option<Session>,
    /// The highest owner epoch that this store ever had.
    epoch_seen: u64,
    /// The content turned out to be broken.
    damaged: bool,
}

/// The writer's connection.
#[derive(Debug)]
struct Session {
    connection: SqliteConnection,
    owner: Owner,
    epoch: u64,
    index: MetadataIndex,
}

impl SqliteStore {
    /// A store over the file at `path`, which need not exist. Nothing is opened yet.
    pub const fn new(path: PathBuf) -> Self {
        let file = DatabaseFile::new(path);
        Self {
            file,
            session: None,
            epoch_seen: 0,
            damaged: false,
        }
    }

    /// What the file holds, seen through a connection that cannot write.
    async fn look(&self) -> Result<Found, StoreError> {
        if !self.file.exists() {
            return Ok(Found::Empty);
        }
        let looked = async {
            let mut connection = self.file.connect_read_only().await?;
            let found = inspect::inspect(&mut connection).await?;
            connection.close().await?;
            Ok(found)
        };
        match looked.await {
            Ok(found) => Ok(found),
            Err(error) if error::is_corrupt(&error) => Ok(self.broken(&error)),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    /// A broken file of ours can be made again; any other file stays as it is.
    fn broken(&self, error: &sqlx::Error) -> Found {
        if inspect::has_our_header(self.file.path()) {
            return UNREADABLE;
        }
        Found::Foreign(format!("{}: {error}", self.describe()))
    }

    /// Opens the file for writing, under the lock, with the newest schema.
    async fn open_writer(&mut self) -> Result<SqliteConnection, StoreError> {
        let mut connection = self.file.connect_writer().await.map_err(classify)?;
        migrate(&MIGRATOR, &mut connection).await?;
        Ok(connection)
    }

    /// Raises the epoch and keeps the connection.
    async fn own(
        &mut self,
        mut connection: SqliteConnection,
        me: &Owner,
        found: &Position,
    ) -> Result<(), StoreError> {
        let highest = found.owner_epoch.max(self.epoch_seen);
        let epoch = highest + u64::from(!mutant::is("owner-epoch-not-raised"));
        let writer = Writer { owner: me, epoch };
        let claimed = if found.at.index == MetadataIndex(0) {
            write::claim_empty(&mut connection, &writer).await
        } else {
            write::claim(&mut connection, &writer).await
        };
        claimed.map_err(classify)?;
        self.epoch_seen = epoch;
        let (owner, index) = (me.clone(), found.at.index);
        self.session = Some(Session {
            connection,
            owner,
            epoch,
            index,
        });
        Ok(())
    }

    /// The connection, if the file under it is still the one at our path.
    fn take_session(&mut self) -> Result<Session, StoreError> {
        if self.session.is_some() && self.file.was_replaced() {
            self.session = None;
            let text = format!("{} was removed or replaced", self.describe());
            return Err(StoreError::Unavailable(text));
        }
        self.session
            .take()
            .ok_or_else(|| StoreError::Invalid("claim the store first".to_owned()))
    }

    /// Notes broken content, so that the next look finds it.
    fn judge(&mut self, error: sqlx::Error) -> StoreError {
        self.damaged |= error::is_corrupt(&error);
        classify(error)
    }

    async fn write_batch(
        &mut self,
        session: &mut Session,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let begun = session.begin_batch(batch).await;
        self.finish(session, begun, batch.at.index).await
    }

    async fn write_image(
        &mut self,
        session: &mut Session,
        image: &Image,
        at: &Checkpoint,
    ) -> Result<(), StoreError> {
        let begun = session.begin_image(image, at).await;
        self.finish(session, begun, at.index).await
    }

    /// Commits what was `begun`, unless the position was not ours any more (`false`) or a statement
    /// failed.
    async fn finish(
        &mut self,
        session: &mut Session,
        begun: sqlx::Result<bool>,
        index: MetadataIndex,
    ) -> Result<(), StoreError> {
        match begun.map_err(|error| self.judge(error)) {
            Ok(true) => session.commit(index).await,
            Ok(false) => Err(session.why_not_ours(None).await?),
            Err(StoreError::Poison(text)) => Err(session.why_not_ours(Some(text)).await?),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    fn describe(&self) -> String {
        format!("sqlite:{}", self.file.path().display())
    }

    async fn position(&mut self) -> Result<Found, StoreError> {
        self.session = None;
        if self.damaged {
            return Ok(UNREADABLE);
        }
        self.look().await
    }

    async fn claim(&mut self, me: &Owner) -> Result<Found, StoreError> {
        self.session = None;
        self.file.lock()?;
        let found = self.look().await?;
        let position = match &found {
            Found::Empty => Position::before_first(me),
            Found::At(position) => position.clone(),
            Found::UnknownSchema { .. } | Found::Foreign(_) => {
                return Err(StoreError::Invalid(format!("cannot be claimed: {found:?}")));
            }
        };
        position.check_claim(me, self.epoch_seen)?;
        let connection = self.open_writer().await?;
        self.own(connection, me, &position).await?;
        Ok(found)
    }

    async fn wipe(&mut self, me: &Owner) -> Result<(), StoreError> {
        self.session = None;
        self.file.lock()?;
        match self.look().await? {
            Found::Foreign(text) => return Err(StoreError::Invalid(text)),
            Found::UnknownSchema { .. } => self.file.remove()?,
            Found::Empty | Found::At(_) if self.damaged => self.file.remove()?,
            Found::Empty | Found::At(_) => {}
        }
        self.damaged = false;
        let mut connection = self.open_writer().await?;
        let position = write::wipe(&mut connection).await.map_err(classify)?;
        let before = Position {
            owner_epoch: position,
            ..Position::before_first(me)
        };
        self.own(connection, me, &before).await
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(session) = &self.session {
            batch.check_follows(session.index)?;
        }
        let mut session = self.take_session()?;
        self.write_batch(&mut session, batch).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn rebuild(&mut self, image: &Image, at: &Checkpoint) -> Result<(), StoreError> {
        let mut session = self.take_session()?;
        self.write_image(&mut session, image, at).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn audit(&mut self) -> Result<Audit, StoreError> {
        let mut connection = self.file.connect_read_only().await.map_err(classify)?;
        audit::audit(&mut connection).await
    }
}

impl Session {
    /// A batch, all but the commit. `false`: the position is not ours any more.
    async fn begin_batch(&mut self, batch: &Batch) -> sqlx::Result<bool> {
        let writer = Writer {
            owner: &self.owner,
            epoch: self.epoch,
        };
        if mutant::is("position-outside-transaction") {
            write::write_rows(&mut self.connection, &batch.rows).await?;
        }
        write::begin_batch(&mut self.connection, batch, &writer).await
    }

    /// Tables filled anew, all but the commit. `false`: the position is not ours any more.
    async fn begin_image(&mut self, image: &Image, at: &Checkpoint) -> sqlx::Result<bool> {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await?;
        write::delete_all(&mut self.connection).await?;
        for chunk in chunks(image) {
            write::write_rows(&mut self.connection, &chunk).await?;
        }
        let writer = Writer {
            owner: &self.owner,
            epoch: self.epoch,
        };
        write::advance(&mut self.connection, at, &writer).await
    }

    async fn commit(&mut self, index: MetadataIndex) -> Result<(), StoreError> {
        let committed = sqlx::raw_sql("COMMIT").execute(&mut self.connection).await;
        committed.map_err(|error| StoreError::CommitUnknown(error.to_string()))?;
        self.index = index;
        Ok(())
    }

    /// Why a compare-and-set met nothing, or a row was refused: a writer that was fenced off may
    /// break constraints, since its rows are of the past.
    async fn why_not_ours(&mut self, poison: Option<String>) -> Result<StoreError, StoreError> {
        let found = inspect::inspect(&mut self.connection)
            .await
            .map_err(classify)?;
        Ok(found.why_refused(&self.owner, self.epoch, poison))
    }
}
