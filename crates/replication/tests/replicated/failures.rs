//! Sources that are away, and come back.

use super::*;

#[tokio::test]
async fn appends_go_on_without_one_source_and_it_catches_up_when_it_is_back() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.remotes[2].cut(true);
    for number in 1..=50 {
        append(&store, number).await;
    }
    until("the status tells", || async {
        let gone = store.status().await.sources.remove(2);
        matches!(gone.state, SourceState::Failing(Failure::Unreachable(_))) && gone.lag_events >= 50
    })
    .await;
    assert_eq!(
        store.append(commit(60, "account-1", 1), Some(Acks::All), within(300)).await.map_err(|error| {
            match error {
                AppendError::AcksTimeout { .. } => "acks_timeout",
                _ => "another",
            }
        }),
        Err("acks_timeout")
    );
    three.remotes[2].cut(false);
    three.level().await;
    let again =
        store.append(commit(60, "account-1", 1), Some(Acks::All), soon()).await.expect("held by all now");
    assert!(again.repeated);
}

#[tokio::test]
async fn the_loss_of_the_primary_loses_nothing_and_another_takes_over() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    for number in 0..30 {
        append(&store, number).await;
    }
    assert_eq!(primary(&store).await.as_deref(), Some("source-0"));
    three.remotes[0].cut(true);
    let lost = Instant::now();
    store.append(commit(30, "account-1", 1), None, soon()).await.expect("is acknowledged by another primary");
    assert!(lost.elapsed() < Duration::from_secs(3), "{:?}", lost.elapsed());
    assert_eq!(primary(&store).await.as_deref(), Some("source-1"));
    assert_eq!(events_of(&store).await, (1..=31).collect::<Vec<_>>());
    three.remotes[0].cut(false);
    three.level().await;
    append(&store, 31).await;
    assert_eq!(events_of(&store).await, (1..=32).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_lost_primary_alone_holds_is_set_aside_and_found_again_by_a_retry() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    let alone = store.append(commit(1, "account-1", 1), None, within(300)).await;
    assert!(matches!(alone, Err(AppendError::AcksTimeout { .. })), "{alone:?}");
    assert_eq!(events_of(&store).await, [1], "what no majority holds is not shown");
    let query = StreamQuery {
        stream: stream("account-1"),
        from: None,
        backward: true,
        limit: 10,
        max_bytes: 1 << 20,
    };
    let read = store.read_stream(&query, &ReadOptions::default()).await.expect("reads");
    assert_eq!(read.stream.expect("is there").version.get(), 1);
    assert_eq!(read.events.len(), 1);
    three.remotes[0].cut(true);
    // else the process that wrote it pushes it from memory
    drop(store);
    three.remotes[1].cut(false);
    three.remotes[2].cut(false);
    let store = three.open(Acks::Majority).await;
    append(&store, 2).await;
    three.remotes[0].cut(false);
    three.level().await;
    let removed = three.remotes[0].quarantine(QuarantinePlace::START, 10).await.expect("reads");
    let removed: Vec<_> =
        removed.iter().flat_map(|one| &one.entry.events).filter(|e| !e.is_system()).collect();
    assert_eq!(removed.len(), 1);
    until("it is counted, and nothing elsewhere", || async {
        let status = store.status().await;
        let counted: Vec<_> = status.sources.iter().map(|source| source.quarantined).collect();
        counted == [Some(1), Some(0), Some(0)]
    })
    .await;
    let again = store.append(commit(1, "account-1", 1), None, soon()).await.expect("is acknowledged");
    assert!(!again.repeated, "the first try was lost, and is told as new");
    assert_eq!(events_of(&store).await, [1, 2, 3]);
}

#[tokio::test]
async fn what_the_lost_primary_alone_holds_reaches_the_others_from_the_process_that_wrote_it() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    let alone = store.append(commit(1, "account-1", 1), None, within(300)).await;
    assert!(matches!(alone, Err(AppendError::AcksTimeout { .. })), "{alone:?}");
    three.remotes[0].cut(true);
    three.remotes[1].cut(false);
    three.remotes[2].cut(false);
    append(&store, 2).await;
    assert_eq!(events_of(&store).await, [1, 2, 3]);
    three.remotes[0].cut(false);
    three.level().await;
    let removed = three.remotes[0].quarantine(QuarantinePlace::START, 10).await.expect("reads");
    assert!(removed.is_empty(), "{removed:?}");
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_what_was_is_still_read() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].cut(true);
    three.remotes[1].cut(true);
    let refused = store.append(commit(1, "account-1", 1), None, within(800)).await.expect_err("no majority");
    assert!(
        matches!(refused, AppendError::NoPrimary | AppendError::Source(_) | AppendError::OutcomeUnknown),
        "{refused:?}"
    );
    let eventual = ReadOptions { consistency: Consistency::Eventual, ..ReadOptions::default() };
    let found = store.find(event(0).id, &eventual).await.expect("reads");
    assert!(found.event.is_some());
    assert_eq!(found.served.source, source_name(2));
    let strong = ReadOptions { consistency: Consistency::Strong, ..ReadOptions::default() };
    let strong = tokio::time::timeout(Duration::from_secs(8), store.find(event(0).id, &strong)).await;
    assert_eq!(strong.expect("answers").map(|read| read.event.is_some()), Err(ReadError::NoPrimary));
}
