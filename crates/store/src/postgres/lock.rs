//! The writer lock: a session advisory lock, one for each schema.

use sqlx::PgConnection;

use super::error::classify;
use crate::{Owner, StoreError};

/// First half of the lock's key: "DMQ". The second half is the schema's oid.
const LOCK_CLASS: i32 = 0x0044_4d51;

const TRY_LOCK: &str = "
    SELECT pg_try_advisory_lock($1, (SELECT oid::int4 FROM pg_namespace WHERE nspname = current_schema()))";
const WAIT_LOCK: &str = "
    SELECT pg_advisory_lock($1, (SELECT oid::int4 FROM pg_namespace WHERE nspname = current_schema()))";
/// Sessions that hold the lock: process id, name, address and start.
const HOLDERS: &str = "
    SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'a local socket'), a.backend_start::text
    FROM pg_locks l
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND a.datname = current_database()
      AND l.classid::int4 = $1
      AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";

/// A session that holds the writer lock.
struct Holder {
    pid: i32,
    name: String,
    address: String,
    since: String,
}

/// Takes the lock for the rest of the session.
///
/// An earlier session of this very data directory is ended: the directory has one process at a
/// time, so that session is a remainder of a connection that broke. Anybody else's lock is
/// respected.
pub(super) async fn take(connection: &mut PgConnection, me: &Owner) -> Result<(), StoreError> {
    let name = session_name(me);
    let named = sqlx::query("SELECT set_config('application_name', $1, false)").bind(&name);
    named.execute(&mut *connection).await.map_err(classify)?;
    if try_lock(connection).await.map_err(classify)? {
        return Ok(());
    }
    for holder in holders(connection).await.map_err(classify)? {
        if holder.name != name {
            return Err(held_by(&holder));
        }
        let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(holder.pid);
        end.execute(&mut *connection).await.map_err(classify)?;
    }
    // `lock_timeout` bounds the wait for a session that is ending.
    let wait = sqlx::query(WAIT_LOCK)
        .bind(LOCK_CLASS)
        .execute(connection)
        .await;
    wait.map(drop).map_err(classify)
}

/// At most 56 bytes; the server cuts names behind 63.
fn session_name(me: &Owner) -> String {
    format!("dmq-metadata {}", me.directory)
}

async fn try_lock(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(TRY_LOCK)
        .bind(LOCK_CLASS)
        .fetch_one(connection)
        .await
}

async fn holders(connection: &mut PgConnection) -> sqlx::Result<Vec<Holder>> {
    let rows: Vec<(i32, String, String, String)> = sqlx::query_as(HOLDERS)
        .bind(LOCK_CLASS)
        .fetch_all(connection)
        .await?;
    let holder = |(pid, name, address, since)| Holder {
        pid,
        name,
        address,
        since,
    };
    Ok(rows.into_iter().map(holder).collect())
}

fn held_by(holder: &Holder) -> StoreError {
    let Holder {
        pid,
        name,
        address,
        since,
    } = holder;
    StoreError::Unavailable(format!(
        "another writer holds the lock: session {pid} '{name}' from {address}, since {since}"
    ))
}
