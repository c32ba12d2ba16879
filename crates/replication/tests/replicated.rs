//! A log over three sources: what is kept, and what is answered, while sources come and go.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polylog_log::{Acks, Failover, Failure, LogPage, Position, ReadLog, Source};
use polylog_replication::{
    AppendError, Consistency, DesiredConfig, OpenError, ReadError, ReadOptions, Replica, SourceState, Store,
    StoreOptions, StreamQuery,
};
use support::*;

/// Short enough for a test, and long enough for three sources in memory.
const FAILOVER_AFTER: Duration = Duration::from_millis(300);

struct Three {
    remotes: Vec<Arc<Remote>>,
}

impl Three {
    fn new() -> Self {
        Self { remotes: (0..3).map(Remote::one_of_several).collect() }
    }

    fn options(&self, acks: Acks) -> StoreOptions {
        let replica = |number: usize| Replica {
            name: source_name(number as u128),
            source: self.remotes[number].clone(),
            identity: identity_of(number as u128),
        };
        // with one ack an automatic failover could lose what was answered
        let failover = if acks == Acks::Count(1) { Failover::Manual } else { Failover::Automatic };
        let config = DesiredConfig { acks, failover, ..DesiredConfig::default() };
        let first = StoreOptions::new("payments", source_name(0), self.remotes[0].clone(), identity_of(0));
        let others = vec![replica(1), replica(2)];
        StoreOptions { config, others, failover_after: FAILOVER_AFTER, ..first }
    }

    async fn open(&self, acks: Acks) -> Store {
        Store::open(self.options(acks)).await.expect("opens")
    }

    async fn page(&self, number: usize) -> LogPage {
        let (from, to) = (Position::FIRST, Position::new(u64::MAX));
        let read = ReadLog { from, to, max_events: usize::MAX, max_bytes: usize::MAX };
        self.remotes[number].read_log(read).await.expect("reads")
    }

    /// Waits until all sources hold the same log; says how many entries it has.
    async fn level(&self) -> usize {
        until("all sources hold the same log", || async {
            let (first, second, third) = (self.page(0).await, self.page(1).await, self.page(2).await);
            first.entries == second.entries && second.entries == third.entries && !first.entries.is_empty()
        })
        .await;
        self.page(0).await.entries.len()
    }
}

async fn append(store: &Store, number: u64) {
    store.append(commit(number, "account-1", 1), None, soon()).await.expect("is acknowledged");
}

async fn events_of(store: &Store) -> Vec<u64> {
    let types = everything(store).await;
    let users = types.into_iter().filter(|event| !event.event.is_system());
    users.map(|event| event.event.version.get()).collect()
}

async fn primary(store: &Store) -> Option<String> {
    store.status().await.primary.map(|name| name.to_string())
}

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
async fn appends_go_on_without_one_source_and_it_catches_up_when_it_is_back() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.remotes[2].cut(true);
    for number in 1..=50 {
        append(&store, number).await;
    }
    until("the status tells", || async {
        let gone = store.status().await.sources.remove(2);
        matches!(gone.state, SourceState::Failing(Failure::Unreachable(_))) && gone.lag_events >= 50
    })
    .await;
    assert_eq!(
        store.append(commit(60, "account-1", 1), Some(Acks::All), within(300)).await.map_err(|error| {
            match error {
                AppendError::AcksTimeout { .. } => "acks_timeout",
                _ => "another",
            }
        }),
        Err("acks_timeout")
    );
    three.remotes[2].cut(false);
    three.level().await;
    let again =
        store.append(commit(60, "account-1", 1), Some(Acks::All), soon()).await.expect("held by all now");
    assert!(again.repeated);
}

