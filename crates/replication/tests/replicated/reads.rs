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

fn with(consistency: Consistency) -> ReadOptions {
    ReadOptions { consistency, ..ReadOptions::default() }
}

fn stream_query(backward: bool) -> StreamQuery {
    StreamQuery { stream: stream("account-1"), from: None, backward, limit: 10, max_bytes: usize::MAX }
}

/// Five events in all three sources, as both processes know, and one in the primary alone, which is away then. Those that
/// acknowledged it, and another process.
async fn one_ack_without_the_primary(three: &Three) -> (Store, Store) {
    let store = three.open(Acks::Count(1)).await;
    let other = three.open(Acks::Count(1)).await;
    for number in 0..4 {
        append(&store, number).await;
    }
    store.append(commit(4, "account-1", 1), Some(Acks::All), soon()).await.expect("all three hold it");
    until("the other process knows it", || async {
        let mut all = true;
        for number in [1, 2] {
            let options = ReadOptions { source: Some(source_name(number)), ..with(Consistency::Eventual) };
            let read = other.read_stream(&stream_query(false), &options).await;
            all &= read.is_ok_and(|read| read.events.len() == 5);
        }
        all
    })
    .await;
    three.remotes[1].read_only(true);
    three.remotes[2].read_only(true);
    let known = store.append(commit(5, "account-1", 1), None, soon()).await.expect("the primary holds it");
    until("the other process knows of it", || async { other.tail() == known.point }).await;
    three.remotes[0].cut(true);
    (store, other)
}

#[tokio::test]
async fn with_one_ack_others_answer_without_the_primary_as_far_as_a_majority_holds_the_log() {
    let three = Three::new();
    let (store, other) = one_ack_without_the_primary(&three).await;
    let eventual = with(Consistency::Eventual);
    for reader in [&store, &other] {
        for backward in [false, true] {
            let read = reader.read_stream(&stream_query(backward), &eventual).await.expect("reads");
            assert_eq!((read.events.len(), read.served.lag_events), (5, 1), "backward: {backward}");
            assert_ne!(read.served.source, source_name(0));
            let query = LogQuery { backward, ..LogQuery::forward(100) };
            let read = reader.read_log(&query, &eventual).await.expect("reads");
            assert_eq!((read.events.len(), read.at_end), (5, true), "backward: {backward}");
            assert_eq!(read.served.head, read.served.position.next());
            let read = reader
                .read_category(&Category::parse("account").expect("a good name"), &query, &eventual)
                .await
                .expect("reads");
            assert_eq!((read.events.len(), read.at_end), (5, true), "backward: {backward}");
        }
        let found = reader.find(event(4).id, &eventual).await.expect("reads");
        let position = found.event.expect("is there").event.position;
        let read = reader.event_at(position, &eventual).await.expect("reads");
        assert_eq!(read.event.expect("is there").event.id, event(4).id);

        let bounded =
            |max_lag_events, max_lag| ReadOptions { max_lag_events, max_lag, ..with(Consistency::Bounded) };
        for near in [bounded(Some(1), None), bounded(None, Some(Duration::from_secs(60)))] {
            reader.read_stream(&stream_query(false), &near).await.expect("near enough");
        }
        for too_near in [bounded(Some(0), None), bounded(None, Some(Duration::ZERO))] {
            let refused = reader.read_stream(&stream_query(false), &too_near).await;
            assert!(matches!(refused, Err(ReadError::Source(_))), "{refused:?}");
        }
        // what they lack is not told to be absent
        for refused in [
            reader.find(event(5).id, &eventual).await,
            reader.event_at(position.next(), &eventual).await,
            reader.find(event(99).id, &eventual).await,
        ] {
            assert!(matches!(refused, Err(ReadError::Source(_))), "{refused:?}");
        }
        let query = StreamQuery { stream: stream("account-2"), ..stream_query(false) };
        let refused = reader.read_stream(&query, &eventual).await;
        assert!(matches!(refused, Err(ReadError::Source(_))), "{refused:?}");
    }
    let strong = other.find(event(0).id, &with(Consistency::Strong)).await;
    assert_eq!(strong.map(|read| read.event.is_some()), Err(ReadError::NoPrimary));

    three.remotes[0].cut(false);
    until("the primary answers again", || async {
        let read = other.read_stream(&stream_query(false), &eventual).await.expect("reads");
        read.events.len() == 6 && read.served.source == source_name(0)
    })
    .await;
}

