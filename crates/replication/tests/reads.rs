//! What reads answer, how fresh they are, and when they refuse.

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use polylog_log::*;
use polylog_replication::{
    Consistency, LogQuery, PageLimits, ReadError, ReadOptions, SourceState, Start, Store, StreamQuery,
    TokenPoint,
};
use support::*;
use uuid::Uuid;

/// Positions 3 to 22: commits of 1, 2, 3 and 4 events, again and again, to two categories in turn.
async fn filled(remote: &std::sync::Arc<Remote>) -> Store {
    let store = open(remote).await;
    for number in 0..8 {
        let to = if number % 2 == 0 { "a-1" } else { "b-1" };
        store.append(commit(number * 10, to, number % 4 + 1), None, soon()).await.expect("appends");
    }
    store
}

fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.event.position.get()).collect()
}

fn at(position: u64) -> Option<Position> {
    Some(Position::new(position))
}

#[tokio::test]
async fn pages_of_the_log_join_without_hole_or_overlap_in_both_directions() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    for backward in [false, true] {
        for limit in [1, 2, 3, 7, 20, 100] {
            for max_bytes in [1, 500, 1 << 20] {
                let (mut from, mut seen) = (None, Vec::new());
                loop {
                    let query = LogQuery { from, backward, max_bytes, ..LogQuery::forward(limit) };
                    let read = store.read_log(&query, &ReadOptions::default()).await.expect("reads");
                    assert!(read.events.len() <= limit);
                    seen.extend(positions(&read.events));
                    from = Some(read.next_from);
                    if read.at_end {
                        break;
                    }
                }
                let expected: Vec<u64> = if backward { (3..=22).rev().collect() } else { (3..=22).collect() };
                assert_eq!(seen, expected, "backward {backward}, limit {limit}, bytes {max_bytes}");
                assert_eq!(from, at(if backward { 0 } else { 23 }));
            }
        }
    }
}

#[tokio::test]
async fn a_range_ends_where_it_says() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let read = async |from, to, backward| {
        let query = LogQuery { from, to, backward, include_system: true, ..LogQuery::forward(100) };
        let read = store.read_log(&query, &ReadOptions::default()).await.expect("reads");
        (positions(&read.events), read.next_from.get(), read.at_end)
    };
    assert_eq!(read(at(1), at(2), false).await, (vec![1, 2], 3, true), "the log's own events");
    assert_eq!(read(at(5), at(7), false).await, (vec![5, 6, 7], 8, true), "inside commits");
    assert_eq!(read(at(7), at(5), true).await, (vec![7, 6, 5], 4, true));
    assert_eq!(read(at(21), None, false).await, (vec![21, 22], 23, true));
    assert_eq!(read(at(90), at(21), true).await, (vec![22, 21], 20, true), "beyond the end is the end");
    assert_eq!(read(at(90), None, false).await, (vec![], 90, true));
}

#[tokio::test]
async fn the_whole_log_is_read_page_by_page_up_to_where_it_ended_at_the_call() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    for (limit, from, to) in [(1, None, None), (3, at(7), at(17)), (100, None, None)] {
        let query = LogQuery { from, to, ..LogQuery::forward(limit) };
        let mut reader = store.read_all(&query, &ReadOptions::default()).await.expect("reads");
        store.append(commit(1_000 + limit as u64, "a-1", 1), None, soon()).await.expect("appends");
        let end = reader.served().position;
        let mut seen = Vec::new();
        while let Some(events) = reader.next().await.expect("a page") {
            assert!(!events.is_empty());
            seen.extend(positions(&events));
        }
        let first = from.map_or(3, Position::get);
        let last = to.unwrap_or(end);
        assert!(seen.into_iter().eq(first..=last.get()), "limit {limit}");
        assert_eq!(reader.next_from(), last.next());
    }
}

