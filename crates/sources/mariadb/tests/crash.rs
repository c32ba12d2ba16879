//! A server that is killed loses nothing that it acknowledged, and its clients go on without a restart.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use polylog_log::{EventId, Expected, OperationError, Position, Source, Verdict};
use polylog_source_mariadb::MariadbSource;
use polylog_test_bed::MariadbServer;
use support::{Store, append, check_log, commit, identity};

type Acknowledged = Arc<Mutex<BTreeMap<Position, EventId>>>;

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_of_the_server_lose_nothing_that_was_acknowledged() {
    let server = Arc::new(MariadbServer::start());
    let store = Store::on(&server, identity(1)).await;
    store.primary().await.close().await;
    let (acknowledged, is_over) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    // two handles: with one, every append would be a swap; with two, most take the lock
    for number in 0..2 {
        let (source, acknowledged, is_over) = (store.open().await, acknowledged.clone(), is_over.clone());
        writers.push(tokio::spawn(async move {
            write_until(&source, &format!("s-{number}"), &acknowledged, &is_over).await;
        }));
    }
    for kill in 1..=10 {
        until(|| acknowledged.lock().expect("no panic").len() >= 20 * kill).await;
        let server = server.clone();
        let restart = move || {
            server.crash();
            server.start_again();
        };
        tokio::task::spawn_blocking(restart).await.expect("a restart");
    }
    is_over.store(true, Ordering::Release);
    for writer in writers {
        writer.await.expect("a writer's end");
    }
    let log = check_log(&store.open().await).await;
    let acknowledged = acknowledged.lock().expect("no panic");
    for (position, id) in &*acknowledged {
        let found = log.iter().find(|entry| entry.first() == *position);
        assert_eq!(found.map(|entry| entry.events[0].id), Some(*id), "at position {position}");
    }
    let written = log.iter().flat_map(|entry| &entry.events).skip(1);
    assert_eq!(written.count(), acknowledged.len(), "every commit was sent until it was answered");
}

/// Each commit is sent, unchanged, until it is answered.
async fn write_until(
    source: &MariadbSource,
    stream: &str,
    acknowledged: &Acknowledged,
    is_over: &AtomicBool,
) {
    let of = identity(1);
    while !is_over.load(Ordering::Acquire) {
        let commit = commit(of.log, stream, Expected::Any);
        let id = commit.appends[0].events[0].id;
        let receipt = loop {
            match append(source, &of, vec![commit.clone()]).await.map(|appended| appended.verdicts) {
                Ok(verdicts) => match &verdicts[..] {
                    [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] => break receipt.clone(),
                    other => panic!("neither written nor known: {other:?}"),
                },
                Err(OperationError::Refused { reason, .. }) => panic!("refused: {reason}"),
                Err(OperationError::Failed(_) | OperationError::Unknown(_)) => tokio::task::yield_now().await,
            }
        };
        let before = acknowledged.lock().expect("no panic").insert(receipt.first, id);
        assert_eq!(before, None, "position {} twice", receipt.first);
    }
}

async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_is_unreachable_and_used_again_when_it_is_back() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let source = store.primary().await;
    let batch = || vec![commit(store.identity.log, "s", Expected::Any)];
    append(&source, &store.identity, batch()).await.expect("an append");
    server.stop();
    assert!(matches!(source.head().await, Err(polylog_log::Failure::Unreachable(_))));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(append(&source, &store.identity, batch()).await.expect_err("nobody is there"));
    }
    // the first may have been sent before the connection was seen to be gone; no further one was
    assert!(!matches!(answers[0], OperationError::Refused { .. }), "{answers:?}");
    assert!(answers[1..].iter().all(|error| matches!(error, OperationError::Failed(_))), "{answers:?}");
    server.start_again();
    append(&source, &store.identity, batch()).await.expect("an append");
    assert_eq!(check_log(&source).await.len(), 3);
}

/// The server stands still, as on a machine that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_not_waited_for_and_what_it_got_is_unknown() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let patience = Duration::from_millis(300);
    let mut config = store.config();
    (config.request_timeout, config.connect_timeout) = (patience, patience);
    let source = MariadbSource::open(config).await.expect("an open source");
    support::lead(&source, &store.identity, 1).await;
    append(&source, &store.identity, vec![commit(store.identity.log, "s", Expected::Any)])
        .await
        .expect("an append");
    let sent = commit(store.identity.log, "s", Expected::Any);
    server.pause();
    let answer = append(&source, &store.identity, vec![sent.clone()]).await;
    assert!(matches!(answer, Err(OperationError::Unknown(_))), "{answer:?}");
    let answer = append(&source, &store.identity, vec![sent.clone()]).await;
    assert!(matches!(answer, Err(OperationError::Failed(_))), "not even connected: {answer:?}");
    server.resume();
    // what was sent before may be written only now: the same commit is written once all the same
    let deadline = Instant::now() + Duration::from_secs(60);
    let appended = loop {
        match append(&source, &store.identity, vec![sent.clone()]).await {
            Ok(appended) => break appended,
            // a busy machine may take longer than its patience
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    assert!(matches!(appended.verdicts[..], [Verdict::Committed(_) | Verdict::Duplicate(_)]), "{appended:?}");
    assert_eq!(check_log(&store.open().await).await.len(), 3);
}

/// Killed while the statement that writes waits for the lock: from outside this cannot be told from killed after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_after_the_write_was_sent_leaves_the_outcome_unknown() {
    let server = MariadbServer::start();
    let store = Store::on(&server, identity(1)).await;
    let source = Arc::new(store.primary().await);
    append(&*source, &store.identity, vec![commit(store.identity.log, "s", Expected::Any)])
        .await
        .expect("an append");
    for is_warm in [true, false] {
        // a new handle remembers nothing
        let source = if is_warm { source.clone() } else { Arc::new(store.open().await) };
        let mut other = support::session(&store.url).await;
        support::run(&mut other, "BEGIN; SELECT lane FROM polylog_head FOR UPDATE").await;
        let (sent, of) = (commit(store.identity.log, "s", Expected::Any), store.identity);
        let operation = {
            let (source, sent) = (source.clone(), sent.clone());
            tokio::spawn(async move { append(&*source, &of, vec![sent]).await })
        };
        // who asks INNODB_TRX again and again is given the same old answer
        let waiting = "SELECT count(*) FROM information_schema.PROCESSLIST \
             WHERE DB LIKE 'test%' AND COMMAND = 'Query' AND TIME_MS > 200";
        until(|| server.execute("mysql", waiting) == "1").await;
        server.crash();
        let answer = operation.await.expect("an answer").expect_err("nobody is there");
        // under the lock nothing is committed before COMMIT is sent
        assert_eq!(matches!(answer, OperationError::Unknown(_)), is_warm, "{answer:?}");
        assert_eq!(matches!(answer, OperationError::Failed(_)), !is_warm, "{answer:?}");
        server.start_again();
        append(&*source, &of, vec![sent]).await.expect("the same again");
    }
    assert_eq!(check_log(&store.open().await).await.len(), 4);
}
