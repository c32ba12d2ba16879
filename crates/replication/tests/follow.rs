//! What followers see: each position once, in order, whatever happens beside them.

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use polylog_log::*;
use polylog_replication::{
    FollowError, FollowOptions, FollowStep, Follower, PageLimits, ReadError, Start, Store, StoreOptions,
    TokenPoint,
};
use support::*;

fn with_system() -> FollowOptions {
    FollowOptions { include_system: true, ..FollowOptions::default() }
}

async fn step(follower: &mut Follower) -> FollowStep {
    let next = follower.next(PageLimits::default());
    let step = tokio::time::timeout(Duration::from_secs(10), next).await.expect("a step in time");
    step.expect("a good step")
}

/// Positions up to `last`, as a follower hands them out.
async fn positions(follower: &mut Follower, last: Position) -> Vec<u64> {
    let mut seen = Vec::new();
    while follower.mark().point.position < last {
        if let FollowStep::Events(events) = step(follower).await {
            seen.extend(events.iter().map(|event| event.event.position.get()));
        }
    }
    seen
}

async fn fill(store: &Store, from: u64, commits: u64, size: u64) -> Position {
    let append = |number| store.append(commit(number * size, "a-1", size), None, soon());
    let answers = futures::future::try_join_all((from..from + commits).map(append)).await;
    answers.expect("all append").last().expect("some").point.position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_see_each_position_once_and_in_order_while_writers_append() {
    for seed in 0..4 {
        let remote = if seed % 2 == 0 { Remote::new(seed) } else { Remote::document(seed) };
        let (store, other) = (open(&remote).await, open(&remote).await);
        let last = Position::new(2 + 4 * 100);
        let followers = (0..12).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let start = if number % 2 == 0 { Start::Beginning } else { Start::Now };
                let mut follower = store.follow(start, with_system()).await.expect("follows");
                let from = follower.mark().point.position.get();
                let limits = PageLimits { events: 1 + number * 7, bytes: 1 << 20 };
                let mut seen = Vec::new();
                while follower.mark().point.position < last {
                    if let FollowStep::Events(events) = follower.next(limits).await.expect("a step") {
                        assert!(events.len() <= limits.events);
                        seen.extend(events.iter().map(|event| event.event.position.get()));
                    }
                }
                assert!(seen.into_iter().eq(from + 1..=last.get()));
            })
        });
        let followers: Vec<_> = followers.collect();
        for number in 0..100 {
            let (a, b) = (commit(number * 10, "a-1", 3), commit(number * 10 + 5, "b-1", 1));
            let (a, b) = tokio::join!(store.append(a, None, soon()), other.append(b, None, soon()));
            assert!(a.is_ok() && b.is_ok());
        }
        let all = futures::future::try_join_all(followers);
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("in time").expect("no panic");
    }
}

#[tokio::test]
async fn system_events_are_hidden_and_the_cursor_moves_past_them() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let mut follower = store.follow(Start::Beginning, FollowOptions::default()).await.expect("follows");
    assert!(matches!(step(&mut follower).await, FollowStep::Moved(mark) if mark.point.position.get() == 2));
    assert!(matches!(step(&mut follower).await, FollowStep::CaughtUp(mark) if mark.head.get() == 2));
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    let FollowStep::Events(events) = step(&mut follower).await else { panic!("an event") };
    assert_eq!(events[0].event.id, event(1).id);
}

#[tokio::test]
async fn every_start_begins_where_it_says() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let last = fill(&store, 0, 5, 4).await;
    let events = everything(&store).await;
    let first = async |start| {
        let mut follower = store.follow(start, with_system()).await.expect("follows");
        positions(&mut follower, last).await.first().copied()
    };
    assert_eq!(first(Start::Beginning).await, Some(1));
    assert_eq!(first(Start::Now).await, None);
    assert_eq!(first(Start::After(Position::new(4))).await, Some(5), "inside a commit");
    assert_eq!(first(Start::After(last)).await, None);
    let token = TokenPoint::of_event(log_id(), &events[8]);
    assert_eq!(first(Start::Token(token)).await, Some(10), "inside a commit");
    for event in &events {
        let time = event.event.recorded_at;
        let expected = events.iter().find(|event| event.event.recorded_at >= time).expect("itself");
        assert_eq!(first(Start::Since(time)).await, Some(expected.event.position.get()));
    }
    assert_eq!(first(Start::Since(Timestamp::EPOCH)).await, Some(1));
    assert_eq!(first(Start::Since(Timestamp::from_micros(i64::MAX))).await, None);
    let beyond = store.follow(Start::After(last.next()), with_system()).await;
    assert_eq!(beyond.err(), Some(ReadError::NotCaughtUp { wanted: last.next(), tail: last }));
}