#[tokio::test]
async fn categories_and_streams_are_read_in_both_directions() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let options = ReadOptions::default();
    let own = |category: &str| {
        let category = Category::parse(category).expect("a good name");
        let store = store.clone();
        async move {
            let (mut forward, mut backward) = (Vec::new(), Vec::new());
            for (direction, seen) in [(false, &mut forward), (true, &mut backward)] {
                let mut from = None;
                loop {
                    let query = LogQuery { from, backward: direction, ..LogQuery::forward(3) };
                    let read = store.read_category(&category, &query, &ReadOptions::default()).await;
                    let read = read.expect("reads");
                    seen.extend(positions(&read.events));
                    from = Some(read.next_from);
                    if read.at_end {
                        break;
                    }
                }
            }
            backward.reverse();
            assert_eq!(forward, backward);
            forward
        }
    };
    let events = everything(&store).await;
    let of = |name: &str| -> Vec<RecordedEvent> {
        events.iter().filter(|event| event.event.stream.as_str() == name).cloned().collect()
    };
    assert_eq!(own("a").await, positions(&of("a-1")));
    assert_eq!(own("b").await, positions(&of("b-1")));
    assert_eq!(own("c").await, [0; 0]);

    let mut query =
        StreamQuery { stream: stream("b-1"), from: None, backward: false, limit: 5, max_bytes: 1 << 20 };
    let read = store.read_stream(&query, &options).await.expect("reads");
    assert_eq!((&read.events[..], read.next_from.get(), read.at_end), (&of("b-1")[..5], 6, false));
    query.from = Some(read.next_from);
    query.limit = 100;
    let rest = store.read_stream(&query, &options).await.expect("reads");
    assert_eq!((&rest.events[..], rest.next_from.get(), rest.at_end), (&of("b-1")[5..], 13, true));
    let back = StreamQuery { from: None, backward: true, limit: 2, ..query.clone() };
    let read = store.read_stream(&back, &options).await.expect("reads");
    assert_eq!((read.events[0].event.version.get(), read.next_from.get(), read.at_end), (12, 10, false));
    let none = StreamQuery { stream: stream("none-1"), from: None, ..query };
    let read = store.read_stream(&none, &options).await.expect("reads");
    assert!(read.stream.is_none() && read.events.is_empty() && read.at_end);
    let head = store.stream_head(&stream("b-1"), &options).await.expect("reads");
    assert_eq!((head.stream.expect("it is there").version.get(), head.last.as_ref()), (12, of("b-1").last()));
}

#[tokio::test]
async fn single_events_are_found_by_id_and_by_position() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let options = ReadOptions::default();
    let events = everything(&store).await;
    for event in &events {
        let found = store.find(event.event.id, &options).await.expect("reads");
        assert_eq!(found.event.as_ref(), Some(event));
        let found = store.event_at(event.event.position, &options).await.expect("reads");
        assert_eq!(found.event.as_ref(), Some(event));
    }
    for position in [Position::ZERO, Position::new(23)] {
        assert_eq!(store.event_at(position, &options).await.expect("reads").event, None);
    }
    assert_eq!(store.find(event(9_999).id, &options).await.expect("reads").event, None);
}

fn with_token(token: TokenPoint, wait: u64) -> ReadOptions {
    ReadOptions { token: Some(token), wait: Duration::from_millis(wait), ..ReadOptions::default() }
}

#[tokio::test]
async fn a_token_is_waited_for_and_its_history_checked() {
    let remote = Remote::new(1);
    let (store, other) = (filled(&remote).await, open(&remote).await);
    let query = LogQuery::forward(1);
    for event in everything(&store).await {
        let token = TokenPoint::of_event(log_id(), &event);
        store.read_log(&query, &with_token(token, 0)).await.expect("its own history");
        let forked = TokenPoint { chain: [0; 8], ..token };
        let position = token.position;
        let refused = store.read_log(&query, &with_token(forked, 0)).await;
        assert_eq!(refused.err(), Some(ReadError::HistoryForked { position, fork: None }));
    }
    let start = TokenPoint::new(log_id(), Point::start(log_id()));
    store.read_log(&query, &with_token(start, 0)).await.expect("the beginning is everybody's");
    let foreign = TokenPoint { log: [9; 4], ..start };
    assert_eq!(store.read_log(&query, &with_token(foreign, 0)).await.err(), Some(ReadError::OtherStore));

    let position = Position::new(23);
    let ahead = TokenPoint { position, ..start };
    let refused = store.read_log(&query, &with_token(ahead, 20)).await;
    let lost = ReadError::HistoryForked { position, fork: None };
    assert_eq!(refused.err(), Some(lost), "the only voter had it once, and has it no more");
    let patient = with_token(ahead, 5_000);
    let read = store.find(event(5_000).id, &patient);
    let append = other.append(commit(5_000, "a-1", 1), None, soon());
    let (refused, appended) = tokio::join!(read, append);
    assert!(matches!(refused.err(), Some(ReadError::HistoryForked { .. })), "it came, and is another one");
    let token = TokenPoint::new(log_id(), appended.expect("appends").point);
    assert!(store.find(event(5_000).id, &with_token(token, 0)).await.expect("reads").event.is_some());
    remote.promise(&identity(), Term::new(9), Nonce::new(Uuid::from_u128(9))).await.expect("granted");
    let (wanted, tail) = (Position::new(24), Position::new(23));
    let refused = store.read_log(&query, &with_token(TokenPoint { position: wanted, ..start }, 0)).await;
    assert_eq!(refused.err(), Some(ReadError::NotCaughtUp { wanted, tail }), "it is no primary");
}

#[tokio::test]
async fn what_a_read_was_served_from_makes_a_token_that_later_reads_meet() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let read = store.read_log(&LogQuery::forward(1), &ReadOptions::default()).await.expect("reads");
    assert_eq!((read.served.position.get(), read.served.lag_events), (22, 0));
    let token = TokenPoint::new(log_id(), read.served.point);
    store.read_log(&LogQuery::forward(1), &with_token(token, 0)).await.expect("reads");
    let unknown = ReadOptions { source: Some(name("other")), ..ReadOptions::default() };
    let refused = store.read_log(&LogQuery::forward(1), &unknown).await;
    assert_eq!(refused.err(), Some(ReadError::UnknownSource(name("other"))));
}

