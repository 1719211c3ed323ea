//! Rows and position as SQLite's parameters: one JSON array per statement.
//!
//! The driver hands every call to a thread of its own, which costs more than a small statement. So all
//! statements of a batch travel in one call. Batches of partitions alone, by far the most, have a
//! shorter one; in all others, statements without rows get an empty array.

use std::fmt::Write;

use dmq_metadata::{Broker, BrokerId, DedupEntry, LeaderRecovery, Partition, Rack, Topic};
use serde::Serialize;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Connection, Sqlite, SqliteConnection};

use crate::row::{fingerprint_text, nonce_text, outcome_bytes, signed, unsigned};
use crate::{Batch, Checkpoint, Owner, RowChanges, SCHEMA_VERSION};

type SqliteQuery = Query<'static, Sqlite, SqliteArguments>;

/// Begins a transaction, writes the rows of a batch and moves the position, all but the commit.
const APPLY: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/others.sql"),
    include_str!("sql/partitions.sql"),
    include_str!("sql/advance.sql")
);
/// The same for a batch of partitions alone.
const APPLY_PARTITIONS: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/partitions.sql"),
    include_str!("sql/advance.sql")
);
const ROWS: &str = concat!(
    include_str!("sql/others.sql"),
    include_str!("sql/partitions.sql")
);
const ADVANCE: &str = include_str!("sql/advance.sql");
const DELETE_ALL: &str = include_str!("sql/delete_all.sql");
const CLAIM: &str = include_str!("sql/claim.sql");

/// Who writes: what the position's row must still say.
pub(super) struct Writer<'a> {
    pub(super) owner: &'a Owner,
    pub(super) epoch: u64,
}

/// Begins a transaction with the rows and the position of `batch`. `false`: the position is not
/// ours any more.
pub(super) async fn begin_batch(
    connection: &mut SqliteConnection,
    batch: &Batch,
    writer: &Writer<'_>,
) -> sqlx::Result<bool> {
    let partitions_alone = batch.rows.len() == batch.rows.partitions.len();
    let sql = if partitions_alone {
        APPLY_PARTITIONS
    } else {
        APPLY
    };
    let query = bind_rows(sqlx::query(sql), &batch.rows, batch.first.0)?;
    let query = bind_advance(query, &batch.at, Some(batch.expected().0), writer);
    Ok(!query.fetch_all(connection).await?.is_empty())
}

/// Writes rows within a transaction.
pub(super) async fn write_rows(
    connection: &mut SqliteConnection,
    rows: &RowChanges,
) -> sqlx::Result<()> {
    bind_rows(sqlx::query(ROWS), rows, 0)?
        .execute(connection)
        .await
        .map(drop)
}

/// Moves the position within a transaction, from wherever it is. `false`: it is not ours any more.
pub(super) async fn advance(
    connection: &mut SqliteConnection,
    at: &Checkpoint,
    writer: &Writer<'_>,
) -> sqlx::Result<bool> {
    let mut query = sqlx::query(ADVANCE);
    for _ in 0..ROW_PARAMETERS {
        query = query.bind(None::<String>);
    }
    let query = bind_advance(query, at, None, writer);
    Ok(!query.fetch_all(connection).await?.is_empty())
}

/// Deletes every row but the position.
pub(super) async fn delete_all(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(DELETE_ALL)
        .execute(connection)
        .await
        .map(drop)
}

/// Claims a database whose position is before the first entry. Rows that are there all the same
/// (somebody deleted the position alone) go in the same transaction: the next start must not take
/// them for what the log wrote.
pub(super) async fn claim_empty(
    connection: &mut SqliteConnection,
    writer: &Writer<'_>,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    delete_all(&mut transaction).await?;
    claim(&mut transaction, writer).await?;
    transaction.commit().await
}

/// Writes the owner under a new epoch.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    writer: &Writer<'_>,
) -> sqlx::Result<()> {
    let Writer { owner, epoch } = writer;
    sqlx::query(CLAIM)
        .bind(owner.cluster_id.to_string())
        .bind(signed(owner.incarnation.number))
        .bind(nonce_text(owner.incarnation.nonce))
        .bind(i64::from(owner.node.0))
        .bind(owner.directory.to_string())
        .bind(i64::from(SCHEMA_VERSION))
        .bind(signed(*epoch))
        .bind(Checkpoint::before_first().state_hash.to_string())
        .execute(connection)
        .await
        .map(drop)
}

