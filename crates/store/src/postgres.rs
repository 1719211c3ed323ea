//! The projection in PostgreSQL: one database (or schema) per node, one writing session.

mod audit;
mod connect;
mod credentials;
mod error;
mod inspect;
mod lock;
mod statements;
mod write;

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use dmq_metadata::{Image, MetadataIndex};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use self::connect::Target;
pub use self::credentials::Credentials;
use self::error::classify;
use self::write::Writer;
use crate::rebuild::chunks;
use crate::schema::{migrate, migrator};
use crate::{Audit, Batch, Checkpoint, Found, Owner, Position, StateStore, StoreError};

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[(
        "projection",
        include_str!("../migrations/postgres/0001_projection.sql"),
    )])
});

/// Longest wait for a batch. The server's own limits end sooner; this one is for a server that
/// stopped moving.
const BATCH_TIMEOUT: Duration = Duration::from_secs(90);
/// Longest wait for a rebuild: a million rows take less than a minute.
const REBUILD_TIMEOUT: Duration = Duration::from_mins(30);
/// Longest wait for a look at a database that is idle.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for catalogue work: taking the lock, migrating, dropping.
const CLAIM_TIMEOUT: Duration = Duration::from_mins(1);

/// A projection in PostgreSQL.
///
/// The session commits asynchronously: a crash of the server can take the last commits back, as if
/// they had not been made. An advisory lock keeps a second writer out, the owner epoch a writer
/// that lost its lock without noticing.
#[derive(Debug)]
pub struct PostgresStore {
    target: Target,
    /// Taken out during every write: dropped half-way, the session ends and the server rolls back.
    session: Option<Session>,
    /// The highest owner epoch that this store ever had.
    epoch_seen: u64,
}

/// The writing session; the advisory lock goes with it.
#[derive(Debug)]
struct Session {
    connection: PgConnection,
    owner: Owner,
    epoch: u64,
    index: MetadataIndex,
}

/// Creates the database, and the schema, that `url` names if they do not exist. [`PostgresStore`]
/// does so too when it takes over.
///
/// # Errors
/// `Invalid` for a bad URL; `Unavailable` if the server cannot be reached, or refuses.
pub async fn ensure_database(url: &str) -> Result<(), StoreError> {
    let connection = Target::parse(url, Credentials::default())?
        .connect_or_create()
        .await?;
    connection.close().await.map_err(classify)
}