#[tokio::test]
async fn a_strong_read_needs_a_primary_and_an_eventual_one_does_not() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let reading = |consistency| ReadOptions { consistency, ..ReadOptions::default() };
    let query = LogQuery::forward(1);
    store.read_log(&query, &reading(Consistency::Strong)).await.expect("there is one");
    let nonce = Nonce::new(Uuid::from_u128(9));
    remote.promise(&identity(), Term::new(9), nonce).await.expect("granted");
    let refused = store.read_log(&query, &reading(Consistency::Strong)).await;
    assert_eq!(refused.err(), Some(ReadError::NoPrimary));
    assert_eq!(store.status().await.sources[0].state, SourceState::NotOpened);
    for consistency in [Consistency::Session, Consistency::Bounded, Consistency::Eventual] {
        store.read_log(&query, &reading(consistency)).await.expect("reads");
    }
}

/// A read is as fresh as what was acknowledged when it began; what comes meanwhile is not its concern.
#[tokio::test]
async fn an_append_that_overtakes_a_read_does_not_fail_it() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    remote.hold_answers(true);
    let (reader, stream) = (store.clone(), stream("overtaken-1"));
    let reading = tokio::spawn(async move { reader.stream_head(&stream, &ReadOptions::default()).await });
    until("it was read", || async { remote.stream_reads.load(Ordering::SeqCst) > 0 }).await;
    store.append(commit(900, "other-1", 1), None, soon()).await.expect("acknowledged");
    remote.hold_answers(false);
    let head = reading.await.expect("no panic").expect("the snapshot is as new as the read's beginning");
    assert_eq!(head.stream, None);
}

#[tokio::test]
async fn a_source_that_forgot_what_it_acknowledged_is_noticed() {
    let (remote, restored) = (Remote::new(1), Remote::new(2));
    let store = filled(&remote).await;
    open(&restored).await;
    remote.replace_by(&restored);
    let read = store.read_log(&LogQuery::forward(1), &ReadOptions::default()).await;
    assert_eq!(
        read.err(),
        Some(ReadError::NotCaughtUp { wanted: Position::new(22), tail: Position::new(2) })
    );
}

#[tokio::test]
async fn a_policy_that_others_write_is_known_within_two_seconds() {
    let remote = Remote::new(1);
    let (store, other) = (open(&remote).await, open(&remote).await);
    let mut policy = store.policy();
    assert_eq!(*policy.borrow_and_update(), None);
    for text in ["{\"a\":1}", "{\"a\":2}"] {
        other.set_policy(Bytes::from_static(text.as_bytes())).await.expect("writes");
        let changed = tokio::time::timeout(Duration::from_secs(2), policy.changed()).await;
        changed.expect("in time").expect("the store lives");
        assert_eq!(policy.borrow_and_update().as_deref(), Some(text.as_bytes()));
    }
}

#[tokio::test]
async fn the_status_says_how_the_source_is() {
    let remote = Remote::new(1);
    let store = filled(&remote).await;
    let follower = store.follow(Start::Now, Default::default()).await.expect("follows");
    let status = store.status().await;
    assert_eq!((status.tail.position.get(), status.config_position.get()), (22, 2));
    assert_eq!((status.primary, status.followers), (Some(name("ledger")), 1));
    assert_eq!(status.sources[0].state, SourceState::Primary);
    drop(follower);
    remote.cut(true);
    let status = store.status().await;
    assert!(matches!(status.sources[0].state, SourceState::Failing(Failure::Unreachable(_))));
    assert_eq!((status.tail.position.get(), status.followers), (22, 0), "as last seen");
    let refused = store.read_log(&LogQuery::forward(1), &ReadOptions::default()).await;
    assert!(matches!(refused, Err(ReadError::Source(Failure::Unreachable(_)))));
}

/// Servers move these futures between threads.
#[test]
fn futures_can_be_sent() {
    fn sent<T: Send>(_: impl FnOnce(Store) -> T) {}
    sent(|store| async move { store.append(commit(1, "a-1", 1), None, soon()).await });
    sent(|store| async move { store.read_log(&LogQuery::forward(1), &ReadOptions::default()).await });
    sent(|store| async move {
        let mut follower = store.follow(Start::Now, Default::default()).await.expect("follows");
        follower.next(PageLimits::default()).await
    });
    sent(|store| async move {
        let mut reader = store.read_all(&LogQuery::forward(1), &ReadOptions::default()).await.expect("reads");
        reader.next().await
    });
    sent(|store| async move { store.set_config(&Default::default()).await });
    sent(|store| async move { store.set_policy(Bytes::new()).await });
    sent(|store| async move { (store.status().await, store.drain().await) });
}
