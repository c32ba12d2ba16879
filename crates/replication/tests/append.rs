//! What callers of append are told, whatever happens to the source.

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use polylog_log::*;
use polylog_replication::{
    AppendError, FollowError, FollowOptions, InvalidCommit, PageLimits, QueueBounds, Start, Store,
    StoreOptions,
};
use support::*;
use uuid::Uuid;

#[tokio::test]
async fn an_append_is_acknowledged_with_its_place_and_a_retry_with_the_same() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let first = store.append(commit(1, "a-1", 2), None, soon()).await.expect("appends");
    let receipt = first.receipt.clone().expect("written");
    assert_eq!((receipt.first, receipt.last), (Position::new(3), Position::new(4)));
    assert_eq!((first.point, first.acked_by.clone()), (receipt.point(), vec![name("ledger")]));
    let again = store.append(commit(1, "a-1", 2), None, soon()).await.expect("recognised");
    assert!(again.repeated && !first.repeated);
    assert_eq!(again.receipt, first.receipt);
    assert_eq!(everything(&store).await.len(), 4);
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    let append = |appends| store.append(Commit::new(log_id(), appends), None, soon());
    let to = |name, expected, events| StreamAppend::new(stream(name), expected, events);

    let stale = append(vec![to("a-1", Expected::NoStream, vec![event(5)])]).await;
    let Err(AppendError::VersionConflict { conflicts, .. }) = stale else { panic!("{stale:?}") };
    assert_eq!(conflicts[0].actual, Version::FIRST);

    let reused = append(vec![to("b-1", Expected::Any, vec![event(5), event(1)])]).await;
    let known = event(1).id;
    assert!(matches!(reused, Err(AppendError::IdConflict { id, .. }) if id == known), "{reused:?}");

    let mut other = to("a-1", Expected::Any, vec![event(6)]);
    other.category = Some(Category::parse("b").expect("a good name"));
    assert!(matches!(append(vec![other]).await, Err(AppendError::OtherAttributes { .. })));

    let twice = vec![to("a-1", Expected::Any, vec![event(7)]), to("a-1", Expected::Any, vec![])];
    assert_eq!(append(twice).await, Err(InvalidCommit::StreamTwice(stream("a-1")).into()));
    let id_twice = vec![to("a-1", Expected::Any, vec![event(7), event(7)])];
    assert_eq!(append(id_twice).await, Err(InvalidCommit::IdTwice(event(7).id).into()));
    assert_eq!(append(vec![]).await, Err(InvalidCommit::Empty.into()));
    let reserved = StreamAppend::new(StreamName::recorded(CONFIG), Expected::Any, vec![event(7)]);
    assert_eq!(append(vec![reserved]).await, Err(InvalidCommit::Reserved(CONFIG.into()).into()));

    let acks = store.append(commit(9, "a-1", 1), Some(Acks::Count(2)), soon()).await;
    assert_eq!(acks, Err(AppendError::AcksNotSupported { acks: Acks::Count(2), voters: 1 }));
    let limits = Limits { event_bytes: 4, ..Limits::default() };
    let strict = Store::open(StoreOptions { limits, ..options(&remote) }).await.expect("opens");
    let large = strict.append(commit(9, "a-1", 1), None, soon()).await;
    assert!(matches!(large, Err(AppendError::Limit(LimitExceeded { limit: "eventBytes", .. }))));
    assert_eq!(everything(&store).await.len(), 3, "nothing was written");
}

#[tokio::test]
async fn a_commit_without_events_checks_and_writes_nothing() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    let check = |expected| {
        let appends = vec![StreamAppend::new(stream("a-1"), expected, vec![])];
        store.append(Commit::new(log_id(), appends), None, soon())
    };
    let held = check(Expected::Version(Version::FIRST)).await.expect("holds");
    assert_eq!((held.receipt, held.point.position), (None, Position::new(3)));
    assert!(matches!(check(Expected::NoStream).await, Err(AppendError::VersionConflict { .. })));
    assert_eq!(everything(&store).await.len(), 3);
}

#[tokio::test]
async fn commits_that_meet_are_sent_together() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let before = remote.appends.load(Ordering::SeqCst);
    let appends = (0..200).map(|number| store.append(commit(number, "a-1", 1), None, soon()));
    let answers = futures::future::try_join_all(appends).await.expect("all append");
    let positions: Vec<_> = answers.iter().map(|answer| answer.point.position).collect();
    assert!(positions.is_sorted(), "in the order in which they were handed in");
    assert!(remote.appends.load(Ordering::SeqCst) - before <= 3);
}