#[tokio::test]
async fn the_loss_of_the_primary_loses_nothing_and_another_takes_over() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    for number in 0..30 {
        append(&store, number).await;
    }
    assert_eq!(primary(&store).await.as_deref(), Some("source-0"));
    three.remotes[0].cut(true);
    let lost = Instant::now();
    store.append(commit(30, "account-1", 1), None, soon()).await.expect("is acknowledged by another primary");
    assert!(lost.elapsed() < Duration::from_secs(3), "{:?}", lost.elapsed());
    assert_eq!(primary(&store).await.as_deref(), Some("source-1"));
    assert_eq!(events_of(&store).await, (1..=31).collect::<Vec<_>>());
    three.remotes[0].cut(false);
    three.level().await;
    append(&store, 31).await;
    assert_eq!(events_of(&store).await, (1..=32).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_lost_primary_alone_holds_is_set_aside_and_found_again_by_a_retry() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    let alone = store.append(commit(1, "account-1", 1), None, within(300)).await;
    assert!(matches!(alone, Err(AppendError::AcksTimeout { .. })), "{alone:?}");
    assert_eq!(events_of(&store).await, [1], "what no majority holds is not shown");
    let query = StreamQuery {
        stream: stream("account-1"),
        from: None,
        backward: true,
        limit: 10,
        max_bytes: 1 << 20,
    };
    let read = store.read_stream(&query, &ReadOptions::default()).await.expect("reads");
    assert_eq!(read.stream.expect("is there").version.get(), 1);
    assert_eq!(read.events.len(), 1);
    three.remotes[0].cut(true);
    three.remotes[1].cut(false);
    three.remotes[2].cut(false);
    append(&store, 2).await;
    three.remotes[0].cut(false);
    three.level().await;
    let removed = three.remotes[0].quarantine(0, 10).await.expect("reads");
    let removed: Vec<_> =
        removed.iter().flat_map(|one| &one.entry.events).filter(|e| !e.is_system()).collect();
    assert_eq!(removed.len(), 1);
    let again = store.append(commit(1, "account-1", 1), None, soon()).await.expect("is acknowledged");
    assert!(!again.repeated, "the first try was lost, and is told as new");
    assert_eq!(events_of(&store).await, [1, 2, 3]);
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_what_was_is_still_read() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].cut(true);
    three.remotes[1].cut(true);
    let refused = store.append(commit(1, "account-1", 1), None, within(800)).await.expect_err("no majority");
    assert!(
        matches!(refused, AppendError::NoPrimary | AppendError::Source(_) | AppendError::OutcomeUnknown),
        "{refused:?}"
    );
    let eventual = ReadOptions { consistency: Consistency::Eventual, ..ReadOptions::default() };
    let found = store.find(event(0).id, &eventual).await.expect("reads");
    assert!(found.event.is_some());
    assert_eq!(found.served.source, source_name(2));
    let strong = ReadOptions { consistency: Consistency::Strong, ..ReadOptions::default() };
    let strong = tokio::time::timeout(Duration::from_secs(8), store.find(event(0).id, &strong)).await;
    assert_eq!(strong.expect("answers").map(|read| read.event.is_some()), Err(ReadError::NoPrimary));
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
    let refused = Store::open(options).await.err().expect("two of three are away");
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
    let refused = Store::open(three.options(Acks::Majority)).await.err().expect("refused");
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
async fn a_log_grows_from_one_source_to_three_and_does_not_shrink() {
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
    let mut two = three.options(Acks::Majority);
    two.others.pop();
    two.config.failover = Failover::Manual;
    let refused = Store::open(two).await.err().expect("refused");
    assert!(matches!(refused, OpenError::NotSupported { field: "sources", .. }), "{refused}");
    let refused = Store::open(alone).await.err().expect("refused");
    assert!(matches!(refused, OpenError::NotSupported { .. }), "{refused}");
}

#[tokio::test]
async fn a_wanted_primary_takes_over_with_everything_at_any_level() {
    let three = Three::new();
    let store = three.open(Acks::Count(1)).await;
    append(&store, 0).await;
    store.drain().await;
    drop(store);
    let options = StoreOptions { primary: Some(source_name(2)), ..three.options(Acks::Count(1)) };
    let store = Store::open(options).await.expect("opens");
    let mut number = 1;
    while primary(&store).await.as_deref() != Some("source-2") {
        append(&store, number).await;
        number += 1;
    }
    append(&store, number).await;
    assert_eq!(events_of(&store).await, (1..=number + 1).collect::<Vec<_>>());
    three.level().await;
    assert!(three.remotes[0].quarantine(0, 10).await.expect("reads").is_empty(), "nothing lost");
}

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
