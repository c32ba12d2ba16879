//! How a log begins, grows, and is opened again.

use super::*;

#[tokio::test]
async fn a_log_begins_on_all_of_its_sources_and_each_append_reaches_every_one() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    for number in 0..20 {
        append(&store, number).await;
    }
    let last =
        store.append(commit(100, "account-1", 2), Some(Acks::All), soon()).await.expect("in all three");
    assert_eq!(last.acked_by, [source_name(0), source_name(1), source_name(2)]);
    assert_eq!(events_of(&store).await, (1..=22).collect::<Vec<_>>());
    three.level().await;
    until("the status shows it", || async {
        let status = store.status().await;
        let states: Vec<_> = status.sources.iter().map(|source| source.state.clone()).collect();
        states == [SourceState::Primary, SourceState::Level, SourceState::Level]
            && status
                .sources
                .iter()
                .all(|source| source.lag_events == 0 && source.lag == Some(Duration::ZERO))
    })
    .await;
    assert_eq!(store.status().await.config.voters.len(), 3);
    store.drain().await;
    assert_eq!(store.append(commit(200, "a-1", 1), None, soon()).await, Err(AppendError::Draining));
}

#[tokio::test]
async fn a_log_that_nobody_leads_is_known_to_a_process_that_begins_and_forced_open_without_what_is_lost() {
    let three = Three::new();
    let lossy = || {
        let config = DesiredConfig {
            acks: Acks::Count(1),
            failover: Failover::Manual,
            ..three.options(Acks::Majority).config
        };
        StoreOptions { config, ack_timeout: Duration::from_millis(300), ..three.options(Acks::Majority) }
    };
    let store = Store::open(lossy()).await.expect("opens");
    for number in 0..5 {
        append(&store, number).await;
    }
    let before = three.level().await;
    store.drain().await;
    drop(store);
    three.remotes[0].cut(true);
    let mut unopened = Unopened::begin(lossy()).await.expect("its log is known");
    for _ in 0..2 {
        let refused = unopened.open().await.expect_err("nobody may elect by itself");
        assert!(
            matches!(&refused, OpenError::Leaderless { away } if away[0].0 == source_name(0)),
            "{refused}"
        );
    }
    let leadership = unopened.leadership().expect("several");
    let status = leadership.status().await;
    let states: Vec<_> = status.sources.iter().map(|source| &source.state).collect();
    assert!(
        matches!(states[..], [SourceState::Failing(_), SourceState::NotOpened, SourceState::NotOpened]),
        "{states:?}"
    );
    assert_eq!((status.primary, status.tail.position), (None, Position::ZERO));
    assert_eq!(status.sources[1].position, Position::new(before as u64));
    assert!(status.sources.iter().all(|source| source.role == Role::Voter));
    let not_lost = leadership.force([source_name(1)].into()).await;
    assert_eq!(not_lost, Err(ForceRefused::Answers(source_name(1))));
    leadership.force([source_name(0)].into()).await.expect("it is cut off");
    let store = unopened.open().await.expect("another leads");
    drop(unopened);
    append(&store, 5).await;
    assert_eq!(events_of(&store).await, (1..=6).collect::<Vec<_>>());
    three.remotes[0].cut(false);
    assert!(three.level().await > before);
}

#[tokio::test]
async fn a_store_opens_on_its_log_without_one_source_and_not_without_two() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    for number in 0..5 {
        append(&store, number).await;
    }
    let before = three.level().await;
    store.drain().await;
    drop(store);
    three.remotes[0].cut(true);
    let store = three.open(Acks::Majority).await;
    append(&store, 5).await;
    assert_eq!(events_of(&store).await, (1..=6).collect::<Vec<_>>());
    store.drain().await;
    drop(store);
    three.remotes[1].cut(true);
    let options = StoreOptions { ack_timeout: Duration::from_millis(300), ..three.options(Acks::Majority) };
    let refused = Store::open(options).await.expect_err("two of three are away");
    assert!(
        refused.to_string().contains("source-0") && refused.to_string().contains("source-1"),
        "{refused}"
    );
    three.remotes[0].cut(false);
    three.remotes[1].cut(false);
    let store = three.open(Acks::Majority).await;
    assert_eq!(events_of(&store).await, (1..=6).collect::<Vec<_>>());
    assert!(three.level().await > before);
}

