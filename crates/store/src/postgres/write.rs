//! Rows and position as PostgreSQL's parameters: one array per column, one statement per table.
//!
//! Lists of brokers travel as array literals in text, since arrays of arrays must not be ragged.
//! Times travel as milliseconds.

use std::fmt::Write;

use dmq_metadata::{BrokerId, LeaderRecovery, Rack};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::statements::{
    ADVANCE, CLAIM, DELETE_ALL, DELETE_BROKERS, DELETE_CONFIGS, DELETE_DEDUP, DELETE_PARTITIONS,
    DELETE_TOPICS, DROP_OURS, PUT_BROKERS, PUT_CONFIGS, PUT_DEDUP, PUT_PARTITIONS, PUT_TOPICS,
};
use crate::row::{fingerprint_text, nonce_text, outcome_bytes, signed};
use crate::{Checkpoint, Owner, RowChanges, SCHEMA_VERSION};

/// Who writes: what the position's row must still say.
pub(super) struct Writer<'a> {
    pub(super) owner: &'a Owner,
    pub(super) epoch: u64,
}

/// Writes rows within a transaction, tables without any left out. Settings of a topic older than
/// `first` may be in the database: they go before the present ones are written.
pub(super) async fn write_rows(
    connection: &mut PgConnection,
    rows: &RowChanges,
    first: u64,
) -> sqlx::Result<()> {
    delete_topics(connection, rows, first).await?;
    delete_others(connection, rows).await?;
    put_topics(connection, rows).await?;
    put_configs(connection, rows).await?;
    put_partitions(connection, rows).await?;
    put_brokers(connection, rows).await?;
    put_dedup(connection, rows).await
}

async fn delete_topics(
    connection: &mut PgConnection,
    rows: &RowChanges,
    first: u64,
) -> sqlx::Result<()> {
    let rewritten = rows
        .topics
        .values()
        .filter(|topic| topic.created_index.0 < first);
    let stale_settings = rows
        .deleted_topics
        .iter()
        .copied()
        .chain(rewritten.map(|topic| topic.id));
    delete(
        connection,
        DELETE_CONFIGS,
        stale_settings.map(|id| id.0).collect(),
    )
    .await?;
    delete(
        connection,
        DELETE_TOPICS,
        rows.deleted_topics.iter().map(|id| id.0).collect(),
    )
    .await?;
    let partitions = rows.deleted_partitions.iter().map(|id| id.0).collect();
    delete(connection, DELETE_PARTITIONS, partitions).await
}

async fn delete(
    connection: &mut PgConnection,
    sql: &'static str,
    ids: Vec<Uuid>,
) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(sql)
        .bind(ids)
        .execute(connection)
        .await
        .map(drop)
}

