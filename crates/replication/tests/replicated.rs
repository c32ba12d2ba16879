//! A log over three sources: what is kept, and what is answered, while sources come and go.

mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use polylog_log::{Acks, Divergence, Failover, Failure, LogPage, Position, QuarantinePlace, ReadLog, Source};
use polylog_replication::{
    AppendError, Consistency, DesiredConfig, Duties, LogQuery, OpenError, PrimaryWish, ReadError,
    ReadOptions, Replica, SourceState, Store, StoreOptions, StreamQuery,
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
    let removed = three.remotes[0].quarantine(QuarantinePlace::START, 10).await.expect("reads");
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

/// One gateway, and processes that do what is its to do once it is away.
#[tokio::test]
async fn a_process_without_duties_takes_them_when_nobody_shows_to_have_them_and_gives_them_back() {
    let three = Three::new();
    let shown = Duties::Shown(Duration::from_millis(50));
    let gateway = || StoreOptions { duties: shown, ..three.options(Acks::Majority) };
    let first = Store::open(gateway()).await.expect("opens");
    let after = Duration::from_millis(600);
    let sidecar =
        StoreOptions { duties: Duties::OnceFree(after), may_open: false, ..three.options(Acks::Majority) };
    let sidecar = Store::open(sidecar).await.expect("opens");
    append(&sidecar, 0).await;

    // as long as somebody has them, a source that is away and comes back is filled by that one alone
    three.remotes[2].cut(true);
    append(&sidecar, 1).await;
    three.remotes[2].cut(false);
    three.level().await;

    first.drain().await;
    drop(first);
    let before = primary(&sidecar).await.expect("a primary");
    let lost = (0..3).find(|number| source_name(*number as u128).to_string() == before).expect("one of them");
    three.remotes[lost].cut(true);
    let gone = Instant::now();
    until("the other one elects", || async {
        primary(&sidecar).await.is_some_and(|primary| primary != before)
    })
    .await;
    assert!(gone.elapsed() >= after, "not before it stood free for so long: {:?}", gone.elapsed());
    append(&sidecar, 2).await;
    three.remotes[lost].cut(false);
    three.level().await;

    // it is back, and the other one does no more than it did
    let back = Store::open(gateway()).await.expect("opens");
    tokio::time::sleep(after).await;
    back.drain().await;
    drop(back);
    let before = primary(&sidecar).await.expect("a primary");
    let lost = (0..3).find(|number| source_name(*number as u128).to_string() == before).expect("one of them");
    three.remotes[lost].cut(true);
    let early = sidecar.append(commit(3, "account-1", 1), None, within(300)).await;
    assert!(early.is_err(), "{early:?}");
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
    append(&store, 0).await;
    three.level().await;
    // acknowledged by the primary alone
    three.remotes[1].cut(true);
    three.remotes[2].cut(true);
    for (number, to) in [(1, "account-1"), (2, "account-1"), (3, "account-2"), (4, "account-2")] {
        store.append(commit(number, to, 1), None, soon()).await.expect("one is enough");
    }
    three.remotes[0].cut(true);
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
    let three = Three::new();
    // longer than between two looks, which it answers
    let options = StoreOptions { failover_after: Duration::from_secs(1), ..three.options(Acks::Majority) };
    let store = Store::open(options).await.expect("opens");
    append(&store, 0).await;
    three.level().await;
    three.remotes[0].read_only(true);
    let began = Instant::now();
    until("another takes over", || async {
        store.append(commit(1, "account-1", 1), None, within(500)).await.is_ok()
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
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

#[tokio::test]
async fn strong_reads_go_on_when_the_store_has_drained() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    tokio::time::timeout(Duration::from_secs(5), store.drain()).await.expect("drains");
    let other = three.open(Acks::Majority).await;
    append(&other, 1).await;
    let strong = ReadOptions { consistency: Consistency::Strong, ..ReadOptions::default() };
    for number in 0..2 {
        let read = store.find(event(number).id, &strong).await.expect("is proven");
        assert!(read.event.is_some(), "event {number}");
    }
    assert_eq!(store.append(commit(2, "account-1", 1), None, soon()).await, Err(AppendError::Draining));
}

#[tokio::test]
async fn a_source_that_is_behind_shows_what_it_has_and_no_more_than_was_asked_for() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    three.level().await;
    three.remotes[2].read_only(true);
    for number in 1..=20 {
        append(&store, number).await;
    }
    let behind = ReadOptions {
        consistency: Consistency::Eventual,
        source: Some(source_name(2)),
        ..ReadOptions::default()
    };
    for backward in [false, true] {
        let query = LogQuery { backward, ..LogQuery::forward(100) };
        let read = store.read_log(&query, &behind).await.expect("shows what it has");
        assert_eq!((read.events.len(), read.served.lag_events), (1, 20), "backward: {backward}");
        assert_eq!(read.served.source, source_name(2));
        let bounded = |max_lag_events, max_lag| ReadOptions {
            consistency: Consistency::Bounded,
            max_lag_events,
            max_lag,
            ..behind.clone()
        };
        store.read_log(&query, &bounded(Some(20), None)).await.expect("near enough");
        store.read_log(&query, &bounded(None, Some(Duration::from_secs(60)))).await.expect("near enough");
        for too_near in [bounded(Some(19), None), bounded(None, Some(Duration::ZERO))] {
            let refused = store.read_log(&query, &too_near).await;
            assert!(matches!(refused, Err(ReadError::NotCaughtUp { .. })), "{refused:?}");
        }
        let session = ReadOptions { consistency: Consistency::Session, ..behind.clone() };
        let refused = store.read_log(&query, &session).await;
        assert!(matches!(refused, Err(ReadError::NotCaughtUp { .. })), "{refused:?}");
    }
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

/// A look waits for a connection while readers use all of them.
#[tokio::test]
async fn a_primary_that_answers_readers_is_left_in_place() {
    let three = Three::new();
    let store = three.open(Acks::Majority).await;
    append(&store, 0).await;
    let term = store.status().await.term;
    three.remotes[0].slow_looks(true);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let read = store.find(event(0).id, &ReadOptions::default()).await.expect("reads");
        assert_eq!(read.served.source, source_name(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((primary(&store).await.as_deref(), store.status().await.term), (Some("source-0"), term));
    // without readers nothing speaks for it
    until("it is elected anew", || async { store.status().await.term > term }).await;
}
