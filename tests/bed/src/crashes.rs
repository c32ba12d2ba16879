//! A server that is killed, stopped or hangs loses nothing that it acknowledged, and its clients go on without a restart.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use polylog_log::{Commit, EventId, Expected, Failure, Identity, OperationError, Position, Source, Verdict};

use crate::{
    Place, Server,
    acts::{append, check_log, commit, lead},
};

type Acknowledged = Arc<Mutex<BTreeMap<Position, EventId>>>;

/// Ten kills under two writers.
///
/// # Panics
/// If a commit is missing, doubled or at another place than was said.
pub async fn ten_kills_lose_nothing_that_was_acknowledged(server: Arc<dyn Server>, place: &dyn Place) {
    lead(&*place.open().await, &place.identity(), 1).await;
    let (acknowledged, is_over) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    // two handles: with one, every append would be a swap; with two, most take the lock
    for number in 0..2 {
        let (source, of) = (place.open().await, place.identity());
        let (acknowledged, is_over) = (acknowledged.clone(), is_over.clone());
        writers.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                let commit = commit(of.log, &format!("s-{number}"), Expected::Any);
                let id = commit.appends[0].events[0].id;
                let first = write_at_last(&*source, &of, commit).await;
                let before = acknowledged.lock().expect("no panic").insert(first, id);
                assert_eq!(before, None, "position {first} twice");
            }
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
    let log = check_log(&*place.open().await).await;
    let acknowledged = acknowledged.lock().expect("no panic");
    for (position, id) in &*acknowledged {
        let found = log.iter().find(|entry| entry.first() == *position);
        assert_eq!(found.map(|entry| entry.events[0].id), Some(*id), "at position {position}");
    }
    let written = log.iter().flat_map(|entry| &entry.events).skip(1);
    assert_eq!(written.count(), acknowledged.len(), "every commit was sent until it was answered");
}

/// Sends a commit, unchanged, until it is answered; returns its position.
async fn write_at_last(source: &dyn Source, of: &Identity, commit: Commit) -> Position {
    loop {
        match append(source, of, vec![commit.clone()]).await.map(|appended| appended.verdicts) {
            Ok(verdicts) => match &verdicts[..] {
                [Verdict::Committed(receipt) | Verdict::Duplicate(receipt)] => return receipt.first,
                other => panic!("neither written nor known: {other:?}"),
            },
            Err(OperationError::Refused { reason, .. }) => panic!("refused: {reason}"),
            Err(OperationError::Failed(_) | OperationError::Unknown(_)) => tokio::task::yield_now().await,
        }
    }
}

/// A server that is ended, and later there again.
///
/// # Panics
/// If it is not as it should be.
pub async fn a_stopped_server_is_unreachable_and_used_again(server: &dyn Server, place: &dyn Place) {
    let (source, of) = (place.open().await, place.identity());
    lead(&*source, &of, 1).await;
    let batch = || vec![commit(of.log, "s", Expected::Any)];
    append(&*source, &of, batch()).await.expect("an append");
    server.stop();
    assert!(matches!(source.head().await, Err(Failure::Unreachable(_))));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(append(&*source, &of, batch()).await.expect_err("nobody is there"));
    }
    // the first may have been sent before the connection was seen to be gone; no further one was
    assert!(!matches!(answers[0], OperationError::Refused { .. }), "{answers:?}");
    assert!(answers[1..].iter().all(|error| matches!(error, OperationError::Failed(_))), "{answers:?}");
    server.start_again();
    append(&*source, &of, batch()).await.expect("an append");
    assert_eq!(check_log(&*source).await.len(), 3);
}

/// A server that stands still, as on a machine that hangs; `source` waits for it for a second.
///
/// # Panics
/// If it is waited for longer, or what it got is not unknown.
pub async fn a_hanging_server_is_not_waited_for(server: &dyn Server, place: &dyn Place, source: &dyn Source) {
    let of = place.identity();
    lead(&*place.open().await, &of, 1).await;
    append(source, &of, vec![commit(of.log, "s", Expected::Any)]).await.expect("an append");
    let sent = commit(of.log, "s", Expected::Any);
    server.pause();
    let answer = append(source, &of, vec![sent.clone()]).await;
    assert!(matches!(answer, Err(OperationError::Unknown(_))), "{answer:?}");
    let answer = append(source, &of, vec![sent.clone()]).await;
    assert!(matches!(answer, Err(OperationError::Failed(_))), "not even connected: {answer:?}");
    server.resume();
    // what was sent before may be written only now: the same commit is written once all the same
    let deadline = Instant::now() + PATIENCE;
    let appended = loop {
        match append(source, &of, vec![sent.clone()]).await {
            Ok(appended) => break appended,
            // a busy machine may take longer than its patience
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    assert!(matches!(appended.verdicts[..], [Verdict::Committed(_) | Verdict::Duplicate(_)]), "{appended:?}");
    assert_eq!(check_log(&*place.open().await).await.len(), 3);
}

/// A server killed while the statement that writes waits for the lock: from outside this cannot be told from killed after
/// it. `lock` takes the head's lock in another session, which lasts as long as what it returns; `is_awaited` tells whether
/// somebody waits for it.
///
/// # Panics
/// If an outcome is claimed that nobody can know.
pub async fn a_connection_lost_after_the_write_was_sent_leaves_the_outcome_unknown<T>(
    server: &dyn Server,
    place: &dyn Place,
    lock: impl AsyncFn() -> T,
    is_awaited: impl Fn() -> bool,
) {
    let of = place.identity();
    let source = place.open().await;
    lead(&*source, &of, 1).await;
    append(&*source, &of, vec![commit(of.log, "s", Expected::Any)]).await.expect("an append");
    for is_warm in [true, false] {
        // a new handle remembers nothing
        let source = if is_warm { source.clone() } else { place.open().await };
        let _lock = lock().await;
        let sent = commit(of.log, "s", Expected::Any);
        let operation = {
            let (source, sent) = (source.clone(), sent.clone());
            tokio::spawn(async move { append(&*source, &of, vec![sent]).await })
        };
        until(&is_awaited).await;
        server.crash();
        let answer = operation.await.expect("an answer").expect_err("nobody is there");
        // under the lock nothing is committed before COMMIT is sent
        assert_eq!(matches!(answer, OperationError::Unknown(_)), is_warm, "{answer:?}");
        assert_eq!(matches!(answer, OperationError::Failed(_)), !is_warm, "{answer:?}");
        server.start_again();
        append(&*source, &of, vec![sent]).await.expect("the same again");
    }
    assert_eq!(check_log(&*place.open().await).await.len(), 4);
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never happened");
        tokio::task::yield_now().await;
    }
}
