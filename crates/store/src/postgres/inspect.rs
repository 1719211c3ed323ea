//! Reads what a PostgreSQL schema says about itself.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::MIGRATOR;
use crate::row::{CheckpointColumns, OwnerColumns, unsigned};
use crate::schema::{Inspection, MIGRATIONS_TABLE, Meta, TABLES};
use crate::{Found, Owner, Position};

/// Tables of our names in the current schema, with whether their comment marks them as ours.
const TABLES_FOUND: &str = "
    SELECT c.relname::text,
           c.relname = $2 OR coalesce(obj_description(c.oid, 'pg_class') LIKE 'DMQ Metadata:%', false)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND (c.relname = ANY ($1) OR c.relname = $2)
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// What the schema is. Reads only.
pub(super) async fn inspect(connection: &mut PgConnection) -> sqlx::Result<Found> {
    let mut inspection = Inspection {
        tables: tables(connection).await?,
        ..Inspection::default()
    };
    if inspection.is_ours(MIGRATIONS_TABLE) {
        inspection.migrations = migrations(connection).await?;
    }
    if inspection.is_ours("node_meta") {
        inspection.meta = meta(connection).await?;
    }
    Ok(inspection.verdict(&MIGRATOR))
}

async fn tables(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, bool)>> {
    let names = TABLES.map(str::to_owned).to_vec();
    sqlx::query_as(TABLES_FOUND)
        .bind(names)
        .bind(MIGRATIONS_TABLE)
        .fetch_all(connection)
        .await
}

async fn migrations(connection: &mut PgConnection) -> sqlx::Result<Vec<(i64, Vec<u8>, bool)>> {
    sqlx::query_as("SELECT version, checksum, success FROM dmq_migrations ORDER BY version")
        .fetch_all(connection)
        .await
}

/// Columns are asked for one by one from whatever the row has: another version may have dropped
/// some.
async fn meta(connection: &mut PgConnection) -> sqlx::Result<Meta> {
    let query = sqlx::query("SELECT * FROM node_meta WHERE id = 1").persistent(false);
    let row = query.fetch_optional(connection).await?;
    Ok(row.map_or(Meta::Missing, |row| {
        read_meta(&row).unwrap_or(Meta::Unreadable)
    }))
}

fn read_meta(row: &PgRow) -> Option<Meta> {
    let owner = owner(row).ok()??;
    let version = u32::try_from(row.try_get::<i32, _>("schema_version").ok()?).ok()?;
    let checkpoint = checkpoint(row)
        .ok()
        .and_then(CheckpointColumns::into_checkpoint);
    let epoch = row.try_get::<i64, _>("owner_epoch").ok();
    let position = checkpoint.zip(epoch).map(|(at, epoch)| Position {
        owner: owner.clone(),
        at,
        owner_epoch: unsigned(epoch),
    });
    Some(Meta::Row {
        version,
        owner,
        position,
    })
}

fn owner(row: &PgRow) -> sqlx::Result<Option<Owner>> {
    let columns = OwnerColumns {
        cluster_id: row.try_get("cluster_id")?,
        incarnation: row.try_get("incarnation")?,
        nonce: row.try_get("incarnation_nonce")?,
        node: row.try_get("node_id")?,
        directory: row.try_get("directory_id")?,
    };
    Ok(columns.into_owner())
}

fn checkpoint(row: &PgRow) -> sqlx::Result<CheckpointColumns> {
    Ok(CheckpointColumns {
        index: row.try_get("last_applied_index")?,
        term: row.try_get("last_applied_term")?,
        config: row.try_get("last_config")?,
        config_index: row.try_get("last_config_index")?,
        feature_level: row.try_get("feature_level")?,
        log_time_ms: row.try_get("log_time_ms")?,
        state_hash: row.try_get("state_hash")?,
        snapshot_index: row.try_get("snapshot_index")?,
    })
}