/// Parameters of the rows, before those of `advance.sql`.
const ROW_PARAMETERS: usize = 10;

/// Settings of a topic older than `first` may be in the database: they go before the present ones
/// are written.
fn bind_rows(query: SqliteQuery, rows: &RowChanges, first: u64) -> sqlx::Result<SqliteQuery> {
    let rewritten = rows
        .topics
        .values()
        .filter(|topic| topic.created_index.0 < first);
    let stale_settings = rows
        .deleted_topics
        .iter()
        .copied()
        .chain(rewritten.map(|topic| topic.id));
    let settings = rows.topics.values().flat_map(|topic| {
        topic
            .configs
            .iter()
            .map(|(name, value)| (topic.id.0, name, value))
    });
    let deleted_dedup = rows
        .deleted_dedup
        .iter()
        .map(|key| (key.principal.as_str(), key.key.as_str()));
    Ok(query
        .bind(array(stale_settings.map(|id| id.0))?)
        .bind(array(rows.deleted_topics.iter().map(|id| id.0))?)
        .bind(array(rows.deleted_partitions.iter().map(|id| id.0))?)
        .bind(array(rows.deleted_brokers.iter().map(|id| id.0))?)
        .bind(array(deleted_dedup)?)
        .bind(array(rows.topics.values().map(|row| topic(row)))?)
        .bind(array(settings)?)
        .bind(array(rows.partitions.values().map(|row| partition(row)))?)
        .bind(array(rows.brokers.values().map(|row| broker(row)))?)
        .bind(array(rows.dedup.values().map(|row| dedup(row)))?))
}

fn bind_advance(
    query: SqliteQuery,
    at: &Checkpoint,
    expected: Option<u64>,
    writer: &Writer<'_>,
) -> SqliteQuery {
    let configuration = at.configuration.as_ref();
    query
        .bind(signed(at.index.0))
        .bind(signed(at.term.0))
        .bind(configuration.map(|configuration| configuration.bytes.clone()))
        .bind(configuration.map(|configuration| signed(configuration.index.0)))
        .bind(i64::from(at.feature_level.0))
        .bind(signed(at.log_time.0))
        .bind(at.state_hash.to_string())
        .bind(signed(at.snapshot_index.0))
        .bind(expected.map(signed))
        .bind(signed(writer.epoch))
        .bind(writer.owner.directory.to_string())
}

fn topic(row: &Topic) -> impl Serialize {
    let created_index = signed(row.created_index.0);
    let counts = (row.partition_count, row.replication_factor);
    (
        row.id.0,
        row.name.as_str(),
        counts.0,
        counts.1,
        row.created_at.0,
        created_index,
    )
}

fn partition(row: &Partition) -> impl Serialize {
    let numbers = |brokers: &[BrokerId]| brokers.iter().map(|id| id.0).collect::<Vec<_>>();
    (
        row.topic_id.0,
        row.partition_id.0,
        numbers(&row.replicas),
        numbers(&row.isr),
        row.leader.map(|id| id.0),
        row.leader_epoch.0,
        row.partition_epoch.0,
        u8::from(row.recovery == LeaderRecovery::Recovering),
    )
}

fn broker(row: &Broker) -> impl Serialize {
    (
        row.id.0,
        signed(row.epoch.0),
        row.incarnation.map(|incarnation| incarnation.0),
        row.host.as_str(),
        row.port,
        row.rack.as_ref().map(Rack::as_str),
        u8::from(row.fenced),
        row.registered_at.0,
        signed(row.registered_index.0),
    )
}

/// JSON has no bytes: the answer travels as hex digits.
fn dedup(row: &DedupEntry) -> impl Serialize {
    let outcome = hex(&outcome_bytes(&row.outcome));
    (
        row.key.principal.as_str(),
        row.key.key.as_str(),
        fingerprint_text(row.fingerprint),
        signed(row.index.0),
        signed(row.log_time.0),
        outcome,
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing into a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn array<T: Serialize>(rows: impl Iterator<Item = T>) -> sqlx::Result<String> {
    let rows: Vec<T> = rows.collect();
    serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Deletes every row in one transaction and gives the owner epoch that was in force, 0 without one.
pub(super) async fn wipe(connection: &mut SqliteConnection) -> sqlx::Result<u64> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    delete_all(&mut transaction).await?;
    let epoch: Option<i64> = sqlx::query_scalar("DELETE FROM node_meta RETURNING owner_epoch")
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(epoch.map_or(0, unsigned))
}
