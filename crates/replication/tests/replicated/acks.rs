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
