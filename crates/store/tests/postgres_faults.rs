//! What only a server can suffer: killed, restarted, emptied, replaced, locked, taken over; each on
//! a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed"
)]

mod server;

use std::sync::Arc;

use dmq_metadata::{DirectoryId, MetadataIndex};
use dmq_store::conformance::history::{History, owner};
use dmq_store::conformance::{Backend, Tamper, assert_at, bring_to, position, prepare_with};
use dmq_store::{
    Found, PostgresStore, Prepared, Refusal, SCHEMA_VERSION, StateStore, StoreError,
    ensure_database,
};
use server::{Postgres, backend, own_server};
use tokio::sync::watch;

/// A database on the shared server, or the end of the test.
macro_rules! database {
    () => {
        match backend().await {
            Some(database) => database,
            None => return,
        }
    };
}

/// A server of the test's own, or the end of the test.
macro_rules! server {
    () => {
        match own_server().await {
            Some(server) => server,
            None => return,
        }
    };
}

/// Prepares until the server answers.
async fn prepare_in_the_end(store: &mut dyn StateStore, history: &History) -> Prepared {
    loop {
        match prepare_with(store, history, 0).await {
            Ok(prepared) => return prepared,
            Err(error) => assert!(error.retryable(), "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Prepares, expects to rebuild, and goes on to the end of `history`.
async fn assert_rebuilt(database: &Postgres, store: &mut dyn StateStore, history: &History) {
    assert_eq!(prepare_in_the_end(store, history).await, Prepared::Rebuild);
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    assert_at(database, history, history.last().0)
        .await
        .unwrap();
}

/// Writes one entry per batch up to the end, through any number of broken connections. Tells its
/// position.
async fn project_to_the_end(
    database: &Postgres,
    history: &History,
    progress: &watch::Sender<u64>,
) -> u32 {
    let mut breaks = 0;
    let mut store = database.open();
    'connection: loop {
        let mut from = match prepare_in_the_end(&mut *store, history).await {
            Prepared::Resume { from } => from.0,
            Prepared::Rebuild => {
                bring_to(&mut *store, history, 0).await.unwrap_or_default();
                continue;
            }
            other => panic!("{other:?}"),
        };
        // The server may have lost its last commits, but never a part of one.
        assert!(
            from <= *progress.borrow() + 2,
            "nothing is there that was not sent"
        );
        while from <= history.last().0 {
            match store.apply(&history.batch(from, from)).await {
                Ok(()) => progress.send_replace(from),
                Err(error) if error.retryable() => {
                    breaks += 1;
                    continue 'connection;
                }
                Err(error) => panic!("{error}"),
            };
            from += 1;
        }
        return breaks;
    }
}

#[tokio::test]
async fn a_server_killed_while_batches_run_is_caught_up_without_loss_or_repetition() {
    let mut server = server!();
    let database = Arc::new(Postgres {
        url: server.url("killed"),
    });
    let history = Arc::new(History::new(70, 900));
    bring_to(&mut *database.open(), &history, 0).await.unwrap();
    let (progress, mut seen) = watch::channel(0);
    let projector = tokio::spawn({
        let (database, history) = (Arc::clone(&database), Arc::clone(&history));
        async move { project_to_the_end(&database, &history, &progress).await }
    });
    for kill_at in [100, 350, 351, 700] {
        seen.wait_for(|index| *index >= kill_at).await.unwrap();
        server.kill().await.unwrap();
        server.restart().await.unwrap();
        let audit = database.open().audit().await.unwrap();
        assert!(audit.is_clean(), "after the kill at {kill_at}: {audit:?}");
    }
    let breaks = projector.await.unwrap();
    assert!(breaks >= 3, "only {breaks} kills met a batch");
    assert_at(&*database, &history, 900).await.unwrap();
}

#[tokio::test]
async fn a_server_stopped_in_order_is_waited_for() {
    let mut server = server!();
    let database = Postgres {
        url: server.tcp_url("stopped"),
    };
    let history = History::new(71, 60);
    let mut store = database.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    server.stop().await.unwrap();
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(&applied, Err(error) if error.retryable()),
        "{applied:?}"
    );
    let prepared = prepare_with(&mut *store, &history, 0).await;
    assert!(
        matches!(prepared, Err(StoreError::Unavailable(_))),
        "{prepared:?}"
    );
    server.restart().await.unwrap();
    let from = MetadataIndex(31);
    assert_eq!(
        prepare_with(&mut *store, &history, 0).await.unwrap(),
        Prepared::Resume { from }
    );
    store.apply(&history.batch(31, 60)).await.unwrap();
    assert_at(&database, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_server_emptied_while_running_is_filled_again() {
    let mut server = server!();
    let database = Postgres {
        url: server.url("emptied"),
    };
    let history = History::new(72, 60);
    let mut store = database.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    server.wipe().await.unwrap();
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(&applied, Err(error) if error.retryable()),
        "{applied:?}"
    );
    assert_rebuilt(&database, &mut *store, &history).await;
}

#[tokio::test]
async fn a_directory_keeps_its_rows_for_the_next_server() {
    let history = History::new(73, 60);
    let directory = tempfile::TempDir::with_prefix("dmq-postgres-kept-").unwrap();
    let started = || dmq_store::local_postgres::PostgresServer::start_in(directory.path());
    if own_server().await.is_none() {
        return;
    }
    let first = started().await.unwrap();
    let kept = Postgres {
        url: first.url("kept"),
    };
    bring_to(&mut *kept.open(), &history, 60).await.unwrap();
    drop(first);
    let second = started().await.unwrap();
    let kept = Postgres {
        url: second.url("kept"),
    };
    // An immediate shutdown may have taken the last, asynchronous commits back, never a part of
    // one.
    assert!(kept.open().audit().await.unwrap().is_clean());
    bring_to(&mut *kept.open(), &history, 60).await.unwrap();
    assert_at(&kept, &history, 60).await.unwrap();
}

/// The session ends in the middle of its COMMIT, at the server's word.
#[tokio::test]
async fn an_error_during_commit_is_an_unknown_outcome_that_the_position_settles() {
    let database = database!();
    let history = History::new(74, 60);
    let mut store = database.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    let die_at_commit = "
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON node_meta
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()";
    database.sql(die_at_commit).await;
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::CommitUnknown(_))),
        "{applied:?}"
    );
    database.sql("DROP TRIGGER die ON node_meta").await;
    let from = MetadataIndex(31);
    assert_eq!(
        prepare_in_the_end(&mut *store, &history).await,
        Prepared::Resume { from }
    );
    store.apply(&history.batch(31, 60)).await.unwrap();
    assert_at(&database, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_database_dropped_while_running_is_created_and_filled_again() {
    let database = database!();
    let history = History::new(75, 60);
    let mut store = database.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    let maintenance = Postgres {
        url: database.url.replace(&format!("/{name}?"), "/postgres?"),
    };
    maintenance
        .sql(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await;
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(&applied, Err(error) if error.retryable()),
        "{applied:?}"
    );
    assert_eq!(store.position().await.unwrap(), Found::Empty);
    assert_rebuilt(&database, &mut *store, &history).await;
}

#[tokio::test]
async fn tables_dropped_or_emptied_while_running_are_filled_again() {
    let database = database!();
    let history = History::new(76, 60);
    let mut store = database.open();
    for emptied in [
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        "TRUNCATE node_meta, topics, topic_configs, partitions, brokers, request_dedup",
        "DROP TABLE partitions CASCADE",
    ] {
        bring_to(&mut *store, &history, 30).await.unwrap();
        database.sql(emptied).await;
        let applied = store.apply(&history.batch(31, 60)).await;
        assert!(
            matches!(applied, Err(StoreError::Unavailable(_))),
            "{emptied}: {applied:?}"
        );
        assert_rebuilt(&database, &mut *store, &history).await;
        // For the next round.
        store
            .rebuild(history.image(), &history.checkpoint(MetadataIndex(0)))
            .await
            .unwrap();
        database.sql("DELETE FROM node_meta").await;
    }
}

#[tokio::test]
async fn a_database_replaced_by_another_clusters_while_running_is_refused() {
    let server = server!();
    let (ours, other) = (
        Postgres {
            url: server.url("ours"),
        },
        Postgres {
            url: server.url("other"),
        },
    );
    let history = History::new(77, 60);
    bring_to(&mut *other.open(), &history, 20).await.unwrap();
    other.tamper(Tamper::OtherCluster).await;
    let mut store = ours.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    let maintenance = Postgres {
        url: server.url("postgres"),
    };
    maintenance.sql("DROP DATABASE ours WITH (FORCE)").await;
    // Sessions of stores that were dropped end a moment later.
    let end =
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = 'other'";
    maintenance.sql(end).await;
    maintenance.sql("ALTER DATABASE other RENAME TO ours").await;
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(&applied, Err(error) if error.retryable()),
        "{applied:?}"
    );
    let before = position(&ours).await.unwrap();
    let prepared = prepare_in_the_end(&mut *store, &history).await;
    assert!(
        matches!(prepared, Prepared::Refused(Refusal::OtherCluster { .. })),
        "{prepared:?}"
    );
    assert_eq!(position(&ours).await.unwrap(), before);
}

#[tokio::test]
async fn an_unknown_schema_version_is_dropped_and_rebuilt_and_strangers_tables_stay() {
    let database = database!();
    let history = History::new(78, 60);
    bring_to(&mut *database.open(), &history, 60).await.unwrap();
    let future = "
        UPDATE node_meta SET schema_version = 99;
        CREATE TABLE of_the_future (x integer);
        COMMENT ON TABLE of_the_future IS 'DMQ Metadata: not known yet';
        CREATE TABLE of_somebody_else (x integer);
        CREATE VIEW of_a_person AS SELECT name FROM topics";
    database.sql(future).await;
    let found = database.open().position().await.unwrap();
    assert_eq!(
        found,
        Found::UnknownSchema {
            version: Some(99),
            owner: Some(owner())
        }
    );
    let mut store = database.open();
    assert_rebuilt(&database, &mut *store, &history).await;
    let version = database
        .number("SELECT schema_version::bigint FROM node_meta")
        .await;
    assert_eq!(version, i64::from(SCHEMA_VERSION));
    let left = |name: &str| format!("SELECT count(*) FROM pg_class WHERE relname = '{name}'");
    for (name, count) in [
        ("of_the_future", 0),
        ("of_somebody_else", 1),
        ("topic_overview", 1),
    ] {
        let sql = sqlx::AssertSqlSafe(left(name));
        let found: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(found, count, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_schema_of_another_node_is_refused() {
    let database = database!();
    let history = History::new(79, 60);
    bring_to(&mut *database.open(), &history, 60).await.unwrap();
    database
        .sql("UPDATE node_meta SET schema_version = 99, node_id = 7")
        .await;
    let prepared = prepare_with(&mut *database.open(), &history, 0)
        .await
        .unwrap();
    assert_eq!(
        prepared,
        Prepared::Refused(Refusal::OtherNode { found: 7, ours: 2 })
    );
    assert!(database.number("SELECT count(*) FROM topics").await > 0);
}

#[tokio::test]
async fn tables_of_our_names_that_are_not_ours_are_refused_and_untouched() {
    let database = database!();
    let history = History::new(80, 10);
    ensure_database(&database.url).await.unwrap();
    database
        .sql("CREATE TABLE topics (x text); INSERT INTO topics VALUES ('mine')")
        .await;
    let mut store = database.open();
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
    assert_eq!(
        database
            .number("SELECT count(*) FROM topics WHERE x = 'mine'")
            .await,
        1
    );
    assert_eq!(
        database
            .number("SELECT count(*) FROM pg_class WHERE relname = 'node_meta'")
            .await,
        0
    );
}

/// A process that died, or lost its network, while the server still believes in its session.
#[tokio::test]
async fn an_earlier_session_of_our_directory_is_ended_and_stays_out() {
    let database = database!();
    let history = History::new(81, 60);
    let mut first = database.open();
    bring_to(&mut *first, &history, 20).await.unwrap();
    let mut second = database.open();
    bring_to(&mut *second, &history, 40).await.unwrap();
    let applied = first.apply(&history.batch(21, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    let back = prepare_with(&mut *first, &history, 0).await;
    assert!(matches!(back, Err(StoreError::Fenced(_))), "{back:?}");
    second.apply(&history.batch(41, 60)).await.unwrap();
    assert_at(&database, &history, 60).await.unwrap();
}

/// Two disks with one node id: the second one is refused for as long as the first one writes.
#[tokio::test]
async fn a_session_of_another_directory_keeps_the_lock() {
    let database = database!();
    let history = History::new(82, 60);
    let mut first = database.open();
    bring_to(&mut *first, &history, 20).await.unwrap();
    let mut me = owner();
    me.directory = DirectoryId(uuid::Uuid::from_u128(0xd2));
    let refused = database.open().wipe(&me).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("another writer holds the lock: session "),
        "{text}"
    );
    assert!(
        text.contains(&format!("'dmq-metadata {}'", owner().directory)),
        "{text}"
    );
    first.apply(&history.batch(21, 60)).await.unwrap();
    assert_at(&database, &history, 60).await.unwrap();
}

#[tokio::test]
async fn a_table_locked_by_a_person_makes_the_projector_wait_and_not_hang() {
    let database = database!();
    let history = History::new(83, 60);
    let mut store = database.open();
    bring_to(&mut *store, &history, 30).await.unwrap();
    let mut person = database.connect().await;
    let lock = "BEGIN; LOCK TABLE partitions IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut person).await.unwrap();
    let applied = store.apply(&history.batch(31, 60)).await;
    assert!(
        matches!(applied, Err(StoreError::Unavailable(_))),
        "{applied:?}"
    );
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut person)
        .await
        .unwrap();
    let from = MetadataIndex(31);
    assert_eq!(
        prepare_in_the_end(&mut *store, &history).await,
        Prepared::Resume { from }
    );
    store.apply(&history.batch(31, 60)).await.unwrap();
    assert_at(&database, &history, 60).await.unwrap();
}

#[tokio::test]
async fn readers_see_one_state_and_do_not_hold_a_rebuild_up() {
    let database = database!();
    let history = History::new(84, 300);
    let mut store = database.open();
    bring_to(&mut *store, &history, 100).await.unwrap();
    let mut reader = database.connect().await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    sqlx::raw_sql(begin).execute(&mut reader).await.unwrap();
    let sum =
        "SELECT (SELECT count(*) FROM partitions) * 1000000 + last_applied_index FROM node_meta";
    let before: i64 = sqlx::query_scalar(sum)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    let after: i64 = sqlx::query_scalar(sum)
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!((before, before % 1_000_000), (after, 100));
    assert_at(&database, &history, 300).await.unwrap();
}

#[tokio::test]
async fn nodes_share_a_database_with_a_schema_for_each() {
    let database = database!();
    let node = |number: u32| Postgres {
        url: format!("{}&schema=node_{number}", database.url),
    };
    let histories = [History::new(85, 60), History::new(86, 90)];
    let nodes = [node(1), node(2)];
    let mut stores = [nodes[0].open(), nodes[1].open()];
    for (store, history) in stores.iter_mut().zip(&histories) {
        bring_to(&mut **store, history, history.last().0)
            .await
            .unwrap();
    }
    for (node, history) in nodes.iter().zip(&histories) {
        assert_at(node, history, history.last().0).await.unwrap();
    }
    assert_eq!(database.open().position().await.unwrap(), Found::Empty);
}

#[tokio::test]
async fn a_user_without_the_right_is_told_that_the_database_cannot_be_created() {
    let server = server!();
    let maintenance = Postgres {
        url: server.url("postgres"),
    };
    maintenance.sql("CREATE ROLE powerless LOGIN").await;
    let url = server.url("missing").replace("postgres@", "powerless@");
    let error = ensure_database(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("database 'missing' does not exist and cannot be created"),
        "{text}"
    );
}

#[tokio::test]
async fn the_projectors_session_has_its_settings() {
    let database = database!();
    let history = History::new(87, 60);
    let mut store = PostgresStore::new(&database.url).unwrap();
    bring_to(&mut store, &history, 60).await.unwrap();
    let commits_later = "
        CREATE TABLE seen AS SELECT ''::text AS setting;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')
                     || ' ' || current_setting('lock_timeout')); RETURN NULL; END $$;
        CREATE TRIGGER note AFTER UPDATE ON node_meta FOR EACH ROW EXECUTE FUNCTION note()";
    database.sql(commits_later).await;
    store
        .rebuild(history.image(), &history.checkpoint(history.last()))
        .await
        .unwrap();
    let seen = database
        .number("SELECT count(*) FROM seen WHERE setting = 'off 5s'")
        .await;
    assert_eq!(seen, 1);
}

#[tokio::test]
async fn the_views_show_what_people_ask_for() {
    let database = database!();
    let history = History::new(88, 300);
    bring_to(&mut *database.open(), &history, 300)
        .await
        .unwrap();
    let counts = history.image().counts();
    let number = |sql| database.number(sql);
    let topics = number("SELECT count(*) FROM topic_overview").await;
    let partitions = number("SELECT sum(partition_count)::bigint FROM topic_overview").await;
    let offline = number("SELECT sum(offline_partitions)::bigint FROM topic_overview").await;
    let offline_again = number("SELECT count(*) FROM partition_overview WHERE offline").await;
    let replicas = number("SELECT sum(replicas)::bigint FROM broker_overview").await;
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
    let dated = "SELECT count(*) FROM topic_overview WHERE created_at::date = '2023-11-14'";
    assert_eq!(number(dated).await, topics);
}
