//! Data that one source keeps alone.

use polylog_log::{ROUTE, RecordedEvent, Route};

use super::*;

fn routed(three: &Three) -> StoreOptions {
    let options = three.options(Acks::Majority);
    let route = Route { types: Vec::new(), when: None, source: source_name(2) };
    let config = DesiredConfig { routes: vec![route], ..options.config };
    StoreOptions { config, ..options }
}

/// A commit of one event whose data this source is to keep.
fn kept_by(number: u64, keeper: usize, to: &str) -> Commit {
    let metadata = format!(r#"{{"{ROUTE}":"{}"}}"#, source_name(keeper as u128));
    let event = NewEvent { metadata: Some(metadata.into()), ..event(number) };
    Commit::new(log_id(), vec![StreamAppend::new(stream(to), Expected::Any, vec![event])])
}

impl Three {
    /// Which of the users' events have data in a source.
    async fn has_data(&self, number: usize) -> Vec<bool> {
        let events = self.page(number).await.entries.into_iter().flat_map(|entry| entry.events);
        events.filter(|event| !event.is_system()).map(|event| event.data.is_some()).collect()
    }
}

async fn data_of(store: &Store) -> Vec<Option<String>> {
    let data = |event: RecordedEvent| Some(String::from_utf8_lossy(&event.event.data?).into_owned());
    let users = everything(store).await.into_iter().filter(|event| !event.event.is_system());
    users.map(data).collect()
}

#[tokio::test]
async fn the_others_drop_what_one_source_keeps_and_reads_join_it() {
    let three = Three::new();
    let store = Store::open(routed(&three)).await.expect("opens");
    append(&store, 1).await;
    for number in 2..5 {
        store.append(kept_by(number, 2, "account-2"), None, soon()).await.expect("is acknowledged");
    }
    until("the others drop it", || async {
        let dropped = [true, false, false, false];
        three.has_data(0).await == dropped && three.has_data(1).await == dropped
    })
    .await;
    assert_eq!(three.has_data(2).await, [true; 4], "the keeper has it, and the log");
    let whole: Vec<_> = (1..5).map(|number| Some(format!("{{\"n\":{number}}}"))).collect();
    assert_eq!(data_of(&store).await, whole);
    let query =
        StreamQuery { stream: stream("account-2"), from: None, backward: true, limit: 2, max_bytes: 1 << 20 };
    let read = store.read_stream(&query, &ReadOptions::default()).await.expect("reads");
    let versions = read.events.iter().map(|event| (event.event.version.get(), event.event.data.is_some()));
    assert_eq!(versions.collect::<Vec<_>>(), [(3, true), (2, true)]);
    // pages stay as small as they were asked for, and go on
    let small = LogQuery { max_bytes: 1, ..LogQuery::forward(usize::MAX) };
    let read = store.read_log(&small, &ReadOptions::default()).await.expect("reads");
    assert!(!read.at_end && read.events.len() < 4, "{} events", read.events.len());

    // while the keeper is away
    three.remotes[2].cut(true);
    until("data of its events is told to be away, the others' is there", || async {
        let read = data_of(&store).await;
        read[0].is_some() && read[1..].iter().all(Option::is_none)
    })
    .await;
    let exported = store.read_all(&LogQuery::forward(100), &ReadOptions::default()).await;
    let exported = exported.expect("begins").next().await;
    assert!(matches!(exported, Err(ReadError::Source(_))), "an export without data: {exported:?}");
    until("events that it is to keep are refused", || async {
        let refused = store.append(kept_by(10, 2, "account-2"), None, within(300)).await;
        matches!(refused, Err(AppendError::RouteUnavailable(of)) if of == source_name(2))
    })
    .await;
    append(&store, 11).await;
    three.remotes[2].cut(false);
    until("all is there again", || async { data_of(&store).await.iter().all(Option::is_some) }).await;
    until("they are taken again", || async {
        store.append(kept_by(12, 2, "account-2"), None, soon()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn routes_change_while_the_log_is_written_and_a_new_primary_needs_no_data() {
    let three = Three::new();
    let store = Store::open(routed(&three)).await.expect("opens");
    for number in 1..4 {
        store.append(kept_by(number, 2, "account-1"), None, soon()).await.expect("is acknowledged");
    }
    let config = routed(&three).config;
    let route = Route { source: source_name(1), ..config.routes[0].clone() };
    store.set_config(&DesiredConfig { routes: vec![route], ..config }).await.expect("routes change");
    until("who kept data is remembered", || async {
        store.config().keepers == [source_name(2), source_name(1)]
    })
    .await;
    for number in 4..6 {
        store.append(kept_by(number, 1, "account-1"), None, soon()).await.expect("is acknowledged");
    }
    until("each keeps its own", || async {
        three.has_data(0).await == [false; 5]
            && three.has_data(1).await == [false, false, false, true, true]
            && three.has_data(2).await == [true, true, true, false, false]
    })
    .await;
    three.remotes[0].cut(true);
    until("another takes over", || async {
        store.append(kept_by(6, 1, "account-1"), None, within(500)).await.is_ok()
    })
    .await;
    until("all of it is read", || async {
        let data = data_of(&store).await;
        data.len() >= 6 && data.iter().all(Option::is_some)
    })
    .await;
}
