//! What an append waits for.

use super::*;

#[tokio::test]
async fn acks_of_all_go_on_with_those_in_sync_and_wait_for_a_source_again_once_it_is_level() {
    let three = Three::new();
    let mut options = three.options(Acks::All);
    options.config.min_in_sync = 2;
    let store = Store::open(options).await.expect("opens");
    let whole = store.append(commit(0, "account-1", 1), None, soon()).await.expect("in all three");
    assert_eq!(whole.acked_by.len(), 3);
    three.remotes[2].cut(true);
    store.append(commit(1, "account-1", 1), None, soon()).await.expect("in both that are in sync");
    let in_sync = store.status().await.config.in_sync.clone();
    assert_eq!(in_sync, [source_name(0), source_name(1)]);
    three.remotes[2].cut(false);
    until("it is in sync again", || async { store.status().await.config.in_sync.len() == 3 }).await;
    let whole = store.append(commit(2, "account-1", 1), None, soon()).await.expect("in all three");
    assert_eq!(whole.acked_by.len(), 3);
}

#[tokio::test]
async fn with_one_ack_the_primary_answers_alone_and_a_call_may_ask_for_more() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    three.level().await;
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    append(&store, 0).await;
    assert_eq!(events_of(&store).await, [1], "what the ack level allows is shown");
    let more = store.append(commit(1, "account-1", 1), Some(Acks::Majority), within(300)).await;
    assert!(matches!(more, Err(AppendError::AcksTimeout { .. })), "{more:?}");
    let four = store.append(commit(2, "account-1", 1), Some(Acks::Count(4)), soon()).await;
    assert!(matches!(four, Err(AppendError::AcksNotSupported { voters: 3, .. })), "{four:?}");
}

/// More than a majority: what is answered is in all of them, and no set shrinks.
#[tokio::test]
async fn acks_of_three_wait_for_all_three_and_survive_the_primary() {
    let three = Three::new();
    let store = three.open(Acks::Count(3)).await;
    let whole = store.append(commit(0, "account-1", 1), None, soon()).await.expect("in all three");
    assert_eq!(whole.acked_by.len(), 3);
    three.remotes[2].cut(true);
    let waits = store.append(commit(1, "account-1", 1), None, within(1_000)).await;
    assert!(matches!(waits, Err(AppendError::AcksTimeout { .. })), "{waits:?}");
    three.remotes[2].cut(false);
    let again = store.append(commit(1, "account-1", 1), None, soon()).await.expect("in all three");
    assert_eq!((again.acked_by.len(), again.repeated), (3, true));
    three.remotes[0].cut(true);
    until("another takes over", || async { primary(&store).await.as_deref() == Some("source-1") }).await;
    until("nothing is lost", || async {
        let read = store.read_log(&LogQuery::forward(100), &ReadOptions::default()).await;
        read.is_ok_and(|read| read.events.len() == 2)
    })
    .await;
}

/// Fewer than a majority: a majority that elects may miss all that hold it. The primary shows it; without that nobody does.
#[tokio::test]
async fn what_two_of_five_hold_is_acknowledged_and_shown_by_the_primary_alone() {
    let remotes: Vec<_> = (0..5).map(Remote::one_of_several).collect();
    let replica = |number: usize| Replica {
        name: source_name(number as u128),
        source: remotes[number].clone(),
        identity: identity_of(number as u128),
    };
    let config =
        DesiredConfig { acks: Acks::Count(2), failover: Failover::Manual, ..DesiredConfig::default() };
    let first = StoreOptions::new("payments", source_name(0), remotes[0].clone(), identity_of(0));
    let others = (1..5).map(replica).collect();
    let options = StoreOptions { config, others, failover_after: FAILOVER_AFTER, ..first };
    let store = Store::open(options).await.expect("opens");
    store.append(commit(0, "account-1", 1), Some(Acks::All), soon()).await.expect("in all five");
    remotes[2..].iter().for_each(|remote| remote.read_only(true));
    let two = store.append(commit(1, "account-1", 1), None, soon()).await.expect("in two");
    assert_eq!(two.acked_by, [source_name(0), source_name(1)]);
    assert_eq!(events_of(&store).await, [1, 2], "what the ack level allows is shown");
    remotes[0].cut(true);
    let eventual = ReadOptions { consistency: Consistency::Eventual, ..ReadOptions::default() };
    let read = store.read_log(&LogQuery::forward(100), &eventual).await.expect("reads");
    assert_eq!((read.events.len(), read.served.lag_events), (1, 1), "an election may miss the other one");
}
