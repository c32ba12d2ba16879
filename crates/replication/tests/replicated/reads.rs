//! What is shown while sources are away, behind, or busy.

use super::*;

#[tokio::test]
async fn strong_reads_go_on_when_the_store_has_drained() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    tokio::time::timeout(Duration::from_secs(5), store.drain()).await.expect("drains");
    let other = three.open(Acks::Majority).await;
    append(&other, 1).await;
    let strong = ReadOptions { consistency: Consistency::Strong, ..ReadOptions::default() };
    for number in 0..2 {
        let read = store.find(event(number).id, &strong).await.expect("is proven");
        assert!(read.event.is_some(), "event {number}");
    }
    assert_eq!(store.append(commit(2, "account-1", 1), None, soon()).await, Err(AppendError::Draining));
}

#[tokio::test]
async fn a_source_that_is_behind_shows_what_it_has_and_no_more_than_was_asked_for() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[2].read_only(true);
    for number in 1..=20 {
        append(&store, number).await;
    }
    let behind = ReadOptions {
        consistency: Consistency::Eventual,
        source: Some(source_name(2)),
        ..ReadOptions::default()
    };
    for backward in [false, true] {
        let query = LogQuery { backward, ..LogQuery::forward(100) };
        let read = store.read_log(&query, &behind).await.expect("shows what it has");
        assert_eq!((read.events.len(), read.served.lag_events), (1, 20), "backward: {backward}");
        assert_eq!(read.served.source, source_name(2));
        let bounded = |max_lag_events, max_lag| ReadOptions {
            consistency: Consistency::Bounded,
            max_lag_events,
            max_lag,
            ..behind.clone()
        };
        store.read_log(&query, &bounded(Some(20), None)).await.expect("near enough");
        store.read_log(&query, &bounded(None, Some(Duration::from_secs(60)))).await.expect("near enough");
        for too_near in [bounded(Some(19), None), bounded(None, Some(Duration::ZERO))] {
            let refused = store.read_log(&query, &too_near).await;
            assert!(matches!(refused, Err(ReadError::NotCaughtUp { .. })), "{refused:?}");
        }
        let session = ReadOptions { consistency: Consistency::Session, ..behind.clone() };
        let refused = store.read_log(&query, &session).await;
        assert!(matches!(refused, Err(ReadError::NotCaughtUp { .. })), "{refused:?}");
    }
}

/// A look waits for a connection while readers use all of them.
#[tokio::test]
async fn a_primary_that_answers_readers_is_left_in_place() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    let term = store.status().await.term;
    three.remotes[0].slow_looks(true);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let options = ReadOptions { source: Some(source_name(0)), ..ReadOptions::default() };
        let read = store.find(event(0).id, &options).await.expect("reads");
        assert_eq!(read.served.source, source_name(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((primary(&store).await.as_deref(), store.status().await.term), (Some("source-0"), term));
    // without readers nothing speaks for it
    until("it is elected anew", || async { store.status().await.term > term }).await;
}

#[tokio::test]
async fn what_one_source_is_slow_at_is_asked_of_another() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].hold_answers(true);
    let read = || async {
        let began = Instant::now();
        let (stream, from) = (stream("account-1"), None);
        let query = StreamQuery { stream, from, backward: false, limit: 10, max_bytes: usize::MAX };
        let read = store.read_stream(&query, &ReadOptions::default()).await.expect("reads");
        assert_eq!(read.events.len(), 1);
        (read.served.source, began.elapsed())
    };
    let (source, took) = read().await;
    assert!(source != source_name(0) && took >= Duration::from_secs(2), "{source} after {took:?}");
    for _ in 0..20 {
        let (source, took) = read().await;
        assert!(source != source_name(0) && took < Duration::from_secs(1), "{source} after {took:?}");
    }
    store.prefer_primary(true);
    let (source, took) = read().await;
    assert!(source != source_name(0) && took >= Duration::from_secs(2), "{source} after {took:?}");
    three.remotes[0].hold_answers(false);
    let (source, _) = read().await;
    assert_eq!(source, source_name(0), "it is asked first, whatever it did before");
    assert_eq!(primary(&store).await.as_deref(), Some("source-0"), "it leads all the same");
}

#[tokio::test]
async fn a_stream_with_a_hole_is_read_from_another_source() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    let damaged = store.append(commit(1, "account-1", 1), None, soon()).await.expect("is acknowledged");
    append(&store, 2).await;
    three.level().await;
    store.prefer_primary(true);
    three.remotes[0].damage(damaged.point.position.get(), None);
    for backward in [false, true] {
        let (stream, from) = (stream("account-1"), None);
        let query = StreamQuery { stream, from, backward, limit: 10, max_bytes: usize::MAX };
        let read = store.read_stream(&query, &ReadOptions::default()).await.expect("reads");
        assert_eq!(read.events.len(), 3);
        assert!(read.served.source != source_name(0), "{}", read.served.source);
    }
}