#[tokio::test]
async fn a_log_does_not_begin_without_one_of_its_sources() {
    let three = Three::new();
    three.remotes[2].cut(true);
    let refused = Store::open(three.options(Acks::Majority)).await.expect_err("refused");
    assert!(refused.to_string().contains("source-2"), "{refused}");
    for number in 0..2 {
        assert!(three.page(number).await.entries.is_empty());
    }
    three.remotes[2].cut(false);
    three.open(Acks::Majority).await;
}

#[tokio::test]
async fn a_log_that_was_begun_half_is_begun_again() {
    let three = Three::new();
    // the process died after it had opened the third source, before it wrote `$config`
    let nonce = polylog_log::Nonce::from_bytes([7; 16]);
    let mut head = None;
    for (number, remote) in three.remotes.iter().enumerate() {
        let of = identity_of(number as u128);
        head = Some(remote.promise(&of, polylog_log::Term::new(1), nonce).await.expect("promises"));
    }
    let open = polylog_log::Open {
        term: polylog_log::Term::new(1),
        nonce,
        tail: head.expect("three").tail,
        primary: source_name(2),
        forced: false,
        missing: Vec::new(),
    };
    three.remotes[2].open(&identity_of(2), open).await.expect("opens");
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    assert_eq!(types_of(&everything(&store).await), ["$term", "$term", "$config", "Happened"]);
}

#[tokio::test]
async fn a_log_grows_from_one_source_to_three_and_is_not_opened_with_too_few_of_them() {
    let three = Three::new();
    let mut alone = three.options(Acks::Count(1));
    alone.others.clear();
    let store = Store::open(alone.clone()).await.expect("opens");
    for number in 0..30 {
        append(&store, number).await;
    }
    store.drain().await;
    drop(store);
    let store = three.open(Acks::Majority).await;
    append(&store, 30).await;
    until("all vote", || async { store.status().await.config.voters.len() == 3 }).await;
    three.level().await;
    three.remotes[0].cut(true);
    append(&store, 31).await;
    assert_eq!(events_of(&store).await, (1..=32).collect::<Vec<_>>());
    three.remotes[0].cut(false);
    three.level().await;
    store.drain().await;
    drop(store);
    let mut other = three.options(Acks::Majority);
    other.others =
        vec![Replica { name: source_name(7), source: Remote::one_of_several(7), identity: identity_of(7) }];
    other.config.failover = Failover::Manual;
    let refused = Store::open(other).await.expect_err("one of three voters is no majority");
    assert!(matches!(refused, OpenError::NotSupported { field: "sources", .. }), "{refused}");
    let refused = Store::open(alone).await.expect_err("refused");
    assert!(matches!(refused, OpenError::NotSupported { .. }), "{refused}");
}

/// A policy that changes at a start waits until the source that is away is out of sync.
#[tokio::test]
async fn a_store_whose_sources_all_acknowledge_opens_without_one_of_them() {
    let three = Three::new();
    let options = |policy: &'static str| {
        let mut options = three.options(Acks::All);
        options.config.min_in_sync = 2;
        let (ack_timeout, failover_after) = (Duration::from_millis(300), Duration::from_millis(500));
        StoreOptions { policy: Some(policy.into()), ack_timeout, failover_after, ..options }
    };
    let store = Store::open(options("one")).await.expect("opens");
    three.level().await;
    store.drain().await;
    drop(store);
    three.remotes[2].cut(true);
    Store::open(options("two")).await.expect("opens without it");
}
