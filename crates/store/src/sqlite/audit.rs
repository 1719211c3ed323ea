//! Reads every row back and hashes it anew.

use futures::TryStreamExt;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use uuid::Uuid;

use super::error::classify;
use super::inspect::inspect;
use crate::audit::{RowsHash, Trouble};
use crate::row::{BrokerColumns, DedupColumns, PartitionColumns, TopicColumns};
use crate::{Audit, Found, StoreError};

const TOPICS: &str = "
    SELECT *, (SELECT json_group_array(json_array(c.name, c.value))
               FROM topic_configs c WHERE c.topic_id = t.topic_id) AS configs
    FROM topics t";
const PARTITIONS: &str = "SELECT * FROM partitions";
const BROKERS: &str = "SELECT * FROM brokers";
const DEDUP: &str = "SELECT * FROM request_dedup";
/// Settings without a topic enter no hash, so they are looked for.
const ORPHANS: &str = "
    SELECT count(*) FROM topic_configs WHERE topic_id NOT IN (SELECT topic_id FROM topics)";

/// Audits within one read transaction, so that rows and position belong together.
pub(super) async fn audit(connection: &mut SqliteConnection) -> Result<Audit, StoreError> {
    let mut view = connection.begin().await.map_err(classify)?;
    let at = match inspect(&mut view).await.map_err(classify)? {
        Found::At(position) => position.at,
        found => return Err(StoreError::Invalid(format!("nothing to audit: {found:?}"))),
    };
    let mut hash = RowsHash::new(at);
    let read = read_all(&mut view, &mut hash).await;
    hash.finding(read).map_err(classify)
}

async fn read_all(view: &mut SqliteConnection, hash: &mut RowsHash) -> Result<(), Trouble> {
    let orphans: i64 = sqlx::query_scalar(ORPHANS).fetch_one(&mut *view).await?;
    if orphans > 0 {
        return Err(Trouble::Damage(format!(
            "topic_configs: {orphans} rows without a topic"
        )));
    }
    each(view, TOPICS, |row| Ok(hash.topic(topic(row)?)?)).await?;
    each(view, PARTITIONS, |row| Ok(hash.partition(partition(row)?)?)).await?;
    each(view, BROKERS, |row| Ok(hash.broker(broker(row)?)?)).await?;
    each(view, DEDUP, |row| Ok(hash.dedup(dedup(row)?)?)).await
}

async fn each(
    view: &mut SqliteConnection,
    select: &'static str,
    mut take: impl FnMut(&SqliteRow) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut rows = sqlx::query(select).fetch(view);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

fn topic(row: &SqliteRow) -> Result<TopicColumns, Trouble> {
    Ok(TopicColumns {
        id: uuid(row, "topic_id")?,
        name: row.try_get("name")?,
        partition_count: row.try_get("partition_count")?,
        replication_factor: row.try_get("replication_factor")?,
        created_at_ms: row.try_get("created_at_ms")?,
        created_index: row.try_get("created_index")?,
        configs: json(row, "configs")?,
    })
}

fn partition(row: &SqliteRow) -> Result<PartitionColumns, Trouble> {
    Ok(PartitionColumns {
        topic_id: uuid(row, "topic_id")?,
        partition_id: row.try_get("partition_id")?,
        replicas: json(row, "replicas")?,
        isr: json(row, "isr")?,
        leader: row.try_get("leader")?,
        leader_epoch: row.try_get("leader_epoch")?,
        partition_epoch: row.try_get("partition_epoch")?,
        recovering: row.try_get("recovering")?,
    })
}

fn broker(row: &SqliteRow) -> Result<BrokerColumns, Trouble> {
    let incarnation: Option<String> = row.try_get("incarnation_id")?;
    Ok(BrokerColumns {
        id: row.try_get("broker_id")?,
        epoch: row.try_get("broker_epoch")?,
        incarnation: incarnation
            .map(|_| uuid(row, "incarnation_id"))
            .transpose()?,
        host: row.try_get("host")?,
        port: row.try_get("port")?,
        rack: row.try_get("rack")?,
        fenced: row.try_get("fenced")?,
        registered_at_ms: row.try_get("registered_at_ms")?,
        registered_index: row.try_get("registered_index")?,
    })
}

fn dedup(row: &SqliteRow) -> Result<DedupColumns, Trouble> {
    Ok(DedupColumns {
        principal: row.try_get("principal")?,
        key: row.try_get("idempotency_key")?,
        fingerprint: row.try_get("fingerprint")?,
        index: row.try_get("entry_index")?,
        log_time_ms: row.try_get("log_time_ms")?,
        outcome: row.try_get("outcome")?,
    })
}

fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, Trouble> {
    let text: String = row.try_get(column)?;
    text.parse()
        .map_err(|_| Trouble::Damage(format!("{column} is '{text}': not a UUID")))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, Trouble> {
    let text: String = row.try_get(column)?;
    let damage = |error| Trouble::Damage(format!("{column} is '{text}': {error}"));
    serde_json::from_str(&text).map_err(damage)
}
