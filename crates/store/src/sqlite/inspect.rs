//! Reads what a SQLite file says about itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::MIGRATOR;
use crate::row::{CheckpointColumns, OwnerColumns, unsigned};
use crate::schema::{Inspection, MIGRATIONS_TABLE, Meta};
use crate::{Found, Owner, Position};

/// `PRAGMA application_id` of our files: "DMQM", at this offset of the header.
const APPLICATION_ID: i64 = 0x444d_514d;
const APPLICATION_ID_OFFSET: usize = 68;

/// What the file is. Reads only.
pub(super) async fn inspect(connection: &mut SqliteConnection) -> sqlx::Result<Found> {
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

/// A file has one application id: any table in a file without ours is a stranger's. Only the
/// migrator's table is made before the id is set.
async fn tables(connection: &mut SqliteConnection) -> sqlx::Result<Vec<(String, bool)>> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(connection)
            .await?;
    let ours = |name: &str| id == APPLICATION_ID || name == MIGRATIONS_TABLE;
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), ours(&name)))
        .collect())
}

async fn migrations(connection: &mut SqliteConnection) -> sqlx::Result<Vec<(i64, Vec<u8>, bool)>> {
    sqlx::query_as("SELECT version, checksum, success FROM dmq_migrations ORDER BY version")
        .fetch_all(connection)
        .await
}

/// Columns are asked for one by one from whatever the row has: another version may have dropped
/// some.
async fn meta(connection: &mut SqliteConnection) -> sqlx::Result<Meta> {
    let row = sqlx::query("SELECT * FROM node_meta WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map_or(Meta::Missing, |row| {
        read_meta(&row).unwrap_or(Meta::Unreadable)
    }))
}

fn read_meta(row: &SqliteRow) -> Option<Meta> {
    let owner = owner(row).ok()??;
    let version = u32::try_from(row.try_get::<i64, _>("schema_version").ok()?).ok()?;
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

fn owner(row: &SqliteRow) -> sqlx::Result<Option<Owner>> {
    let directory: String = row.try_get("directory_id")?;
    let Ok(directory) = directory.parse::<Uuid>() else {
        return Ok(None);
    };
    let columns = OwnerColumns {
        cluster_id: row.try_get("cluster_id")?,
        incarnation: row.try_get("incarnation")?,
        nonce: row.try_get("incarnation_nonce")?,
        node: row.try_get("node_id")?,
        directory,
    };
    Ok(columns.into_owner())
}

fn checkpoint(row: &SqliteRow) -> sqlx::Result<CheckpointColumns> {
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

/// Whether the file's header bears our mark, even if SQLite cannot read the rest.
pub(super) fn has_our_header(path: &Path) -> bool {
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let id = APPLICATION_ID_OFFSET..APPLICATION_ID_OFFSET + 4;
    read.is_ok() && header.starts_with(b"SQLite format 3\0") && header[id] == *b"DMQM"
}
