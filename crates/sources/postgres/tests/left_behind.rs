//! What callers and servers leave behind: reads that nobody waits for, commits that wait for a standby, indexes that an
//! administrator drops.

mod support;

use std::time::{Duration, Instant};

use polylog_log::{Expected, Failure, OperationError, Position, ReadLog, Source, Verdict};
use polylog_source_postgres::{PostgresConfig, PostgresSource};
use polylog_test_bed::PostgresServer;
use sqlx::{Connection, Executor};
use support::{Store, append, commit, identity, write};

const ENOUGH: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_read_that_nobody_waits_for_ends_in_the_server_too() {
    let store = Store::new().await;
    store.primary().await.close().await;
    let config = PostgresConfig { lock_timeout: ENOUGH * 3, statement_timeout: ENOUGH * 3, ..store.config() };
    let source = PostgresSource::open(config).await.expect("an open source");
    let mut locker = sqlx::PgConnection::connect(&store.url).await.expect("a connection");
    locker.execute("BEGIN; LOCK TABLE shop.polylog_events").await.expect("the lock");
    let stuck = || {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = ";
        store.execute(&format!("{sessions}'{}'", store.database))
    };
    let all = ReadLog { from: Position::FIRST, to: Position::new(9), max_events: 9, max_bytes: 1 << 20 };
    let mut read = source.read_log(all);
    let deadline = Instant::now() + ENOUGH;
    while stuck() == "0" {
        let waited = tokio::time::timeout(Duration::from_millis(20), &mut read).await;
        assert!(waited.is_err() && Instant::now() < deadline, "it should wait for the lock: {waited:?}");
    }
    drop(read);
    let deadline = Instant::now() + ENOUGH;
    while stuck() != "0" {
        assert!(Instant::now() < deadline, "the server still works for nobody");
        tokio::task::yield_now().await;
    }
    locker.execute("ROLLBACK").await.expect("an end");
    assert_eq!(source.read_log(all).await.expect("a page").entries.len(), 1);
}

#[tokio::test]
async fn a_commit_that_no_standby_has_is_not_acknowledged() {
    let server = PostgresServer::start();
    let store = Store::on(&server, identity(1)).await;
    let config = PostgresConfig { request_timeout: Duration::from_secs(3), ..store.config() };
    let source = PostgresSource::open(config).await.expect("an open source");
    support::lead(&source, &store.identity, 1).await;
    let standby = |name: &str| {
        let sql = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}';; SELECT pg_reload_conf()");
        server.execute("postgres", &sql);
        let deadline = Instant::now() + ENOUGH;
        while server.execute("postgres", "SHOW synchronous_standby_names") != name {
            assert!(Instant::now() < deadline, "the setting does not come into force");
        }
    };
    standby("nobody");
    let batch = vec![commit(store.identity.log, "s", Expected::Any)];
    let answer = append(&source, &store.identity, batch.clone()).await;
    assert!(matches!(answer, Err(OperationError::Unknown(Failure::Timeout(_)))), "{answer:?}");
    standby("");
    let appended = append(&source, &store.identity, batch).await.expect("an append");
    assert!(matches!(appended.verdicts[..], [Verdict::Duplicate(_)]), "{appended:?}");
}

#[tokio::test]
async fn an_index_that_is_dropped_under_an_open_source_ends_its_appends() {
    let store = Store::new().await;
    let config = PostgresConfig { check_interval: Duration::from_millis(100), ..store.config() };
    let source = PostgresSource::open(config).await.expect("an open source");
    support::lead(&source, &store.identity, 1).await;
    store.execute("DROP INDEX shop.polylog_events_commit_id");
    let deadline = Instant::now() + ENOUGH;
    let why = loop {
        match append(&source, &store.identity, vec![commit(store.identity.log, "s", Expected::Any)]).await {
            Ok(_) => assert!(Instant::now() < deadline, "it goes on without its index"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&why, OperationError::Failed(Failure::NotProvisioned(_))), "{why:?}");
    assert!(source.head().await.is_err(), "what one session noticed holds for all");
    store.execute(
        "CREATE UNIQUE INDEX polylog_events_commit_id ON shop.polylog_events USING btree (commit_id) \
         WHERE (\"position\" = first)",
    );
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
}