#[tokio::test]
async fn with_one_ack_tokens_and_what_was_acknowledged_are_honoured_without_the_primary() {
    let three = Three::new();
    let (store, other) = one_ack_without_the_primary(&three).await;
    let session = with(Consistency::Session);
    // this process acknowledged what none of the others has
    let refused = store.read_stream(&stream_query(false), &session).await;
    assert!(matches!(refused, Err(ReadError::Source(_))), "{refused:?}");
    let read = other.read_stream(&stream_query(false), &session).await.expect("reads");
    assert_eq!(read.events.len(), 5);
    let token = |event: &polylog_log::RecordedEvent| TokenPoint::of_event(log_id(), event);
    let held = token(&read.events[4]);
    for consistency in [Consistency::Session, Consistency::Eventual] {
        let options = |token| ReadOptions { token: Some(token), ..with(consistency) };
        let again = other.read_stream(&stream_query(false), &options(held)).await.expect("it is there");
        assert_eq!(again.events.len(), 5);
        // of another history: whether it was this one's, only the primary says
        for strange in
            [TokenPoint { chain: [7; 8], ..held }, TokenPoint { position: held.position.next(), ..held }]
        {
            let refused = other.read_stream(&stream_query(false), &options(strange)).await;
            assert!(matches!(refused, Err(ReadError::Source(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn with_one_ack_searches_exports_and_followers_go_on_without_the_primary() {
    let three = Three::new();
    let (_, other) = one_ack_without_the_primary(&three).await;
    until("it is told", || async {
        matches!(other.status().await.sources[0].state, SourceState::Failing(_))
    })
    .await;
    let eventual = with(Consistency::Eventual);
    let search = other.search(None, &eventual).await.expect("begins");
    assert_eq!(search.served().lag_events, 1);
    search.confirm().await.expect("it is the same log");
    let mut all = other.read_all(&LogQuery::forward(2), &eventual).await.expect("begins");
    let mut read = Vec::new();
    while let Some(events) = all.next().await.expect("reads") {
        read.extend(events.into_iter().map(|event| event.event.id));
    }
    let expected: Vec<_> = (0..5).map(|number| event(number).id).collect();
    assert_eq!(read, expected);

    let mut follower = other.follow(Start::Beginning, FollowOptions::default()).await.expect("follows");
    let mut followed = Vec::new();
    while followed.len() < 5 {
        let step = tokio::time::timeout(Duration::from_secs(10), follower.next(PageLimits::default())).await;
        if let FollowStep::Events(events) = step.expect("goes on").expect("reads") {
            followed.extend(events.iter().map(|event| event.event.id));
        }
    }
    assert_eq!(followed, expected);
    // what nobody else has comes once the primary is back
    three.remotes[0].cut(false);
    loop {
        let step = tokio::time::timeout(Duration::from_secs(10), follower.next(PageLimits::default())).await;
        match step.expect("goes on") {
            Ok(FollowStep::Events(events)) => {
                assert_eq!(events.iter().map(|event| event.event.id).collect::<Vec<_>>(), [event(5).id]);
                break;
            }
            Ok(_) | Err(FollowError::Read(ReadError::Source(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A candidate raised the last source's term, and died.
#[tokio::test]
async fn a_source_that_promised_another_term_still_shows_what_a_majority_held() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    store.append(commit(0, "account-1", 1), Some(Acks::All), soon()).await.expect("all three hold it");
    three.remotes[0].cut(true);
    three.remotes[1].cut(true);
    let head = three.remotes[2].head().await.expect("answers");
    let nonce = polylog_log::Nonce::new(uuid::Uuid::from_u128(9));
    three.remotes[2].promise(&identity_of(2), head.term.next(), nonce).await.expect("promises");
    until("it is seen", || async { store.status().await.sources[2].term > head.term }).await;
    let read = store.read_stream(&stream_query(false), &with(Consistency::Eventual)).await.expect("reads");
    assert_eq!((read.events.len(), read.served.source), (1, source_name(2)));
}

#[tokio::test]
async fn what_is_left_of_a_majority_is_read_although_it_is_behind() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    store.append(commit(0, "account-1", 1), Some(Acks::All), soon()).await.expect("all three hold it");
    three.remotes[2].read_only(true);
    for number in 1..=3 {
        append(&store, number).await;
    }
    three.remotes[0].cut(true);
    three.remotes[1].cut(true);
    let other = with(Consistency::Eventual);
    let read = store.read_stream(&stream_query(false), &other).await.expect("reads");
    assert_eq!((read.events.len(), read.served.lag_events, read.served.source), (1, 3, source_name(2)));
    let refused = store.read_stream(&stream_query(false), &with(Consistency::Session)).await;
    assert!(matches!(refused, Err(ReadError::Source(_))), "this process acknowledged more: {refused:?}");
}

/// A primary that is slow is waited for by readers who could have less: as long as it lives.
#[tokio::test]
async fn with_one_ack_a_slow_primary_is_waited_for_while_it_lives() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    store.append(commit(0, "account-1", 1), Some(Acks::All), soon()).await.expect("all three hold it");
    three.remotes[0].hold_answers(true);
    let reading = store.clone();
    let read =
        tokio::spawn(
            async move { reading.read_stream(&stream_query(false), &with(Consistency::Eventual)).await },
        );
    until("it is asked", || async { three.remotes[0].stream_reads.load(Ordering::SeqCst) > 0 }).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(!read.is_finished(), "it lives");
    three.remotes[0].cut(true);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("answers").expect("no panic");
    assert_ne!(read.expect("reads").served.source, source_name(0));
}
