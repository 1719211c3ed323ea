//! SQLite against the conformance suite, and what only a file can suffer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed"
)]

use async_trait::async_trait;
use dmq_store::conformance::history::{History, owner};
use dmq_store::conformance::{Backend, Tamper, assert_at, bring_to, position, prepare_with};
use dmq_store::{Found, Prepared, Refusal, SCHEMA_VERSION, SqliteStore, StateStore, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tempfile::TempDir;

struct Sqlite(TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(TempDir::with_prefix("dmq-sqlite-").unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("metadata.db")
    }

    async fn sql(&self, sql: &str) {
        let options = SqliteConnectOptions::new()
            .filename(self.path())
            .create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Stores close their files on a thread of their own: waits until the last one has, and the
    /// file holds everything.
    async fn wait_until_closed(&self) {
        while self.path().with_extension("db-wal").exists() {
            tokio::task::yield_now().await;
            // The last connection to close removes the write-ahead log.
            self.sql("SELECT 1 FROM node_meta").await;
        }
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let mut connection = SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await
            .unwrap();
        sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn open(&self) -> Box<dyn StateStore> {
        Box::new(SqliteStore::new(self.path()))
    }

    async fn tamper(&self, tamper: Tamper) {
        self.sql(tamper.sql()).await;
    }
}

dmq_store::conformance_tests!(async { Some(Sqlite::new()) });

/// Prepares, expects to rebuild, and goes on to the end of `history`.
async fn assert_rebuilt(sqlite: &Sqlite, history: &History) {
    let mut store = sqlite.open();
    assert_eq!(
        prepare_with(&mut *store, history, 0).await.unwrap(),
        Prepared::Rebuild
    );
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    assert_at(sqlite, history, history.last().0).await.unwrap();
}

#[tokio::test]
async fn an_unknown_schema_version_is_dropped_and_rebuilt() {
    let sqlite = Sqlite::new();
    let history = History::new(50, 60);
    bring_to(&mut *sqlite.open(), &history, 60).await.unwrap();
    sqlite
        .sql("UPDATE node_meta SET schema_version = 99; CREATE TABLE of_the_future (x)")
        .await;
    let found = sqlite.open().position().await.unwrap();
    let expected = Found::UnknownSchema {
        version: Some(99),
        owner: Some(owner()),
    };
    assert_eq!(found, expected);
    assert_rebuilt(&sqlite, &history).await;
    let version = sqlite.number("SELECT schema_version FROM node_meta").await;
    assert_eq!(version, i64::from(SCHEMA_VERSION));
    let left = sqlite
        .number("SELECT count(*) FROM sqlite_schema WHERE name = 'of_the_future'")
        .await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_unknown_schema_of_another_cluster_is_refused() {
    let sqlite = Sqlite::new();
    let history = History::new(51, 60);
    bring_to(&mut *sqlite.open(), &history, 60).await.unwrap();
    sqlite
        .sql("UPDATE node_meta SET schema_version = 99, cluster_id = 'another'")
        .await;
    let prepared = prepare_with(&mut *sqlite.open(), &history, 0)
        .await
        .unwrap();
    assert!(
        matches!(prepared, Prepared::Refused(Refusal::OtherCluster { .. })),
        "{prepared:?}"
    );
    assert_eq!(
        sqlite.number("SELECT schema_version FROM node_meta").await,
        99
    );
}

#[tokio::test]
async fn a_changed_migration_is_an_unknown_schema() {
    let sqlite = Sqlite::new();
    let history = History::new(52, 60);
    bring_to(&mut *sqlite.open(), &history, 60).await.unwrap();
    sqlite
        .sql("UPDATE dmq_migrations SET checksum = x'00'")
        .await;
    assert_rebuilt(&sqlite, &history).await;
}

#[tokio::test]
async fn a_missing_table_is_made_again() {
    let sqlite = Sqlite::new();
    let history = History::new(53, 60);
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    sqlite.sql("DROP TABLE partitions").await;
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    drop(store);
    assert_rebuilt(&sqlite, &history).await;
}

#[tokio::test]
async fn somebody_elses_file_is_refused_and_untouched() {
    let sqlite = Sqlite::new();
    let history = History::new(54, 10);
    sqlite
        .sql("CREATE TABLE holidays (day TEXT); INSERT INTO holidays VALUES ('monday')")
        .await;
    let before = std::fs::read(sqlite.path()).unwrap();
    let mut store = sqlite.open();
    let prepared = prepare_with(&mut *store, &history, 0).await.unwrap();
    assert!(
        matches!(prepared, Prepared::Refused(Refusal::Foreign { .. })),
        "{prepared:?}"
    );
    assert!(matches!(
        store.claim(&owner()).await,
        Err(StoreError::Invalid(_))
    ));
    assert!(matches!(
        store.wipe(&owner()).await,
        Err(StoreError::Invalid(_))
    ));
    assert_eq!(std::fs::read(sqlite.path()).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_untouched() {
    let sqlite = Sqlite::new();
    let history = History::new(55, 10);
    let text = "not a database\n".repeat(1000);
    std::fs::write(sqlite.path(), &text).unwrap();
    let prepared = prepare_with(&mut *sqlite.open(), &history, 0)
        .await
        .unwrap();
    assert!(
        matches!(prepared, Prepared::Refused(Refusal::Foreign { .. })),
        "{prepared:?}"
    );
    assert_eq!(std::fs::read_to_string(sqlite.path()).unwrap(), text);
}

#[tokio::test]
async fn a_broken_file_of_ours_is_made_again() {
    let sqlite = Sqlite::new();
    let history = History::new(56, 300);
    bring_to(&mut *sqlite.open(), &history, 200).await.unwrap();
    sqlite.wait_until_closed().await;
    let mut bytes = std::fs::read(sqlite.path()).unwrap();
    // The header stays, every page behind it is overwritten, the first one's catalogue included.
    bytes[100..].fill(0xa5);
    std::fs::write(sqlite.path(), bytes).unwrap();
    assert_rebuilt(&sqlite, &history).await;
}

#[tokio::test]
async fn a_file_removed_while_running_is_noticed_and_made_again() {
    let sqlite = Sqlite::new();
    let history = History::new(57, 60);
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    for entry in std::fs::read_dir(sqlite.0.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    assert_eq!(
        prepare_with(&mut *store, &history, 30).await.unwrap(),
        Prepared::Rebuild
    );
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    assert_at(&sqlite, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_file_replaced_by_another_clusters_while_running_is_refused() {
    let (sqlite, other) = (Sqlite::new(), Sqlite::new());
    let history = History::new(58, 60);
    bring_to(&mut *other.open(), &history, 20).await.unwrap();
    other.tamper(Tamper::OtherCluster).await;
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    other.wait_until_closed().await;
    for companion in ["db-wal", "db-shm"] {
        std::fs::remove_file(sqlite.path().with_extension(companion)).unwrap();
    }
    std::fs::rename(other.path(), sqlite.path()).unwrap();
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    let prepared = prepare_with(&mut *store, &history, 0).await.unwrap();
    assert!(
        matches!(prepared, Prepared::Refused(Refusal::OtherCluster { .. })),
        "{prepared:?}"
    );
}

#[tokio::test]
async fn tables_emptied_while_running_are_rebuilt() {
    let sqlite = Sqlite::new();
    let history = History::new(59, 60);
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    sqlite
        .sql("DELETE FROM node_meta; DELETE FROM partitions; DELETE FROM topics")
        .await;
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    assert_eq!(
        prepare_with(&mut *store, &history, 0).await.unwrap(),
        Prepared::Rebuild
    );
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    assert_at(&sqlite, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_file_from_a_backup_is_caught_up_or_rebuilt() {
    let sqlite = Sqlite::new();
    let history = History::new(60, 90);
    bring_to(&mut *sqlite.open(), &history, 30).await.unwrap();
    sqlite.wait_until_closed().await;
    let backup = std::fs::read(sqlite.path()).unwrap();
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 60).await.unwrap();
    drop(store);
    sqlite.wait_until_closed().await;
    std::fs::write(sqlite.path(), backup).unwrap();
    let mut store = sqlite.open();
    assert_eq!(
        prepare_with(&mut *store, &history, 60).await.unwrap(),
        Prepared::Rebuild
    );
    drop(store);
    bring_to(&mut *sqlite.open(), &history, 90).await.unwrap();
    assert_at(&sqlite, &history, 90).await.unwrap();
}

/// The lock file was removed by hand, so that nothing but the epoch stands between two writers.
#[tokio::test]
async fn a_second_owner_without_the_lock_fences_the_first() {
    let sqlite = Sqlite::new();
    let history = History::new(61, 60);
    let mut first = sqlite.open();
    bring_to(&mut *first, &history, 20).await.unwrap();
    std::fs::remove_file(sqlite.0.path().join("metadata.db.lock")).unwrap();
    let mut second = sqlite.open();
    bring_to(&mut *second, &history, 40).await.unwrap();
    let applied = first.apply(&history.batch(21, 60)).await;
    assert!(matches!(applied, Err(StoreError::Fenced(_))), "{applied:?}");
    second.apply(&history.batch(41, 60)).await.unwrap();
    assert_at(&sqlite, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_long_reader_sees_one_state_and_holds_nothing_up() {
    let sqlite = Sqlite::new();
    let history = History::new(62, 300);
    let mut store = sqlite.open();
    bring_to(&mut *store, &history, 100).await.unwrap();
    let mut reader = SqliteConnectOptions::new()
        .filename(sqlite.path())
        .read_only(true)
        .connect()
        .await
        .unwrap();
    let count =
        "SELECT (SELECT count(*) FROM partitions) * 1000000 + last_applied_index FROM node_meta";
    sqlx::raw_sql("BEGIN").execute(&mut reader).await.unwrap();
    let before: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    store.apply(&history.batch(101, 200)).await.unwrap();
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    let after: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!((before, before % 1_000_000), (after, 100));
    assert_eq!(position(&sqlite).await.unwrap().at.index.0, 300);
}

#[tokio::test]
async fn the_views_show_what_people_ask_for() {
    let sqlite = Sqlite::new();
    let history = History::new(63, 300);
    bring_to(&mut *sqlite.open(), &history, 300).await.unwrap();
    let counts = history.image().counts();
    let number = |sql| sqlite.number(sql);
    let topics = number("SELECT count(*) FROM topic_overview").await;
    let partitions = number("SELECT sum(partition_count) FROM topic_overview").await;
    let offline = number("SELECT sum(offline_partitions) FROM topic_overview").await;
    let offline_again = number("SELECT count(*) FROM partition_overview WHERE offline").await;
    let replicas = number("SELECT sum(replicas) FROM broker_overview").await;
    let held: usize = history
        .image()
        .partitions()
        .map(|row| row.replicas.len())
        .sum();
    let expected = [
        counts.topics,
        counts.partitions,
        counts.offline_partitions,
        held,
    ];
    assert_eq!(
        [topics, partitions, offline, replicas],
        expected.map(|n| i64::try_from(n).unwrap())
    );
    assert_eq!(offline, offline_again);
    let dated =
        number("SELECT count(*) FROM topic_overview WHERE created_at LIKE '2023-11-14 %'").await;
    assert_eq!(dated, topics);
}