/// Every kind of fault between any two steps, at random, under load: what was acknowledged is there once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_find_out_what_became_of_an_append() {
    for seed in 0..8 {
        let remote = if seed % 2 == 0 { Remote::new(seed) } else { Remote::document(seed) };
        let store = open(&remote).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let saboteur = tokio::spawn(sabotage(remote.clone(), is_over.clone()));
        let writers = (0..8).map(|writer| tokio::spawn(write(store.clone(), writer)));
        let receipts = futures::future::try_join_all(writers).await.expect("no writer panics");
        is_over.store(true, Ordering::SeqCst);
        saboteur.await.expect("it does not panic");
        let receipts: HashMap<EventId, Position> = receipts.into_iter().flatten().collect();
        let events = everything(&store).await;
        let places = events.iter().map(|event| event.event.position.get());
        assert!(places.eq(1..=events.len() as u64), "a hole");
        let own = events.iter().filter(|event| !event.event.is_system());
        let found: HashMap<_, _> = own.clone().map(|event| (event.event.id, event.event.position)).collect();
        assert_eq!((found.len(), own.count()), (receipts.len(), receipts.len()), "lost, or written twice");
        assert_eq!(found, receipts);
    }
}

async fn sabotage(remote: Arc<Remote>, is_over: Arc<AtomicBool>) {
    let points = remote.fail_points();
    for turn in 0.. {
        if is_over.load(Ordering::SeqCst) {
            points.disarm();
            return;
        }
        let (point, fault) = (points.points()[turn % points.points().len()], Fault::ALL[turn % 4]);
        points.arm(point, (turn % 3) as u32, fault);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn write(store: Store, writer: u64) -> Vec<(EventId, Position)> {
    let mut written = Vec::new();
    let name = format!("writer-{writer}");
    for number in 0..25 {
        let number = writer * 1_000 + number;
        let expected = Expected::Version(Version::new(number % 1_000));
        let appends = vec![StreamAppend::new(stream(&name), expected, vec![event(number)])];
        let commit = Commit::new(log_id(), appends);
        let position = loop {
            match store.append(commit.clone(), None, within(60)).await {
                Ok(acknowledged) => break acknowledged.point.position,
                Err(AppendError::VersionConflict { conflicts, .. }) => panic!("a lost retry: {conflicts:?}"),
                Err(_) => {}
            }
        };
        written.push((event(number).id, position));
    }
    written
}

#[tokio::test]
async fn deadlines_tell_what_was_sent_from_what_was_not() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let before = remote.appends.load(Ordering::SeqCst);
    remote.hold();
    let sent = tokio::spawn({
        let store = store.clone();
        async move { store.append(commit(1, "a-1", 1), None, within(150)).await }
    });
    until("it is sent", || async { remote.appends.load(Ordering::SeqCst) > before }).await;
    let queued = store.append(commit(2, "a-1", 1), None, within(20)).await;
    assert!(matches!(queued, Err(AppendError::Overloaded { .. })), "{queued:?}");
    assert_eq!(sent.await.expect("no panic"), Err(AppendError::OutcomeUnknown));
    remote.release();
    let retried = store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    assert!(retried.receipt.is_some());
    let after = store.append(commit(3, "a-1", 1), None, soon()).await.expect("appends");
    assert_eq!(after.point.position, retried.point.position.next(), "what was refused is not written");
    assert_eq!(everything(&store).await.len(), 4);
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_is_told_at_the_deadline_and_a_short_cut_is_not_noticed() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    remote.cut(true);
    let refused = store.append(commit(1, "a-1", 1), None, within(50)).await;
    assert!(matches!(refused, Err(AppendError::Source(Failure::Unreachable(_)))), "{refused:?}");
    let append = store.append(commit(2, "a-1", 1), None, soon());
    let heal = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        remote.cut(false);
    };
    let (answer, ()) = tokio::join!(append, heal);
    assert!(!answer.expect("appends").repeated);
    assert_eq!(everything(&store).await.len(), 3, "what was refused is not written");
}

#[tokio::test]
async fn a_source_that_panics_leaves_nobody_waiting() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    remote.panic(2);
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("the third try appends");
    remote.panic(usize::MAX);
    let unknown = store.append(commit(2, "a-1", 1), None, within(50)).await;
    assert_eq!(unknown, Err(AppendError::OutcomeUnknown));
    remote.panic(0);
    store.append(commit(3, "a-1", 1), None, soon()).await.expect("it goes on");
}

