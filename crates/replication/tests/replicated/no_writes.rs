//! Sources that answer and take no writes.

use super::*;

/// A disk that is full, a server that is read-only: it answers every look.
#[tokio::test]
async fn acks_of_all_go_on_without_a_source_that_takes_no_writes() {
    let three = Three::new();
    let mut options = three.options(Acks::All);
    options.config.min_in_sync = 2;
    let store = Store::open(options).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    three.remotes[2].read_only(true);
    let before = three.remotes[2].writes.load(Ordering::SeqCst);
    let began = Instant::now();
    append(&store, 1).await;
    assert_eq!(store.status().await.config.in_sync, [source_name(0), source_name(1)]);
    until("the status tells", || async {
        matches!(store.status().await.sources[2].state, SourceState::Failing(Failure::Refused { .. }))
    })
    .await;
    append(&store, 2).await;
    // first after milliseconds, then each second
    let tries = three.remotes[2].writes.load(Ordering::SeqCst) - before;
    assert!(tries < 12 + 3 * began.elapsed().as_secs() as usize, "{tries} tries in {:?}", began.elapsed());
    three.remotes[2].read_only(false);
    until("it is in sync again", || async { store.status().await.config.in_sync.len() == 3 }).await;
    three.level().await;
}

#[tokio::test]
async fn a_primary_that_takes_no_writes_is_replaced() {
    // longer than between two looks, which it answers
    is_replaced(Duration::from_secs(1), Duration::ZERO, |primary| primary.read_only(true)).await;
}

/// What is kept of the others in leases is written there all the time, and says nothing of events.
#[tokio::test]
async fn a_primary_that_has_room_for_leases_alone_is_replaced() {
    // longer than between two of them; somebody appends now and then, and they come in between
    is_replaced(Duration::from_secs(3), Duration::from_millis(1_500), Remote::without_room).await;
}

async fn is_replaced(failover_after: Duration, pause: Duration, stops: impl Fn(&Remote)) {
    let three = Three::new();
    let options = StoreOptions { failover_after, ..three.options(Acks::Majority) };
    let store = Store::open(options).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    stops(&three.remotes[0]);
    let began = Instant::now();
    while store.append(commit(1, "account-1", 1), None, within(500)).await.is_err() {
        assert!(began.elapsed() < 10 * failover_after, "nobody takes over");
        tokio::time::sleep(pause).await;
    }
    assert_eq!(primary(&store).await.as_deref(), Some("source-1"));
    three.remotes[0].read_only(false);
    three.level().await;
    assert_eq!(events_of(&store).await, [1, 2]);
}

#[tokio::test]
async fn a_primary_that_takes_no_writes_is_replaced_by_the_one_that_is_named() {
    let three = Three::new();
    let mut options = three.options(Acks::Majority);
    options.config.failover = Failover::Manual;
    let store = Store::open(options).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].read_only(true);
    for number in 1..6 {
        let refused = store.append(commit(number, "account-1", 1), None, within(200)).await;
        assert!(refused.is_err(), "nobody decided about another");
    }
    assert_eq!(primary(&store).await.as_deref(), Some("source-0"));
    store.want_primary(PrimaryWish { wanted: Some(source_name(2)), ..PrimaryWish::default() }).await;
    until("the named one takes over", || async {
        store.append(commit(9, "account-1", 1), None, within(500)).await.is_ok()
    })
    .await;
    assert_eq!(primary(&store).await.as_deref(), Some("source-2"));
    three.remotes[0].read_only(false);
    three.level().await;
}

/// One that acknowledges alone may hold what nobody else does.
#[tokio::test]
async fn a_primary_that_acknowledges_alone_is_not_replaced_without_its_word() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].read_only(true);
    store.want_primary(PrimaryWish { wanted: Some(source_name(2)), ..PrimaryWish::default() }).await;
    for number in 1..8 {
        store.append(commit(number, "account-1", 1), None, within(200)).await.expect_err("it takes nothing");
    }
    assert_eq!(primary(&store).await.as_deref(), Some("source-0"));
    three.remotes[0].read_only(false);
    until("it hands over", || async { primary(&store).await.as_deref() == Some("source-2") }).await;
    assert!(
        three.remotes[0].quarantine(QuarantinePlace::START, 10).await.expect("reads").is_empty(),
        "nothing lost"
    );
}