impl PostgresStore {
    /// A store at `postgres://[user[:password]@][host][:port]/database[?parameters]`. Nothing is
    /// opened yet.
    ///
    /// Parameters are libpq's (`host=/dir` for a Unix socket, `sslmode`, `options` ...) and
    /// `schema`: nodes that share a database give each its own, for example `schema=node_1`. A
    /// database and a schema that do not exist are created.
    ///
    /// # Errors
    /// `Invalid` if the URL is malformed.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Self::with_credentials(url, Credentials::default())
    }

    /// [`PostgresStore::new`] with a user, or the file of a password, that the URL does not hold.
    ///
    /// # Errors
    /// `Invalid` if the URL is malformed, or says otherwise.
    pub fn with_credentials(url: &str, credentials: Credentials) -> Result<Self, StoreError> {
        Ok(Self {
            target: Target::parse(url, credentials)?,
            session: None,
            epoch_seen: 0,
        })
    }

    /// A session that holds the writer lock, and what it found.
    async fn locked(&mut self, me: &Owner) -> Result<(PgConnection, Found), StoreError> {
        let mut connection = self.target.connect_or_create().await?;
        self.check_not_fenced(&mut connection).await?;
        lock::take(&mut connection, me).await?;
        let found = inspect::inspect(&mut connection).await.map_err(classify)?;
        Ok((connection, found))
    }

    /// Before the lock is taken: a store that a later owner followed must not disturb it.
    async fn check_not_fenced(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let found = inspect::inspect(connection).await.map_err(classify)?;
        match &found {
            Found::At(position) if position.is_later_than(self.epoch_seen) => {
                Err(found.why_not_owned(self.epoch_seen))
            }
            _ => Ok(()),
        }
    }

    /// Brings the schema up to date, raises the epoch and keeps the session.
    async fn own(
        &mut self,
        mut connection: PgConnection,
        me: &Owner,
        found: &Position,
    ) -> Result<(), StoreError> {
        migrate(&MIGRATOR, &mut connection).await?;
        let epoch = found.owner_epoch.max(self.epoch_seen) + 1;
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

    async fn claim_now(&mut self, me: &Owner) -> Result<Found, StoreError> {
        let (connection, found) = self.locked(me).await?;
        let position = match &found {
            Found::Empty => Position::before_first(me),
            Found::At(position) => position.clone(),
            Found::UnknownSchema { .. } | Found::Foreign(_) => {
                return Err(StoreError::Invalid(format!("cannot be claimed: {found:?}")));
            }
        };
        position.check_claim(me, self.epoch_seen)?;
        self.own(connection, me, &position).await?;
        Ok(found)
    }

    async fn wipe_now(&mut self, me: &Owner) -> Result<(), StoreError> {
        let (mut connection, found) = self.locked(me).await?;
        let owner_epoch = match found {
            Found::Foreign(text) => return Err(StoreError::Invalid(text)),
            Found::UnknownSchema { .. } => {
                write::drop_ours(&mut connection).await.map_err(classify)?;
                0
            }
            Found::At(position) => {
                write::wipe(&mut connection).await.map_err(classify)?;
                position.owner_epoch
            }
            Found::Empty => 0,
        };
        let before = Position {
            owner_epoch,
            ..Position::before_first(me)
        };
        self.own(connection, me, &before).await
    }

    fn take_session(&mut self) -> Result<Session, StoreError> {
        self.session
            .take()
            .ok_or_else(|| StoreError::Invalid("claim the store first".to_owned()))
    }
}

#[async_trait]
impl StateStore for PostgresStore {
    fn describe(&self) -> String {
        self.target.shown().to_owned()
    }

    async fn position(&mut self) -> Result<Found, StoreError> {
        self.session = None;
        let Some(mut connection) = self.target.connect().await? else {
            return Ok(Found::Empty);
        };
        let found = within(CLAIM_TIMEOUT, StoreError::Unavailable, async {
            inspect::inspect(&mut connection).await.map_err(classify)
        });
        let found = found.await?;
        connection.close().await.map_err(classify)?;
        Ok(found)
    }

    async fn claim(&mut self, me: &Owner) -> Result<Found, StoreError> {
        self.session = None;
        within(CLAIM_TIMEOUT, StoreError::Unavailable, self.claim_now(me)).await
    }

    async fn wipe(&mut self, me: &Owner) -> Result<(), StoreError> {
        self.session = None;
        within(CLAIM_TIMEOUT, StoreError::Unavailable, self.wipe_now(me)).await
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(session) = &self.session {
            batch.check_follows(session.index)?;
        }
        let mut session = self.take_session()?;
        within(
            BATCH_TIMEOUT,
            StoreError::CommitUnknown,
            session.apply(batch),
        )
        .await?;
        self.session = Some(session);
        Ok(())
    }

    async fn rebuild(&mut self, image: &Image, at: &Checkpoint) -> Result<(), StoreError> {
        let mut session = self.take_session()?;
        within(
            REBUILD_TIMEOUT,
            StoreError::CommitUnknown,
            session.rebuild(image, at),
        )
        .await?;
        self.session = Some(session);
        Ok(())
    }

