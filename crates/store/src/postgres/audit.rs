//! Reads every row back and hashes it anew.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::error::classify;
use super::inspect::inspect;
use crate::audit::{RowsHash, Trouble};
use crate::row::{BrokerColumns, DedupColumns, PartitionColumns, TopicColumns};
use crate::{Audit, Found, StoreError};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const TOPICS: &str = "
    SELECT *, floor(extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms,
           coalesce((SELECT json_agg(json_build_array(c.name, c.value))
                     FROM topic_configs c WHERE c.topic_id = t.topic_id)::text, '[]') AS configs
    FROM topics t";
const PARTITIONS: &str = "SELECT * FROM partitions";
const BROKERS: &str = "
    SELECT *, port::bigint AS port_number,
           floor(extract(epoch FROM registered_at) * 1000)::bigint AS registered_at_ms
    FROM brokers";
const DEDUP: &str = "SELECT * FROM request_dedup";
/// Settings without a topic enter no hash, so they are looked for.
const ORPHANS: &str = "
    SELECT count(*) FROM topic_configs c
    WHERE NOT EXISTS (SELECT 1 FROM topics t WHERE t.topic_id = c.topic_id)";

/// Audits within one snapshot, so that rows and position belong together.
pub(super) async fn audit(connection: &mut PgConnection) -> Result<Audit, StoreError> {
    let mut view = connection.begin_with(BEGIN).await.map_err(classify)?;
    let at = match inspect(&mut view).await.map_err(classify)? {
        Found::At(position) => position.at,
        found => return Err(StoreError::Invalid(format!("nothing to audit: {found:?}"))),
    };
    let mut hash = RowsHash::new(at);
    let read = read_all(&mut view, &mut hash).await;
    hash.finding(read).map_err(classify)
}

async fn read_all(view: &mut PgConnection, hash: &mut RowsHash) -> Result<(), Trouble> {
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
    view: &mut PgConnection,
    select: &'static str,
    mut take: impl FnMut(&PgRow) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut rows = sqlx::query(select).fetch(view);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

fn topic(row: &PgRow) -> Result<TopicColumns, Trouble> {
    let configs: String = row.try_get("configs")?;
    Ok(TopicColumns {
        id: row.try_get("topic_id")?,
        name: row.try_get("name")?,
        partition_count: row.try_get("partition_count")?,
        replication_factor: row.try_get("replication_factor")?,
        created_at_ms: row.try_get("created_at_ms")?,
        created_index: row.try_get("created_index")?,
        configs: serde_json::from_str(&configs).map_err(|error| error.to_string())?,
    })
}

fn partition(row: &PgRow) -> Result<PartitionColumns, Trouble> {
    Ok(PartitionColumns {
        topic_id: row.try_get("topic_id")?,
        partition_id: row.try_get("partition_id")?,
        replicas: row.try_get("replicas")?,
        isr: row.try_get("isr")?,
        leader: row.try_get("leader")?,
        leader_epoch: row.try_get("leader_epoch")?,
        partition_epoch: row.try_get("partition_epoch")?,
        recovering: row.try_get("recovering")?,
    })
}

fn broker(row: &PgRow) -> Result<BrokerColumns, Trouble> {
    Ok(BrokerColumns {
        id: row.try_get("broker_id")?,
        epoch: row.try_get("broker_epoch")?,
        incarnation: row.try_get("incarnation_id")?,
        host: row.try_get("host")?,
        port: row.try_get("port_number")?,
        rack: row.try_get("rack")?,
        fenced: row.try_get("fenced")?,
        registered_at_ms: row.try_get("registered_at_ms")?,
        registered_index: row.try_get("registered_index")?,
    })
}

fn dedup(row: &PgRow) -> Result<DedupColumns, Trouble> {
    Ok(DedupColumns {
        principal: row.try_get("principal")?,
        key: row.try_get("idempotency_key")?,
        fingerprint: row.try_get("fingerprint")?,
        index: row.try_get("entry_index")?,
        log_time_ms: row.try_get("log_time_ms")?,
        outcome: row.try_get("outcome")?,
    })
}
