//! A real PostgreSQL server for a test binary, and databases on it.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dmq_store::conformance::{Backend, Tamper};
use dmq_store::local_postgres::{LocalPostgresError, PostgresServer};
use dmq_store::{PostgresStore, StateStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::sync::OnceCell;

/// One database.
pub(crate) struct Postgres {
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) async fn connect(&self) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().unwrap();
        options.connect().await.unwrap()
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }
}

#[async_trait]
impl Backend for Postgres {
    fn open(&self) -> Box<dyn StateStore> {
        Box::new(PostgresStore::new(&self.url).unwrap())
    }

    async fn tamper(&self, tamper: Tamper) {
        self.sql(tamper.sql()).await;
    }
}

/// A database of its own on the server that this test binary shares.
pub(crate) async fn backend() -> Option<Postgres> {
    static SERVER: OnceCell<Option<PostgresServer>> = OnceCell::const_new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(own_server).await.as_ref()?;
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    Some(Postgres {
        url: server.url(&format!("dmq_{number}")),
    })
}

/// A server that the test may kill; `None` if there is no PostgreSQL on this machine and that is
/// allowed.
pub(crate) async fn own_server() -> Option<PostgresServer> {
    match PostgresServer::start().await {
        Ok(server) => Some(server),
        Err(error @ LocalPostgresError::NotInstalled) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "CI=true, and {error}");
            println!("skipped: no PostgreSQL ({error})");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
