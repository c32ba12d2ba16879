//! An event that a source cannot store.

use super::*;

/// As when somebody lowered a limit of the database, or gave its table a constraint.
#[tokio::test]
async fn a_source_stands_still_at_what_it_cannot_store_says_so_and_goes_on_once_it_can() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[2].most_data(20);
    // more than one page would hold them all
    append(&store, 1).await;
    let long = format!("{{\"n\":\"{}\"}}", "long".repeat(10));
    let long = NewEvent::json(event(2).id, event(2).event_type, long);
    let long = Commit::new(log_id(), vec![StreamAppend::new(stream("account-1"), Expected::Any, vec![long])]);
    let at = store.append(long, None, soon()).await.expect("the others are a majority").point.position;
    for number in 3..30 {
        append(&store, number).await;
    }
    let third = async || {
        let sources = store.status().await.sources;
        sources.into_iter().find(|source| source.name == source_name(2)).expect("it is declared")
    };
    let is_told = |state: &SourceState| match state {
        SourceState::Stalled(Stalled { position, reason }) => {
            *position == at && reason.contains("bytes of data")
        }
        _ => false,
    };
    until("it says where and why it stands still", || async { is_told(&third().await.state) }).await;
    assert_eq!(third().await.position, at.previous(), "everything before it is there, and nothing after it");
    assert_eq!(events_of(&store).await.len(), 30);

    three.remotes[2].most_data(usize::MAX);
    until("it goes on", || async { third().await.state == SourceState::Level }).await;
    three.level().await;
}
