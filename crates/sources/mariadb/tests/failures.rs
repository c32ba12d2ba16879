//! What goes wrong around an open source, and what its callers hear.

mod support;

use std::time::{Duration, Instant};

use polylog_log::{
    Append, ConfigVersion, Expected, FailPoints, Failure, Fault, LeaseSwap, OperationError, Position,
    Refusal, RefusedReason, Source, Term, Verdict, Version, Watermarks,
};
use polylog_source_mariadb::{MariadbConfig, MariadbSource, POINTS};
use support::{SERVER, Store, append, check_log, commit, identity, write};

#[tokio::test]
async fn a_lock_that_is_not_given_back_is_a_timeout_and_not_executed() {
    let store = Store::new().await;
    let patience = Duration::from_millis(100);
    store.primary().await.close().await;
    let config = MariadbConfig { lock_timeout: patience, ..store.config() };
    let source = MariadbSource::open(config).await.expect("an open source");
    let mut other = support::session(&store.url).await;
    support::run(&mut other, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
    let late = commit(store.identity.log, "s", Expected::Any);
    let answer = append(&source, &store.identity, vec![late.clone()]).await;
    assert_eq!(answer, Err(OperationError::Failed(Failure::Timeout(patience))));
    assert_eq!(check_log(&source).await.len(), 1, "reading goes on");
    support::run(&mut other, "ROLLBACK").await;
    write(&source, &store.identity, late).await;
    // also when nothing but the swap is needed
    support::run(&mut other, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
    let late = commit(store.identity.log, "s", Expected::Any);
    let answer = append(&source, &store.identity, vec![late.clone()]).await;
    assert_eq!(answer, Err(OperationError::Failed(Failure::Timeout(patience))));
    support::run(&mut other, "ROLLBACK").await;
    write(&source, &store.identity, late).await;
}

/// As after SIGSTOP of a process in the middle of an append.
#[tokio::test]
async fn a_process_that_stops_under_the_lock_holds_others_up_for_two_seconds_at_most() {
    let store = Store::new().await;
    let source = store.primary().await;
    let config = store.config();
    let mut other = support::session(&store.url).await;
    // what every session of ours sets, and then nothing more comes
    let limit = config.idle_timeout.as_secs();
    support::run(&mut other, &format!("SET idle_transaction_timeout = {limit}")).await;
    support::run(&mut other, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
    let start = Instant::now();
    write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    let waited = start.elapsed();
    assert!(waited > Duration::from_millis(800) && waited < Duration::from_secs(2), "{waited:?}");
}

/// A session that is ended while it waits for the lock has not come to its COMMIT.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_killed_before_its_commit_has_written_nothing() {
    let store = Store::new().await;
    let warm = std::sync::Arc::new(store.primary().await);
    write(&*warm, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
    for is_warm in [true, false] {
        let source = if is_warm { warm.clone() } else { std::sync::Arc::new(store.open().await) };
        let mut other = support::session(&store.url).await;
        support::run(&mut other, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
        let (late, of) = (commit(store.identity.log, "s", Expected::Any), store.identity);
        let operation = {
            let (source, late) = (source.clone(), late.clone());
            tokio::spawn(async move { append(&*source, &of, vec![late]).await })
        };
        // who asks INNODB_TRX again and again is given the same old answer
        let waiting = format!(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' AND COMMAND = 'Query' AND TIME_MS > 200",
            store.database
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        let session = loop {
            let session = SERVER.execute("mysql", &waiting);
            if !session.is_empty() {
                break session;
            }
            assert!(Instant::now() < deadline, "it never waited");
        };
        SERVER.execute("mysql", &format!("KILL CONNECTION {session}"));
        let answer = operation.await.expect("an answer");
        // one packet has its commit in it, and the server just hangs up
        let is_certain = matches!(answer, Err(OperationError::Failed(Failure::Unreachable(_))));
        assert!(is_certain || is_warm && matches!(answer, Err(OperationError::Unknown(_))), "{answer:?}");
        support::run(&mut other, "ROLLBACK").await;
        write(&*source, &of, late).await;
    }
    assert_eq!(check_log(&*warm).await.len(), 4);
}

/// What the server undoes so that another transaction can go on is done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_survived() {
    let store = Store::new().await;
    let source = std::sync::Arc::new(store.primary().await);
    let lease = |beat| polylog_log::Lease { holder: "a".into(), beat };
    let swap = |name: &str, expect, set| LeaseSwap { name: name.into(), expect, set };
    source.lease(&store.identity, swap("push", None, Some(lease(1)))).await.expect("a lease");
    let mut other = support::session(&store.url).await;
    // the other one has written more, so that ours is the one that is undone
    let many = "INSERT INTO polylog_leases SELECT concat('x', seq), '', 1 FROM seq_1_to_100";
    support::run(&mut other, &format!("BEGIN; {many}; UPDATE polylog_leases SET holder = 'a'")).await;
    let operation = {
        let (source, of) = (source.clone(), store.identity);
        let swap = swap("push", Some(lease(1)), Some(lease(2)));
        tokio::spawn(async move { source.lease(&of, swap).await })
    };
    let waiting = "SELECT count(*) FROM information_schema.PROCESSLIST \
         WHERE DB = database() AND COMMAND IN ('Query', 'Execute') AND TIME_MS > 200";
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.execute(waiting) != "1" {
        assert!(Instant::now() < deadline, "it never waited");
    }
    support::run(&mut other, "SELECT lane FROM polylog_head FOR UPDATE; ROLLBACK").await;
    let answer = operation.await.expect("an end").expect("an answer");
    assert!(answer.swapped, "{answer:?}");
    let deadlocks = SERVER.execute("mysql", "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'");
    assert!(!deadlocks.ends_with("\t0"), "there was one: {deadlocks}");
}

/// The head is written before the rows that meet a unique index: nothing of it may be left.
#[tokio::test]
async fn a_commit_that_is_known_leaves_nothing_of_its_swap() {
    let store = Store::new().await;
    let (source, of) = (store.primary().await, store.identity);
    for number in 1..=3 {
        let known = commit(of.log, "s", Expected::Any);
        let receipt = write(&source, &of, known.clone()).await;
        let again = append(&source, &of, vec![known]).await.expect("an answer");
        assert_eq!(again.verdicts, [Verdict::Duplicate(receipt)]);
        assert_eq!(check_log(&source).await.len(), 1 + number);
        assert_eq!(check_log(&store.open().await).await.len(), 1 + number);
    }
}

#[tokio::test]
async fn an_error_before_the_commit_is_certain_and_one_after_it_is_not() {
    let store = Store::new().await;
    store.primary().await.close().await;
    let mut version = 0;
    for is_warm in [false, true] {
        for point in POINTS {
            let fail_points = FailPoints::new(POINTS);
            let config = MariadbConfig { fail_points: fail_points.clone(), ..store.config() };
            let source = MariadbSource::open(config).await.expect("an open source");
            if is_warm {
                write(&source, &store.identity, commit(store.identity.log, "t", Expected::Any)).await;
            }
            let before = source.head().await.expect("a head");
            let commit = commit(store.identity.log, "s", Expected::Version(Version::new(version)));
            fail_points.arm(point, 0, Fault::Error);
            let answer = append(&source, &store.identity, vec![commit.clone()]).await;
            let happened = fail_points.disarm();
            // one statement has no middle
            assert_eq!(happened, !is_warm || !["rows written", "head written"].contains(point), "{point}");
            let after = source.head().await.expect("a head");
            let again = append(&source, &store.identity, vec![commit]).await.expect("an append");
            version += 1;
            match answer {
                Ok(_) => assert!(!happened, "{point}"),
                Err(OperationError::Unknown(_)) => {
                    assert_eq!(*point, "committed");
                    assert_ne!(after, before, "{point}");
                    assert!(matches!(again.verdicts[..], [Verdict::Duplicate(_)]), "{point}");
                }
                Err(OperationError::Failed(_)) => {
                    assert_ne!(*point, "committed");
                    assert_eq!(after, before, "{point}");
                    assert!(matches!(again.verdicts[..], [Verdict::Committed(_)]), "{point}");
                }
                Err(refused) => panic!("{point}: {refused}"),
            }
            check_log(&source).await;
        }
    }
}

#[tokio::test]
async fn a_handle_that_crashed_answers_nothing_and_another_finds_the_log_whole() {
    let store = Store::new().await;
    store.primary().await.close().await;
    for point in POINTS {
        let fail_points = FailPoints::new(POINTS);
        let config = MariadbConfig { fail_points: fail_points.clone(), ..store.config() };
        let source = MariadbSource::open(config).await.expect("an open source");
        let before = check_log(&source).await.len();
        fail_points.arm(point, 0, Fault::Crash);
        let batch = || vec![commit(store.identity.log, "s", Expected::Any)];
        let answer = append(&source, &store.identity, batch()).await;
        assert!(matches!(answer, Err(OperationError::Unknown(_))), "{point}: {answer:?}");
        assert!(source.head().await.is_err());
        assert!(append(&source, &store.identity, batch()).await.is_err());
        let next = store.open().await;
        let written = usize::from(*point == "committed");
        assert_eq!(check_log(&next).await.len(), before + written, "{point}");
    }
}

/// Whoever remembers is proven wrong by the swap: whatever another process changed, the answer is the true one.
#[tokio::test]
async fn what_another_process_did_is_noticed_by_one_that_remembers() {
    let store = Store::new().await;
    let (a, b) = (store.primary().await, store.open().await);
    let of = store.identity;
    let next = |name: &str, version| commit(of.log, name, Expected::Version(Version::new(version)));
    for version in 0..3 {
        write(&a, &of, next("s", version)).await;
    }
    write(&b, &of, next("s", 3)).await;
    let known = next("t", 0);
    write(&b, &of, known.clone()).await;
    // a remembers version 3 of s, and that there is no t
    let verdicts = append(&a, &of, vec![next("s", 3), known, next("t", 0)]).await.expect("answers").verdicts;
    assert!(
        matches!(&verdicts[0], Verdict::VersionConflict { conflicts, .. } if conflicts[0].actual == Version::new(4))
    );
    assert!(matches!(verdicts[1], Verdict::Duplicate(_)), "{verdicts:?}");
    assert!(
        matches!(&verdicts[2], Verdict::VersionConflict { conflicts, .. } if conflicts[0].actual == Version::new(1))
    );
    // b leads another term; a finds out by its next append
    for version in 4..40 {
        write(&a, &of, next("s", version)).await;
    }
    support::lead(&b, &of, 2).await;
    let answer = append(&a, &of, vec![next("s", 40)]).await;
    assert!(matches!(answer, Err(OperationError::Refused { reason: Refusal::Fenced, .. })), "{answer:?}");
    assert_eq!(check_log(&b).await.len(), 1 + 40 + 1 + 1);
}

#[tokio::test]
async fn a_head_that_changed_under_an_open_source_is_noticed() {
    // adopted again, restored from another database, replaced by another log, written by a newer version
    let changes = ["incarnation = unhex(md5(1))", "`database` = unhex(md5(2))", "log = unhex(md5(3))"];
    for change in changes.into_iter().chain(["format = 2"]) {
        let store = Store::new().await;
        let source = store.primary().await;
        for _ in 0..2 {
            write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
        }
        store.execute(&format!("UPDATE polylog_head SET {change}"));
        let batch = vec![commit(store.identity.log, "s", Expected::Any)];
        match append(&source, &store.identity, batch).await {
            Err(OperationError::Refused { reason: Refusal::WrongStore, .. }) => {
                assert_ne!(change, "format = 2")
            }
            Err(OperationError::Refused { reason: Refusal::NewerFormat { found: 2, .. }, .. }) => {
                assert_eq!(change, "format = 2")
            }
            other => panic!("{change}: {other:?}"),
        }
        assert_eq!(store.execute("SELECT count(*) FROM polylog_events"), "3", "{change}");
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_read_and_not_written_into() {
    let store = Store::new().await;
    let source = store.primary().await;
    let next = || vec![commit(store.identity.log, "s", Expected::Any)];
    append(&source, &store.identity, next()).await.expect("an append");
    source.close().await;
    let refused = async || {
        let source = store.open().await;
        assert_eq!(check_log(&source).await.len(), 2, "reading goes on");
        let head = source.head().await.expect("a head");
        match append(&source, &store.identity, next()).await {
            Err(OperationError::Refused { reason, .. }) => (head, reason),
            other => panic!("{other:?}"),
        }
    };
    // a field in the configuration
    let with = r#"'{"voice":{"loud":true},'"#;
    store.execute(&format!("UPDATE polylog_configs SET content = concat({with}, substring(content, 2))"));
    let (head, reason) = refused().await;
    assert_eq!((head.format, reason), (1, Refusal::NewerConfig(head.config.config.version)));
    // and a newer format
    store.execute("UPDATE polylog_head SET format = 2");
    let (head, reason) = refused().await;
    assert_eq!((head.format, reason), (2, Refusal::NewerFormat { found: 2, known: 1 }));
    // that cannot be read is not damaged
    store.execute("UPDATE polylog_configs SET content = '{}'");
    let answer = MariadbSource::open(store.config()).await.err();
    assert_eq!(answer, Some(Failure::FormatTooNew { found: 2, known: 1 }));
    store.execute("UPDATE polylog_head SET format = 1");
    assert!(matches!(MariadbSource::open(store.config()).await.err(), Some(Failure::Damaged(_))));
}

#[tokio::test]
async fn rights_and_passwords_that_are_taken_away_are_named_and_work_again_when_given_back() {
    let store = Store::new().await;
    store.primary().await.close().await;
    store.execute("CREATE USER clerk@'%' IDENTIFIED BY 'one'");
    let account = polylog_source_mariadb::provision::Account { user: "clerk".into(), host: "%".into() };
    let tables = store.config().tables;
    for grant in polylog_source_mariadb::provision::grants(&tables, &account, &Default::default()) {
        store.execute(&grant);
    }
    let url = SERVER.url_as("clerk", "one", &store.database);
    let source = MariadbSource::open(support::config(&url)).await.expect("an open source");
    let batch = || vec![commit(store.identity.log, "s", Expected::Any)];
    append(&source, &store.identity, batch()).await.expect("an append");

    store.execute("REVOKE INSERT ON polylog_events FROM clerk@'%'");
    for _ in 0..2 {
        let answer = append(&source, &store.identity, batch()).await;
        let is_rights = matches!(
            &answer,
            Err(OperationError::Failed(Failure::Refused { reason: RefusedReason::Rights, .. }))
        );
        assert!(is_rights, "{answer:?}");
    }
    let named = append(&source, &store.identity, batch()).await.expect_err("a refusal").to_string();
    assert!(named.contains(&format!("GRANT INSERT ON {}.polylog_events", tables.database)), "{named}");
    store.execute("GRANT INSERT ON polylog_events TO clerk@'%'");
    append(&source, &store.identity, batch()).await.expect("an append");

    store.execute("ALTER USER clerk@'%' IDENTIFIED BY 'two'");
    store.execute("KILL USER clerk");
    let answer = source.head().await;
    let is_auth = matches!(&answer, Err(Failure::Refused { reason: RefusedReason::Auth, .. }));
    assert!(is_auth, "{answer:?}");
    store.execute("ALTER USER clerk@'%' IDENTIFIED BY 'one'");
    assert_eq!(check_log(&source).await.len(), 3);
    let _ = append(&source, &store.identity, batch()).await;
    append(&source, &store.identity, batch()).await.expect("an append");
    source.close().await;
    store.execute("DROP USER clerk@'%'");
}

/// Settings of the whole server change under open sessions; the next append, or the one after it, sees them.
#[tokio::test]
async fn a_server_that_turns_read_only_or_forgetful_refuses_and_goes_on_when_it_is_not() {
    let server = polylog_test_bed::MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    let batch = || vec![commit(store.identity.log, "s", Expected::Any)];
    let cases = [
        ("read_only", "1", "0", RefusedReason::ReadOnly),
        ("innodb_flush_log_at_trx_commit", "2", "1", RefusedReason::Unsuitable),
    ];
    for (setting, bad, good, expected) in cases {
        write(&source, &store.identity, batch().remove(0)).await;
        let before = check_log(&source).await.len();
        server.execute("mysql", &format!("SET GLOBAL {setting} = {bad}"));
        if expected == RefusedReason::ReadOnly {
            // an administrator may write all the same, and is refused where the lock is taken
            let other = store.open_unchecked().await;
            assert!(other.is_err(), "{setting}");
            source
                .lease(&store.identity, LeaseSwap { name: "x".into(), expect: None, set: None })
                .await
                .expect_err(setting);
        } else {
            let answer = append(&source, &store.identity, batch()).await;
            let is_refused = matches!(
                &answer,
                Err(OperationError::Failed(Failure::Refused { reason, .. })) if *reason == expected
            );
            assert!(is_refused, "{setting}: {answer:?}");
            assert_eq!(
                server.execute(&store.database, "SELECT count(*) FROM polylog_events"),
                before.to_string()
            );
        }
        server.execute("mysql", &format!("SET GLOBAL {setting} = {good}"));
        append(&source, &store.identity, batch()).await.expect("an append");
    }
}

#[tokio::test]
async fn a_closed_source_refuses_and_what_it_took_is_done() {
    let store = Store::new().await;
    let source = std::sync::Arc::new(store.primary().await);
    let mut taken = Vec::new();
    for _ in 0..20 {
        let (source, of) = (source.clone(), store.identity);
        let batch = vec![commit(of.log, "s", Expected::Any)];
        taken.push(tokio::spawn(async move { append(&*source, &of, batch).await }));
        tokio::task::yield_now().await;
    }
    source.close().await;
    let mut done = 0;
    for operation in taken {
        match operation.await.expect("an answer") {
            Ok(_) => done += 1,
            Err(error) => {
                assert!(matches!(error, OperationError::Failed(Failure::Unreachable(_))), "{error}")
            }
        }
    }
    assert!(source.head().await.is_err());
    source.wait(Position::FIRST, Duration::from_millis(1)).await;
    source.close().await;
    assert_eq!(check_log(&store.open().await).await.len(), 1 + done);
    assert!(done > 0);
}

#[tokio::test]
async fn an_operation_whose_caller_left_is_done_all_the_same() {
    let store = Store::new().await;
    let source = store.primary().await;
    let append = Append {
        term: Term::FIRST,
        config: ConfigVersion(0),
        batch: vec![commit(store.identity.log, "s", Expected::Any)].into(),
        watermarks: Watermarks::default(),
    };
    let mut operation = source.append(&store.identity, append);
    let pending =
        std::future::poll_fn(|context| std::task::Poll::Ready(operation.as_mut().poll(context).is_pending()));
    assert!(pending.await, "it is under way");
    drop(operation);
    // whoever comes next stands behind it
    write(&source, &store.identity, commit(store.identity.log, "t", Expected::Any)).await;
    let log = check_log(&source).await;
    assert_eq!(log.iter().map(|entry| entry.events[0].stream.as_str()).collect::<Vec<_>>()[1..], ["s", "t"]);
}

#[tokio::test]
async fn a_lease_of_another_store_is_refused() {
    let store = Store::new().await;
    let source = store.open().await;
    let swap = LeaseSwap { name: "push".into(), expect: None, set: None };
    let answer = source.lease(&identity(9), swap.clone()).await;
    assert!(matches!(answer, Err(OperationError::Refused { reason: Refusal::WrongStore, .. })), "{answer:?}");
    assert!(source.lease(&store.identity, swap).await.expect("an answer").swapped);
}