async fn delete_others(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    if !rows.deleted_brokers.is_empty() {
        let ids: Vec<i64> = rows.deleted_brokers.iter().map(|id| id.0.into()).collect();
        sqlx::query(DELETE_BROKERS)
            .bind(ids)
            .execute(&mut *connection)
            .await?;
    }
    if !rows.deleted_dedup.is_empty() {
        let principals: Vec<&str> = rows
            .deleted_dedup
            .iter()
            .map(|key| key.principal.as_str())
            .collect();
        let keys: Vec<&str> = rows
            .deleted_dedup
            .iter()
            .map(|key| key.key.as_str())
            .collect();
        sqlx::query(DELETE_DEDUP)
            .bind(principals)
            .bind(keys)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn put_topics(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    if rows.topics.is_empty() {
        return Ok(());
    }
    let topics = || rows.topics.values();
    sqlx::query(PUT_TOPICS)
        .bind(topics().map(|row| row.id.0).collect::<Vec<_>>())
        .bind(topics().map(|row| row.name.as_str()).collect::<Vec<_>>())
        .bind(
            topics()
                .map(|row| i64::from(row.partition_count))
                .collect::<Vec<_>>(),
        )
        .bind(
            topics()
                .map(|row| i64::from(row.replication_factor))
                .collect::<Vec<_>>(),
        )
        .bind(topics().map(|row| row.created_at.0).collect::<Vec<_>>())
        .bind(
            topics()
                .map(|row| signed(row.created_index.0))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(drop)
}

async fn put_configs(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    let settings: Vec<(Uuid, &str, &str)> = rows
        .topics
        .values()
        .flat_map(|topic| {
            topic
                .configs
                .iter()
                .map(|(name, value)| (topic.id.0, name, value))
        })
        .collect();
    if settings.is_empty() {
        return Ok(());
    }
    sqlx::query(PUT_CONFIGS)
        .bind(settings.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(settings.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(settings.iter().map(|row| row.2).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

async fn put_partitions(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    if rows.partitions.is_empty() {
        return Ok(());
    }
    let partitions = || rows.partitions.values();
    sqlx::query(PUT_PARTITIONS)
        .bind(partitions().map(|row| row.topic_id.0).collect::<Vec<_>>())
        .bind(
            partitions()
                .map(|row| i64::from(row.partition_id.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| array_literal(&row.replicas))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| array_literal(&row.isr))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| row.leader.map(|id| i64::from(id.0)))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| i64::from(row.leader_epoch.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| i64::from(row.partition_epoch.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            partitions()
                .map(|row| row.recovery == LeaderRecovery::Recovering)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(drop)
}

async fn put_brokers(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    if rows.brokers.is_empty() {
        return Ok(());
    }
    let brokers = || rows.brokers.values();
    sqlx::query(PUT_BROKERS)
        .bind(brokers().map(|row| i64::from(row.id.0)).collect::<Vec<_>>())
        .bind(brokers().map(|row| signed(row.epoch.0)).collect::<Vec<_>>())
        .bind(
            brokers()
                .map(|row| row.incarnation.map(|id| id.0))
                .collect::<Vec<_>>(),
        )
        .bind(brokers().map(|row| row.host.as_str()).collect::<Vec<_>>())
        .bind(brokers().map(|row| i32::from(row.port)).collect::<Vec<_>>())
        .bind(
            brokers()
                .map(|row| row.rack.as_ref().map(Rack::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(brokers().map(|row| row.fenced).collect::<Vec<_>>())
        .bind(brokers().map(|row| row.registered_at.0).collect::<Vec<_>>())
        .bind(
            brokers()
                .map(|row| signed(row.registered_index.0))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(drop)
}

async fn put_dedup(connection: &mut PgConnection, rows: &RowChanges) -> sqlx::Result<()> {
    if rows.dedup.is_empty() {
        return Ok(());
    }
    let entries = || rows.dedup.values();
    sqlx::query(PUT_DEDUP)
        .bind(
            entries()
                .map(|row| row.key.principal.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            entries()
                .map(|row| row.key.key.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            entries()
                .map(|row| fingerprint_text(row.fingerprint))
                .collect::<Vec<_>>(),
        )
        .bind(entries().map(|row| signed(row.index.0)).collect::<Vec<_>>())
        .bind(
            entries()
                .map(|row| signed(row.log_time.0))
                .collect::<Vec<_>>(),
        )
        .bind(
            entries()
                .map(|row| outcome_bytes(&row.outcome))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map(drop)
}

/// Moves the position within a transaction; `expected` `None`: from wherever it is. `false`: it is
/// not ours any more.
pub(super) async fn advance(
    connection: &mut PgConnection,
    at: &Checkpoint,
    expected: Option<u64>,
    writer: &Writer<'_>,
) -> sqlx::Result<bool> {
    let configuration = at.configuration.as_ref();
    let done = sqlx::query(ADVANCE)
        .bind(signed(at.index.0))
        .bind(signed(at.term.0))
        .bind(configuration.map(|configuration| configuration.bytes.as_slice()))
        .bind(configuration.map(|configuration| signed(configuration.index.0)))
        .bind(i64::from(at.feature_level.0))
        .bind(signed(at.log_time.0))
        .bind(at.state_hash.to_string())
        .bind(signed(at.snapshot_index.0))
        .bind(expected.map(signed))
        .bind(signed(writer.epoch))
        .bind(writer.owner.directory.0)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes every row but the position.
pub(super) async fn delete_all(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(DELETE_ALL)
        .execute(connection)
        .await
        .map(drop)
}

/// Claims a database whose position is before the first entry. Rows that are there all the same
/// (somebody deleted the position alone) go in the same transaction: the next start must not take
/// them for what the log wrote.
pub(super) async fn claim_empty(
    connection: &mut PgConnection,
    writer: &Writer<'_>,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    delete_all(&mut transaction).await?;
    claim(&mut transaction, writer).await?;
    transaction.commit().await
}

/// Writes the owner under a new epoch.
pub(super) async fn claim(connection: &mut PgConnection, writer: &Writer<'_>) -> sqlx::Result<()> {
    let Writer { owner, epoch } = writer;
    sqlx::query(CLAIM)
        .bind(owner.cluster_id.as_str())
        .bind(signed(owner.incarnation.number))
        .bind(nonce_text(owner.incarnation.nonce))
        .bind(i64::from(owner.node.0))
        .bind(owner.directory.0)
        .bind(i32::try_from(SCHEMA_VERSION).unwrap_or(i32::MAX))
        .bind(signed(*epoch))
        .bind(Checkpoint::before_first().state_hash.to_string())
        .execute(connection)
        .await
        .map(drop)
}

/// `{1,2,3}`.
fn array_literal(brokers: &[BrokerId]) -> String {
    let mut literal = String::with_capacity(2 + 4 * brokers.len());
    literal.push('{');
    for (position, broker) in brokers.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        // Writing into a string does not fail.
        let _ = write!(literal, "{comma}{broker}");
    }
    literal.push('}');
    literal
}

/// Deletes every row, the position included, in one transaction.
pub(super) async fn wipe(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    delete_all(&mut transaction).await?;
    sqlx::raw_sql("DELETE FROM node_meta")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Drops what we made, in whatever version, and nothing else.
pub(super) async fn drop_ours(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(DROP_OURS).execute(connection).await.map(drop)
}
