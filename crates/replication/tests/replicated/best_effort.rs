//! A log that is opened with whatever sources answer.

use super::*;

/// As BestEffort opens a store.
fn best_effort(three: &Three) -> StoreOptions {
    let options = three.options(Acks::Count(1));
    let config = DesiredConfig {
        failover: Failover::Automatic,
        divergence: Divergence::ReplayIfClean,
        ..options.config
    };
    StoreOptions { config, opens_minority: true, ..options }
}

/// Data of the users' events, in order; none while what was seen of a primary that is gone is beyond what is there.
async fn data_of(store: &Store) -> Vec<String> {
    let read = store.read_log(&LogQuery::forward(usize::MAX), &ReadOptions::default()).await;
    let events = read.map(|read| read.events).unwrap_or_default();
    events
        .into_iter()
        .filter_map(|event| Some(String::from_utf8_lossy(&event.event.data?).into_owned()))
        .collect()
}

#[tokio::test]
async fn best_effort_goes_on_with_one_source_and_replays_what_is_clean_of_the_tail_that_lost() {
    let three = Three::new();
    let store = Store::open(best_effort(&three)).await.expect("opens");
    let other = Store::open(best_effort(&three)).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    // acknowledged by the primary alone
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    for (number, to) in [(1, "account-1"), (2, "account-1"), (3, "account-2"), (4, "account-2")] {
        store.append(commit(number, to, 1), None, soon()).await.expect("one is enough");
    }
    three.remotes[0].cut(true);
    // else the process that wrote it pushes it from memory
    drop(store);
    let store = other;
    three.remotes[2].cut(false);
    let began = Instant::now();
    until("the last source opens the log", || async {
        store.append(commit(10, "account-1", 1), None, within(300)).await.is_ok()
    })
    .await;
    assert!(began.elapsed() >= FAILOVER_AFTER, "not at once: {:?}", began.elapsed());
    assert_eq!(primary(&store).await.as_deref(), Some("source-2"));
    until("what the last source holds is read", || async {
        data_of(&store).await == [r#"{"n":0}"#, r#"{"n":10}"#]
    })
    .await;

    three.remotes[0].cut(false);
    three.remotes[1].cut(false);
    // the streams that went on without it keep what they have; the other one gets back what it lost
    let expected = [r#"{"n":0}"#, r#"{"n":10}"#, r#"{"n":3}"#, r#"{"n":4}"#];
    until("what is clean is replayed", || async { data_of(&store).await == expected }).await;
    three.level().await;
    let removed = three.remotes[0].quarantine(QuarantinePlace::START, 100).await.expect("reads");
    let removed = removed.iter().flat_map(|one| &one.entry.events).filter(|event| !event.is_system());
    assert_eq!(removed.count(), 4, "quarantine holds what lost, replayed or not");
    let again = store.append(commit(3, "account-2", 1), None, soon()).await.expect("is in the log");
    assert!(again.repeated, "a retry finds what was replayed");

    // whoever begins again replays nothing twice
    store.drain().await;
    let store = Store::open(best_effort(&three)).await.expect("opens");
    append(&store, 5).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(data_of(&store).await.len(), expected.len() + 1);
}

#[tokio::test]
async fn two_sources_go_on_with_either_one() {
    let three = Three::new();
    let both = |three: &Three| {
        let options = best_effort(three);
        StoreOptions { others: options.others.into_iter().take(1).collect(), ..options }
    };
    let store = Store::open(both(&three)).await.expect("opens");
    append(&store, 0).await;
    let level = || async { three.page(0).await.entries == three.page(1).await.entries };
    until("both hold it", level).await;
    for (round, (gone, left)) in [(0, 1), (1, 0), (0, 1)].into_iter().enumerate() {
        three.remotes[gone].cut(true);
        until("the other one goes on", || async {
            store.append(commit(10 + round as u64, "account-1", 1), None, within(300)).await.is_ok()
        })
        .await;
        assert_eq!(primary(&store).await, Some(source_name(left).to_string()));
        three.remotes[gone].cut(false);
        until("both hold it", level).await;
    }
    assert_eq!(events_of(&store).await, [1, 2, 3, 4]);
    store.drain().await;
    // at a start too
    three.remotes[1].cut(true);
    let store = Store::open(both(&three)).await.expect("opens with one of two");
    append(&store, 20).await;
    store.drain().await;
    // nobody opens it so without being told
    let manual = both(&three);
    let config = DesiredConfig { failover: Failover::Manual, ..manual.config.clone() };
    three.remotes[1].cut(false);
    let store = Store::open(StoreOptions { config, ..manual }).await.expect("opens");
    until("both hold it", level).await;
    until("it is in force", || async { store.status().await.config.failover == Failover::Manual }).await;
    let gone = usize::from(primary(&store).await.as_deref() == Some("source-1"));
    three.remotes[gone].cut(true);
    tokio::time::sleep(FAILOVER_AFTER * 4).await;
    let refused = store.append(commit(30, "account-1", 1), None, within(300)).await;
    assert!(refused.is_err(), "{refused:?}");
}