    async fn check(&mut self) -> Result<(), StoreError> {
        let mut session = self.take_session()?;
        within(CHECK_TIMEOUT, StoreError::Unavailable, session.check()).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn audit(&mut self) -> Result<Audit, StoreError> {
        match self.target.connect().await? {
            Some(mut connection) => audit::audit(&mut connection).await,
            None => Err(StoreError::Unavailable(
                "the database does not exist".to_owned(),
            )),
        }
    }
}

impl Session {
    /// Tables and row that are gone make the order of calls begin anew, and so does another owner: it is
    /// judged there.
    async fn check(&mut self) -> Result<(), StoreError> {
        match inspect::inspect(&mut self.connection)
            .await
            .map_err(classify)?
        {
            Found::At(position) if position.owner_epoch == self.epoch => Ok(()),
            found => Err(StoreError::Unavailable(format!(
                "the rows of this node are not there any more, found was: {found:?}"
            ))),
        }
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await.map_err(classify)?;
        let writer = Writer {
            owner: &self.owner,
            epoch: self.epoch,
        };
        let begun = begin_batch(&mut transaction, batch, &writer).await;
        finish(transaction, begun, &writer).await?;
        self.index = batch.at.index;
        Ok(())
    }

    async fn rebuild(&mut self, image: &Image, at: &Checkpoint) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await.map_err(classify)?;
        let writer = Writer {
            owner: &self.owner,
            epoch: self.epoch,
        };
        let begun = begin_image(&mut transaction, image, at, &writer).await;
        finish(transaction, begun, &writer).await?;
        self.index = at.index;
        Ok(())
    }
}

/// A batch, all but the commit. `false`: the position is not ours any more.
async fn begin_batch(
    connection: &mut PgConnection,
    batch: &Batch,
    writer: &Writer<'_>,
) -> sqlx::Result<bool> {
    write::write_rows(connection, &batch.rows, batch.first.0).await?;
    write::advance(connection, &batch.at, Some(batch.expected().0), writer).await
}

/// Tables filled anew, all but the commit. `false`: the position is not ours any more.
async fn begin_image(
    connection: &mut PgConnection,
    image: &Image,
    at: &Checkpoint,
    writer: &Writer<'_>,
) -> sqlx::Result<bool> {
    write::delete_all(connection).await?;
    for chunk in chunks(image) {
        write::write_rows(connection, &chunk, 0).await?;
    }
    write::advance(connection, at, None, writer).await
}

/// Commits what was `begun`, unless the position was not ours any more (`false`) or a statement
/// failed.
async fn finish(
    mut transaction: Transaction<'_, Postgres>,
    begun: sqlx::Result<bool>,
    writer: &Writer<'_>,
) -> Result<(), StoreError> {
    match begun.map_err(classify) {
        Ok(true) => transaction.commit().await.map_err(commit_unknown),
        Ok(false) => Err(why_not_ours(&mut transaction, writer, None).await?),
        Err(StoreError::Poison(text)) => {
            // A failed transaction answers no more questions; this one begins another.
            let again = sqlx::raw_sql("ROLLBACK; BEGIN")
                .execute(&mut *transaction)
                .await;
            again.map_err(classify)?;
            Err(why_not_ours(&mut transaction, writer, Some(text)).await?)
        }
        Err(error) => Err(error),
    }
}

/// Why a compare-and-set met nothing, or a row was refused: a writer that was fenced off may break
/// constraints, since its rows are of the past.
async fn why_not_ours(
    connection: &mut PgConnection,
    writer: &Writer<'_>,
    poison: Option<String>,
) -> Result<StoreError, StoreError> {
    let found = inspect::inspect(connection).await.map_err(classify)?;
    Ok(found.why_refused(writer.owner, writer.epoch, poison))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn commit_unknown(error: sqlx::Error) -> StoreError {
    StoreError::CommitUnknown(error.to_string())
}

/// Waits no longer than `limit`; `late` is the error then. What had no answer in time may have been
/// done all the same.
async fn within<T>(
    limit: Duration,
    late: fn(String) -> StoreError,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(late(format!("no answer within {limit:?}"))),
    }
}
