//! Databases that must not be used: each is refused when a source opens, with its reason.

mod support;

use polylog_log::{Expected, Failure, RefusedReason, Source};
use polylog_source_mariadb::{MariadbConfig, MariadbSource};
use polylog_test_bed::MariadbServer;
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
    let nobody = support::config("mysql://root:secret@127.0.0.1:1/shop");
    assert!(matches!(refusal(nobody).await, Failure::Unreachable(_)));
    let nowhere = support::config("mysql://root:secret@no-such-host.invalid/shop");
    assert!(matches!(refusal(nowhere).await, Failure::Unreachable(_)));
    let wrong = SERVER.url_as("root", "wrong", &store.database);
    let (why, message) = reason(refusal(support::config(&wrong)).await);
    assert_eq!(why, RefusedReason::Auth);
    assert!(message.contains("Access denied") && !message.contains("wrong"), "{message}");
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
    SERVER.execute("mysql", &format!("CREATE DATABASE {}", store.database));
    assert!(matches!(refusal(store.config()).await, Failure::NotProvisioned(_)));
    support::provision(&store.config(), identity(1)).await.expect("a provisioned database");
    store.open().await;
    store.execute("DROP TABLE polylog_leases");
    let missing = refusal(store.config()).await;
    assert!(
        matches!(&missing, Failure::NotProvisioned(why) if why.contains("polylog_leases")),
        "{missing:?}"
    );
}

#[tokio::test]
async fn missing_rights_are_named_as_the_grant_that_gives_them() {
    let store = Store::new().await;
    store.execute("CREATE USER guest@'%' IDENTIFIED BY 'g'");
    let guest = support::config(&SERVER.url_as("guest", "g", &store.database));
    let mut given = Vec::new();
    let source = loop {
        match MariadbSource::open(guest.clone()).await {
            Ok(source) => break source,
            Err(failure) => {
                let (why, message) = reason(failure);
                assert_eq!(why, RefusedReason::Rights, "{message}");
                let grant = message.split("run: ").nth(1).expect("a statement");
                let grant = grant.replace("the user of this connection", "guest@'%'");
                store.execute(&grant);
                given.push(grant);
            }
        }
        assert!(given.len() <= 6, "{given:?}");
    };
    assert_eq!(given.len(), 6, "{given:?}");
    support::lead(&source, &store.identity, 1).await;
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    source.close().await;
    store.execute("DROP USER guest@'%'");
}

