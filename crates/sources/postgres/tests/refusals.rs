//! Databases that must not be used: each is refused when a source opens, with its reason.

mod support;

use polylog_log::{CheckOutcome, CheckTopic, Credential, Expected, Failure, RefusedReason, Source};
use polylog_source_postgres::{PostgresConfig, PostgresSource, preflight};
use polylog_test_bed::PostgresServer;
use support::{SERVER, Store, commit, identity, refusal, write};

fn reason(failure: Failure) -> (RefusedReason, String) {
    match failure {
        Failure::Refused { reason, message } => (reason, message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn nobody_there_and_a_wrong_password() {
    let store = Store::new().await;
    let nobody = support::config("postgres://postgres:secret@127.0.0.1:1/postgres");
    assert!(matches!(refusal(nobody).await, Failure::Unreachable(_)));
    let nowhere = support::config("postgres://postgres:secret@no-such-host.invalid/postgres");
    assert!(matches!(refusal(nowhere).await, Failure::Unreachable(_)));
    let wrong = SERVER.url_as("postgres", "wrong", &store.database);
    let (why, message) = reason(refusal(support::config(&wrong)).await);
    assert_eq!(why, RefusedReason::Auth);
    assert!(message.contains("password") && !message.contains("wrong"), "{message}");
    let stranger = SERVER.url_as("stranger", "x", &store.database);
    assert_eq!(reason(refusal(support::config(&stranger)).await).0, RefusedReason::Auth);
    let missing = refusal(support::config(&SERVER.url("no_such_database"))).await;
    assert!(
        matches!(&missing, Failure::NotProvisioned(why) if why.contains("no_such_database")),
        "{missing:?}"
    );
}

#[tokio::test]
async fn what_is_missing_is_not_provisioned() {
    let store = Store::unprovisioned(&SERVER, identity(1));
    assert!(matches!(refusal(store.config()).await, Failure::NotProvisioned(_)));
    store.execute("CREATE SCHEMA shop");
    assert!(matches!(refusal(store.config()).await, Failure::NotProvisioned(_)));
    support::provision(&store.config(), identity(1)).await.expect("a provisioned schema");
    store.open().await;
    store.execute("DROP TABLE shop.polylog_leases");
    let missing = refusal(store.config()).await;
    assert!(
        matches!(&missing, Failure::NotProvisioned(why) if why.contains("polylog_leases")),
        "{missing:?}"
    );
}

#[tokio::test]
async fn missing_rights_are_named_as_the_grant_that_gives_them() {
    let store = Store::new().await;
    store.execute("CREATE ROLE guest LOGIN PASSWORD 'g'");
    let guest = support::config(&SERVER.url_as("guest", "g", &store.database));
    let mut given = Vec::new();
    let source = loop {
        match PostgresSource::open(guest.clone()).await {
            Ok(source) => break source,
            Err(failure) => {
                let (why, message) = reason(failure);
                assert_eq!(why, RefusedReason::Rights, "{message}");
                let grant = message.split("run: ").nth(1).expect("a statement");
                let grant = grant.replace("the role of this connection", "guest");
                store.execute(&grant);
                given.push(grant);
            }
        }
        assert!(given.len() <= 7, "{given:?}");
    };
    assert_eq!(given.len(), 7, "{given:?}");
    support::lead(&source, &store.identity, 1).await;
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    source.close().await;
    store.execute("DROP OWNED BY guest;; DROP ROLE guest");
}

#[tokio::test]
async fn a_wrong_encoding() {
    SERVER.execute(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    );
    let (why, message) = reason(refusal(support::config(&SERVER.url("latin"))).await);
    assert_eq!(why, RefusedReason::Unsuitable);
    assert!(message.contains("LATIN1") && message.contains("UTF8"), "{message}");
}

#[tokio::test]
async fn read_only_by_setting_and_as_standby() {
    let server = PostgresServer::start();
    let store = Store::on(&server, identity(1)).await;
    let database = &store.database;
    server.execute("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    assert_eq!(reason(refusal(store.config()).await).0, RefusedReason::ReadOnly);
    server.execute("postgres", &format!("ALTER DATABASE {database} RESET default_transaction_read_only"));
    let source = store.primary().await;

    server.stop();
    let signal = server.folder().join("data/standby.signal");
    std::fs::write(&signal, "").expect("a file");
    server.start_again();
    let (why, message) = reason(source.head().await.expect_err("a refusal"));
    assert_eq!(why, RefusedReason::ReadOnly);
    assert!(message.contains("standby"), "{message}");
    server.stop();
    std::fs::remove_file(&signal).expect("no file any more");
    server.start_again();
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
}

#[tokio::test]
async fn a_server_that_forgets_what_it_acknowledged() {
    let server = PostgresServer::start();
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    for (setting, off) in [("fsync", "off"), ("synchronous_commit", "off")] {
        server.execute("postgres", &format!("ALTER SYSTEM SET {setting} = {off};; SELECT pg_reload_conf()"));
        until(&server, setting, off);
        let (why, message) = reason(refusal(store.config()).await);
        assert_eq!(why, RefusedReason::Unsuitable);
        assert!(message.contains(setting), "{message}");
        let unsafe_config = PostgresConfig { allow_unsafe_durability: true, ..store.config() };
        PostgresSource::open(unsafe_config).await.expect("a throw-away server, by its owner's word");
        server.execute("postgres", &format!("ALTER SYSTEM RESET {setting};; SELECT pg_reload_conf()"));
        until(&server, setting, "on");
        store.open().await;
    }
    // a session that is open keeps what it began with, whatever is reloaded
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    server.execute("postgres", "ALTER SYSTEM SET synchronous_commit = off;; SELECT pg_reload_conf()");
    until(&server, "synchronous_commit", "off");
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    server.crash();
    server.start_again();
    assert_eq!(source.head().await.err().map(|failure| reason(failure).0), Some(RefusedReason::Unsuitable));
    server.execute("postgres", "ALTER SYSTEM RESET synchronous_commit;; SELECT pg_reload_conf()");
    until(&server, "synchronous_commit", "on");
    assert_eq!(support::check_log(&source).await.len(), 3, "and the source goes on without a restart");
}

/// New sessions see a reloaded setting a moment later.
fn until(server: &PostgresServer, setting: &str, value: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.execute("postgres", &format!("SHOW {setting}")) != value {
        assert!(std::time::Instant::now() < deadline, "{setting} was not reloaded");
    }
}

#[tokio::test]
async fn a_log_that_ends_elsewhere_than_its_head() {
    let store = Store::new().await;
    let source = store.primary().await;
    for _ in 0..3 {
        write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    }
    source.close().await;
    store.execute("DELETE FROM shop.polylog_events WHERE position = 4");
    assert!(matches!(refusal(store.config()).await, Failure::Damaged(_)));
}

/// No older server is at hand: the bound is raised above the one that is there.
#[tokio::test]
async fn a_server_that_is_too_old() {
    let store = Store::new().await;
    let number: i32 = store.execute("SHOW server_version_num").parse().expect("a number");
    let config = PostgresConfig { oldest_version: number + 1, ..store.config() };
    let (why, message) = reason(refusal(config.clone()).await);
    assert_eq!(why, RefusedReason::Unsuitable);
    let version = store.execute("SHOW server_version");
    assert!(message.contains("or newer is needed") && message.contains(&version), "{message}");
    let checks = preflight(&config, &support::place(), Credential::Rows, None).await;
    let failed: Vec<_> =
        checks.iter().filter(|check| matches!(check.outcome, CheckOutcome::Failed { .. })).collect();
    assert!(matches!(&failed[..], [check] if check.topic == CheckTopic::Version), "{failed:?}");
    let config = PostgresConfig { oldest_version: number, ..config };
    PostgresSource::open(config).await.expect("just new enough").close().await;
}
