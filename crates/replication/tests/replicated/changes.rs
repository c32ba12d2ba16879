//! A running log is asked for another primary, other settings, more voters.

use super::*;

#[tokio::test]
async fn a_wanted_primary_takes_over_with_everything_at_any_level() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    append(&store, 0).await;
    store.drain().await;
    drop(store);
    let options = StoreOptions {
        primary: PrimaryWish { wanted: Some(source_name(2)), ..PrimaryWish::default() },
        ..three.options(Acks::Count(1))
    };
    let store = Store::open(options).await.expect("opens");
    let mut number = 1;
    while primary(&store).await.as_deref() != Some("source-2") {
        append(&store, number).await;
        number += 1;
    }
    append(&store, number).await;
    assert_eq!(events_of(&store).await, (1..=number + 1).collect::<Vec<_>>());
    three.level().await;
    assert!(
        three.remotes[0].quarantine(QuarantinePlace::START, 10).await.expect("reads").is_empty(),
        "nothing lost"
    );
}

/// Two that were asked for different settings do not take turns.
#[tokio::test]
async fn what_is_wanted_is_wanted_until_the_log_has_it() {
    let three = Three::new();
    let old = three.open(Acks::Majority).await;
    let new = three.open(Acks::All).await;
    assert_eq!(new.status().await.config.acks, Acks::All);
    append(&old, 0).await;
    let version = old.status().await.config.version;
    append(&new, 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let config = new.status().await.config;
    assert_eq!((config.version, config.acks), (version, Acks::All), "the one that was asked last");
}

/// A source that follows is filled, and nobody waits for it until it may vote.
#[tokio::test]
async fn sources_follow_until_they_may_vote() {
    let three = Three::new();
    let learners = vec![source_name(1), source_name(2)];
    let config = DesiredConfig { acks: Acks::Majority, ..DesiredConfig::default() };
    let options = StoreOptions { learners, config, ..three.options(Acks::Majority) };
    let store = Store::open(options).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    assert_eq!(store.status().await.config.voters.len(), 1);
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    append(&store, 1).await;
    three.remotes[1].cut(false);
    three.remotes[2].cut(false);
    // another process is told that they vote
    let voting = three.open(Acks::Majority).await;
    until("all vote", || async { voting.status().await.config.voters.len() == 3 }).await;
    three.remotes[0].cut(true);
    until("another takes over", || async {
        voting.append(commit(2, "account-1", 1), None, within(500)).await.is_ok()
    })
    .await;
}
