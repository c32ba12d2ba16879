//! What goes wrong around an open source, and what its callers hear.

mod support;

use std::{fs, time::Duration};

use polylog_log::{
    Expected, FailPoints, Failure, Fault, LeaseSwap, OperationError, Position, Refusal, Source, Verdict,
};
use polylog_source_sqlite::{POINTS, SqliteConfig, SqliteSource};
use rusqlite::Connection;
use support::{Store, append, check_log, commit, identity, write};

#[tokio::test]
async fn a_lock_that_another_process_holds_is_a_timeout_and_not_executed() {
    let store = Store::new();
    let patience = Duration::from_millis(100);
    store.primary().await.close().await;
    let config = SqliteConfig { busy_timeout: patience, ..SqliteConfig::new(store.path()) };
    let source = SqliteSource::open(config).await.expect("an open source");
    let other = Connection::open(store.path()).expect("the file");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let late = commit(store.identity.log, "s", Expected::Any);
    let answer = append(&source, &store.identity, vec![late.clone()]).await;
    assert_eq!(answer, Err(OperationError::Failed(Failure::Timeout(patience))));
    assert_eq!(check_log(&source).await.len(), 1, "reading goes on");
    other.execute_batch("ROLLBACK").expect("the lock given back");
    write(&source, &store.identity, late).await;
}

#[tokio::test]
async fn a_file_that_was_replaced_or_removed_takes_no_appends() {
    let (store, other) = (Store::new(), Store::of(identity(9)));
    let source = store.primary().await;
    let mine = || vec![commit(store.identity.log, "s", Expected::Any)];
    let aside = store.folder.path().join("aside.db");
    fs::rename(store.path(), &aside).expect("the file put aside");
    let answer = append(&source, &store.identity, mine()).await;
    assert!(matches!(answer, Err(OperationError::Failed(Failure::NotProvisioned(_)))), "{answer:?}");
    assert!(matches!(source.head().await, Err(Failure::NotProvisioned(_))));

    fs::rename(other.path(), store.path()).expect("another store in its place");
    let before = fs::read(store.path()).expect("its bytes");
    for answer in
        [append(&source, &store.identity, mine()).await, append(&source, &identity(9), mine()).await]
    {
        let is_told = matches!(&answer, Err(OperationError::Failed(Failure::NotProvisioned(why))) if why.contains("replaced"));
        assert!(is_told, "{answer:?}");
    }
    assert!(source.head().await.is_err());
    assert_eq!(fs::read(store.path()).expect("its bytes"), before, "the other store is as it was");

    fs::rename(&aside, store.path()).expect("the file back in its place");
    assert!(append(&source, &store.identity, mine()).await.is_ok());
    assert_eq!(check_log(&source).await.len(), 2);
}

#[tokio::test]
async fn a_closed_source_refuses_and_what_it_took_is_done() {
    let store = Store::new();
    let source = store.primary().await;
    let mut taken = Vec::new();
    for _ in 0..20 {
        let batch = vec![commit(store.identity.log, "s", Expected::Any)];
        let mut operation = Box::pin(append(&source, &store.identity, batch));
        // handed over to the writer, but not waited for
        let first_look = futures_poll(&mut operation).await;
        taken.push((operation, first_look));
    }
    let dropped = taken.split_off(10);
    drop(dropped);
    source.close().await;
    for (operation, answered) in taken {
        if !answered {
            assert!(operation.await.is_ok());
        }
    }
    let late = append(&source, &store.identity, vec![commit(store.identity.log, "s", Expected::Any)]).await;
    assert!(matches!(late, Err(OperationError::Failed(Failure::Unreachable(_)))), "{late:?}");
    assert!(matches!(source.head().await, Err(Failure::Unreachable(_))));
    source.wait(Position::FIRST, Duration::from_millis(1)).await;
    source.close().await;
    assert_eq!(check_log(&store.open().await).await.len(), 21, "dropped or not, each was done");
}

#[tokio::test]
async fn a_closed_source_leaves_everything_in_the_file_itself() {
    let store = Store::new();
    store.primary().await.close().await;
    for round in 1..=400 {
        let source = store.open().await;
        write(&source, &store.identity, commit(store.identity.log, "s", Expected::Any)).await;
        // several connections that read, and the one that looks for other processes' commits
        let (one, two) = tokio::join!(check_log(&source), check_log(&source));
        assert_eq!((one.len(), two.len()), (round + 1, round + 1));
        source.wait(Position::new(u64::MAX), Duration::from_millis(1)).await;
        source.close().await;
        let left = store.folder.path().join("log.db-wal");
        assert!(!left.exists(), "round {round}: {left:?} is still there");
    }
}

/// Polls once; tells whether it was ready.
async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())
    })
    .await
}

#[tokio::test]
async fn an_error_before_the_commit_is_certain_and_one_after_it_is_not() {
    let store = Store::new();
    store.primary().await.close().await;
    let fail_points = FailPoints::new(POINTS);
    let config = SqliteConfig { fail_points: fail_points.clone(), ..SqliteConfig::new(store.path()) };
    let source = SqliteSource::open(config).await.expect("an open source");
    for (number, point) in POINTS.iter().enumerate() {
        let before = source.head().await.expect("a head");
        let commit =
            commit(store.identity.log, "s", Expected::Version(polylog_log::Version::new(number as u64)));
        fail_points.arm(point, 0, Fault::Error);
        let answer = append(&source, &store.identity, vec![commit.clone()]).await;
        assert!(fail_points.disarm(), "{point} was passed");
        let after = source.head().await.expect("a head");
        let again = append(&source, &store.identity, vec![commit]).await.expect("an append");
        if *point == "committed" {
            assert!(matches!(answer, Err(OperationError::Unknown(_))), "{point}: {answer:?}");
            assert_ne!(after, before, "{point}");
            assert!(matches!(again.verdicts[..], [Verdict::Duplicate(_)]), "{point}");
        } else {
            assert!(matches!(answer, Err(OperationError::Failed(_))), "{point}: {answer:?}");
            assert_eq!(after, before, "{point}");
            assert!(matches!(again.verdicts[..], [Verdict::Committed(_)]), "{point}");
        }
    }
    check_log(&source).await;
}

#[tokio::test]
async fn a_handle_that_crashed_answers_nothing_and_another_finds_the_log_whole() {
    let store = Store::new();
    store.primary().await.close().await;
    for point in POINTS {
        let fail_points = FailPoints::new(POINTS);
        let config = SqliteConfig { fail_points: fail_points.clone(), ..SqliteConfig::new(store.path()) };
        let source = SqliteSource::open(config).await.expect("an open source");
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

#[tokio::test]
async fn a_lease_of_another_store_is_refused() {
    let store = Store::new();
    let source = store.open().await;
    let swap = LeaseSwap { name: "push".into(), expect: None, set: None };
    let answer = source.lease(&identity(9), swap.clone()).await;
    assert!(matches!(answer, Err(OperationError::Refused { reason: Refusal::WrongStore, .. })), "{answer:?}");
    assert!(source.lease(&store.identity, swap).await.expect("an answer").swapped);
}