/// What a server's administrator set up for others does not matter: everything is set for the session.
#[tokio::test]
async fn servers_with_other_habits_are_used_all_the_same() {
    let server = MariadbServer::with(&[
        ("character-set-server", "latin1"),
        ("collation-server", "latin1_general_ci"),
        ("sql-mode", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"),
        ("autocommit", "0"),
        ("transaction-isolation", "SERIALIZABLE"),
        ("default-storage-engine", "MyISAM"),
        ("lower-case-table-names", "1"),
        ("completion-type", "CHAIN"),
        ("default-time-zone", "+05:30"),
        ("log-bin", "binlog"),
        ("sync-binlog", "1"),
        ("max-allowed-packet", "1M"),
    ]);
    server.execute("mysql", "SET GLOBAL unique_checks = 0; SET GLOBAL sql_safe_updates = 1");
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    let same = ["a", "A", "\u{e4}", "a\u{308}", "it's", "back\\slash", "dou\"ble", "100%", "a_", "\u{1f980}"];
    for name in same {
        let none = commit(store.identity.log, name, Expected::NoStream);
        let id = none.appends[0].events[0].id;
        let receipt = write(&source, &store.identity, none).await;
        assert_eq!(
            source.find(id).await.expect("an answer").event.expect("it").event.position,
            receipt.first
        );
    }
    // more and larger than one statement of this server
    let large = |size: usize| support::event(vec![b'\''; size]);
    let events = vec![large(500_000), large(10), large(400_000), large(60_000), large(60_000), large(60_000)];
    let append = polylog_log::StreamAppend::new(support::stream("large"), Expected::Any, events);
    write(&source, &store.identity, polylog_log::Commit::new(store.identity.log, vec![append])).await;
    let many = (0..700).map(|number| support::event(vec![b'\\'; number % 3_000])).collect();
    let append = polylog_log::StreamAppend::new(support::stream("many"), Expected::Any, many);
    write(&source, &store.identity, polylog_log::Commit::new(store.identity.log, vec![append])).await;
    assert!(source.limits().event_bytes < 1 << 20);
    assert_eq!(support::check_log(&source).await.len(), 1 + same.len() + 2);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_micros();
    let clock = source.head().await.expect("a head").recorded_at.as_micros();
    assert!(now.abs_diff(clock.unsigned_abs().into()) < 60_000_000, "{clock} in UTC");
}

#[tokio::test]
async fn settings_that_keep_from_writing_or_from_keeping() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    let restart = |settings: &str| {
        server.write_file("my.cnf", &MariadbServer::settings(settings));
        server.stop();
        server.start_again();
    };
    use RefusedReason::{ReadOnly, Unsuitable};
    let cases = [
        ("read_only=1", ReadOnly, "replica"),
        ("innodb_read_only=1", ReadOnly, "innodb_read_only"),
        ("transaction_read_only=1", ReadOnly, "tx_read_only"),
        ("binlog_format=STATEMENT", Unsuitable, "binlog_format"),
        ("sync_binlog=0", Unsuitable, "sync_binlog"),
        ("skip_log_bin", Unsuitable, "log_bin"),
        ("innodb_flush_log_at_trx_commit=0", Unsuitable, "innodb_flush_log_at_trx_commit is 0"),
        ("innodb_flush_log_at_trx_commit=2", Unsuitable, "innodb_flush_log_at_trx_commit is 2"),
        ("innodb_doublewrite=0", Unsuitable, "innodb_doublewrite"),
        ("innodb_flush_method=nosync", Unsuitable, "nosync"),
    ];
    for (settings, expected, word) in cases {
        restart(settings);
        let (why, message) = reason(refusal(store.config()).await);
        assert!(why == expected && message.contains(word), "{settings}: {message}");
        // what was open before is refused too: its sessions ended with the server
        let open = source.head().await.map(|_| ());
        assert_eq!(open.map_err(|failure| reason(failure).0), Err(expected), "{settings}");
        let forgets =
            ["log_bin", "sync_binlog", "flush", "doublewrite"].iter().any(|word| message.contains(word));
        let allowed = MariadbConfig { allow_unsafe_durability: true, ..store.config() };
        let allowed = MariadbSource::open(allowed).await;
        assert_eq!(allowed.is_ok(), forgets && expected == Unsuitable, "{settings}");
    }
    restart("");
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    assert_eq!(support::check_log(&source).await.len(), 3, "and the source goes on without a restart");
}

#[tokio::test]
async fn tables_and_indexes_that_keep_no_promise() {
    let store = Store::new().await;
    store.execute("ALTER TABLE polylog_leases ENGINE=MyISAM");
    let (why, message) = reason(refusal(store.config()).await);
    assert!(why == RefusedReason::Unsuitable && message.contains("MyISAM"), "{message}");
    store.execute("ALTER TABLE polylog_leases ENGINE=InnoDB");
    for change in [
        "DROP INDEX polylog_events_id",
        "DROP INDEX polylog_events_id, ADD INDEX polylog_events_id (id)",
        "DROP INDEX polylog_events_id, ADD UNIQUE INDEX polylog_events_id (id, stream)",
        "DROP INDEX polylog_events_id, ADD UNIQUE INDEX polylog_events_id (id(15))",
        "ALTER INDEX polylog_events_id IGNORED",
    ] {
        store.execute(&format!("ALTER TABLE polylog_events {change}"));
        let refused = refusal(store.config()).await;
        let is_named = matches!(&refused, Failure::NotProvisioned(why) if why.contains("polylog_events_id"));
        assert!(is_named, "{change}: {refused:?}");
        store.execute("ALTER TABLE polylog_events DROP INDEX IF EXISTS polylog_events_id");
        store.execute("ALTER TABLE polylog_events ADD UNIQUE INDEX polylog_events_id (id)");
    }
    store.open().await;
}

#[tokio::test]
async fn a_log_that_ends_elsewhere_than_its_head() {
    let store = Store::new().await;
    let source = store.primary().await;
    for _ in 0..3 {
        write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    }
    source.close().await;
    store.execute("DELETE FROM polylog_events WHERE position = 4");
    assert!(matches!(refusal(store.config()).await, Failure::Damaged(_)));
}