#[tokio::test]
async fn a_hundred_followers_at_the_end_cost_one_read_for_each_append() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let mut followers = Vec::new();
    for _ in 0..100 {
        let mut follower = store.follow(Start::Now, with_system()).await.expect("follows");
        assert!(matches!(step(&mut follower).await, FollowStep::CaughtUp(_)));
        followers.push(follower);
    }
    // The first append lets the memory of recent events begin.
    let last = fill(&store, 0, 1, 1).await;
    for follower in &mut followers {
        positions(follower, last).await;
    }
    let before = remote.log_reads.load(Ordering::SeqCst);
    for number in 1..=20 {
        let last = fill(&store, number, 1, 1).await;
        for follower in &mut followers {
            assert_eq!(positions(follower, last).await, [last.get()]);
        }
    }
    let reads = remote.log_reads.load(Ordering::SeqCst) - before;
    assert!((20..=60).contains(&reads), "{reads} reads for 20 appends and 100 followers");
}

#[tokio::test]
async fn a_follower_that_stalls_falls_behind_and_loses_nothing() {
    let remote = Remote::new(1);
    let small = StoreOptions { recent_bytes: 20_000, ..options(&remote) };
    let store = Store::open(small).await.expect("opens");
    let mut stalled = store.follow(Start::Now, with_system()).await.expect("follows");
    let mut quick = store.follow(Start::Now, with_system()).await.expect("follows");
    let first = fill(&store, 0, 1, 1).await;
    positions(&mut stalled, first).await;
    while !matches!(step(&mut stalled).await, FollowStep::CaughtUp(_)) {}
    until("it is served from memory", || async { remote.log_reads.load(Ordering::SeqCst) > 0 }).await;
    let next = fill(&store, 1, 1, 1).await;
    positions(&mut stalled, next).await;
    let mut last = next;
    for round in 0..20 {
        last = fill(&store, 100 + round * 20, 20, 1).await;
        positions(&mut quick, last).await;
    }
    let behind = step(&mut stalled).await;
    assert!(matches!(behind, FollowStep::FellBehind(mark) if mark.head == last), "{behind:?}");
    let seen = positions(&mut stalled, last).await;
    assert!(seen.into_iter().eq(next.get() + 1..=last.get()));
    while !matches!(step(&mut stalled).await, FollowStep::CaughtUp(_)) {}
}

#[tokio::test]
async fn a_quiet_log_shows_that_it_lives() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let options = FollowOptions { heartbeat: Duration::from_millis(20), ..with_system() };
    let mut follower = store.follow(Start::Now, options).await.expect("follows");
    assert!(matches!(step(&mut follower).await, FollowStep::CaughtUp(_)));
    for _ in 0..3 {
        assert!(matches!(step(&mut follower).await, FollowStep::Heartbeat(mark) if mark.head.get() == 2));
    }
}

#[tokio::test]
async fn a_history_that_changed_is_told_to_tokens_and_followers() {
    let (remote, restored) = (Remote::new(1), Remote::new(2));
    let store = open(&remote).await;
    let other = open(&restored).await;
    let last = fill(&store, 0, 3, 2).await;
    let mut at_end = store.follow(Start::Now, with_system()).await.expect("follows");
    assert!(matches!(step(&mut at_end).await, FollowStep::CaughtUp(_)));
    let mut behind = store.follow(Start::After(Position::new(4)), with_system()).await.expect("follows");
    let events = everything(&store).await;
    let token = TokenPoint::of_event(log_id(), &events[5]);
    fill(&other, 50, 9, 2).await;
    remote.replace_by(&restored);
    let forked =
        |error: &ReadError, at| matches!(error, ReadError::HistoryForked { position, .. } if *position == at);
    let refused = store.follow(Start::Token(token), with_system()).await.expect_err("refused");
    assert!(forked(&refused, token.position), "{refused:?}");
    for (follower, at) in [(&mut behind, Position::new(4)), (&mut at_end, last)] {
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(10), follower.next(PageLimits::default())).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => break error,
                Err(_) => panic!("it did not notice"),
            }
        };
        assert!(matches!(&error, FollowError::Read(error) if forked(error, at)), "{error:?}");
    }
}

#[tokio::test]
async fn a_log_that_became_shorter_is_told_to_a_follower_at_its_end() {
    let (remote, restored) = (Remote::new(1), Remote::new(2));
    let store = open(&remote).await;
    open(&restored).await;
    let last = fill(&store, 0, 9, 1).await;
    let mut follower = store.follow(Start::Now, with_system()).await.expect("follows");
    while !matches!(step(&mut follower).await, FollowStep::CaughtUp(_)) {}
    remote.replace_by(&restored);
    let next = follower.next(PageLimits::default());
    let next = tokio::time::timeout(Duration::from_secs(10), next).await.expect("it notices");
    let forked = ReadError::HistoryForked { position: last, fork: None };
    assert_eq!(next, Err(FollowError::Read(forked)));
}

#[tokio::test]
async fn a_source_that_cannot_be_read_for_a_while_costs_no_position() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let last = fill(&store, 0, 3, 1).await;
    let mut follower = store.follow(Start::Beginning, with_system()).await.expect("follows");
    remote.cut(true);
    let failed = follower.next(PageLimits::default()).await;
    assert!(
        matches!(failed, Err(FollowError::Read(ReadError::Source(Failure::Unreachable(_))))),
        "{failed:?}"
    );
    remote.cut(false);
    assert!(positions(&mut follower, last).await.into_iter().eq(1..=last.get()));
}