#[tokio::test]
async fn more_than_may_wait_is_refused_at_once() {
    let remote = Remote::new(1);
    let queue = QueueBounds { commits: 3, bytes: 1 << 20 };
    let store = Store::open(StoreOptions { queue, ..options(&remote) }).await.expect("opens");
    remote.hold();
    let appends: Vec<_> = (0..10)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.append(commit(number, "a-1", 1), None, soon()).await })
        })
        .collect();
    until("the rest is refused", || async {
        appends.iter().filter(|append| append.is_finished()).count() >= 6
    })
    .await;
    remote.release();
    let answers = futures::future::try_join_all(appends).await.expect("no panic");
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = |answer: &&Result<_, _>| matches!(answer, Err(AppendError::Overloaded { .. }));
    assert_eq!(written + answers.iter().filter(refused).count(), 10);
    assert!((3..=4).contains(&written), "{written}");
}

#[tokio::test]
async fn draining_answers_what_was_taken_and_takes_no_more() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let mut follower = store.follow(Start::Now, FollowOptions::default()).await.expect("follows");
    let before = remote.appends.load(Ordering::SeqCst);
    remote.hold();
    let taken = tokio::spawn({
        let store = store.clone();
        async move { store.append(commit(1, "a-1", 1), None, soon()).await }
    });
    until("it is taken", || async { remote.appends.load(Ordering::SeqCst) > before }).await;
    let drained = tokio::spawn({
        let store = store.clone();
        async move { store.drain().await }
    });
    until("it drains", || async { store.status().await.is_draining }).await;
    assert_eq!(store.append(commit(2, "a-1", 1), None, soon()).await, Err(AppendError::Draining));
    let ended = loop {
        match follower.next(PageLimits::default()).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ended, FollowError::Draining);
    assert!(!drained.is_finished(), "one append is under way");
    remote.release();
    drained.await.expect("no panic");
    taken.await.expect("no panic").expect("what was taken is written");
    assert_eq!(everything(&store).await.len(), 3, "reads go on");
}

#[tokio::test]
async fn the_store_follows_a_term_that_others_open_and_replaces_one_that_they_left_unopened() {
    let remote = Remote::new(1);
    let store = open(&remote).await;
    let nonce = Nonce::new(Uuid::from_u128(9));
    let granted = remote.promise(&identity(), Term::new(2), nonce).await.expect("granted");
    let (missing, primary) = (Vec::new(), name("ledger"));
    let open = Open { term: Term::new(2), nonce, tail: granted.tail, primary, forced: false, missing };
    remote.open(&identity(), open).await.expect("opened");
    let acknowledged = store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    assert_eq!(acknowledged.point.term, Term::new(2));
    remote.promise(&identity(), Term::new(7), nonce).await.expect("granted");
    let acknowledged = store.append(commit(2, "a-1", 1), None, soon()).await.expect("appends");
    assert_eq!(acknowledged.point.term, Term::new(8));
}

#[tokio::test]
async fn two_processes_append_to_one_log() {
    let remote = Remote::new(3);
    let stores = [open(&remote).await, open(&remote).await];
    let appends = (0..100).map(|number| {
        let store = &stores[number as usize % 2];
        store.append(commit(number, "a-1", 1), None, soon())
    });
    futures::future::try_join_all(appends).await.expect("all append");
    assert_eq!(everything(&stores[0]).await.len(), 102);
}

#[tokio::test]
async fn appends_go_on_under_a_configuration_that_others_wrote_unless_it_needs_more_than_one_voter() {
    let remote = Remote::new(1);
    let (store, other) = (open(&remote).await, open(&remote).await);
    let config = polylog_replication::DesiredConfig { acks: Acks::Majority, ..Default::default() };
    other.set_config(&config).await.expect("writes");
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");

    let head = remote.head().await.expect("head");
    let mut config = Config::clone(&head.config.config);
    config.version.0 += 1;
    config.voters.push(Member {
        name: name("replica"),
        database: DatabaseId::new(Uuid::from_u128(50)),
        incarnation: Incarnation::new(Uuid::from_u128(51)),
    });
    let append = Append {
        term: head.term,
        config: head.config.config.version,
        batch: vec![Commit::configure(log_id(), &config)].into(),
        watermarks: Watermarks::default(),
    };
    remote.append(&identity(), append).await.expect("appends");
    let refused = store.append(commit(2, "a-1", 1), None, soon()).await;
    assert!(matches!(refused, Err(AppendError::NotSupported(_))), "{refused:?}");
}
