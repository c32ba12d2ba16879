//! Sources that leave a log, are replaced, or are not to be its primary, while it is in use.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use polylog_log::{Acks, Failover, Member, SourceName};
use polylog_replication::{
    Consistency, DesiredConfig, Duties, FollowOptions, FollowStep, LogQuery, OpenError, PageLimits,
    PrimaryWish, ReadOptions, Replica, Start, Store, StoreOptions, Unopened,
};
use support::*;

/// A source under a name, in the database of a number.
struct Database {
    name: SourceName,
    number: u128,
    remote: Arc<Remote>,
}

impl Database {
    fn new(name: u128, number: u128) -> Self {
        Self { name: source_name(name), number, remote: Remote::one_of_several(number) }
    }

    fn replica(&self) -> Replica {
        Replica { name: self.name.clone(), source: self.remote.clone(), identity: identity_of(self.number) }
    }

    fn member(&self) -> Member {
        let identity = identity_of(self.number);
        Member { name: self.name.clone(), database: identity.database, incarnation: identity.incarnation }
    }
}

fn three() -> Vec<Database> {
    (0..3).map(|number| Database::new(number, number)).collect()
}

fn options<'a>(databases: impl IntoIterator<Item = &'a Database>) -> StoreOptions {
    let mut replicas = databases.into_iter().map(Database::replica);
    let Replica { name, source, identity } = replicas.next().unwrap();
    let config =
        DesiredConfig { acks: Acks::Majority, failover: Failover::Manual, ..DesiredConfig::default() };
    let first = StoreOptions::new("payments", name, source, identity);
    let failover_after = Duration::from_millis(300);
    StoreOptions { config, others: replicas.collect(), failover_after, ..first }
}

async fn opened(options: StoreOptions) -> Store {
    Store::open(options).await.expect("opens")
}

async fn append(store: &Store, number: u64) {
    store.append(commit(number, "account-1", 1), None, soon()).await.expect("is acknowledged");
}

async fn closed(store: Store) {
    store.drain().await;
}

async fn until_voters(store: &Store, wanted: &[&Database]) {
    let wanted: BTreeSet<_> = wanted.iter().map(|one| format!("{:?}", one.member())).collect();
    until("these vote, and nobody follows", || async {
        let config = store.status().await.config;
        let voters: BTreeSet<_> = config.voters.iter().map(|voter| format!("{voter:?}")).collect();
        voters == wanted && config.learners.is_empty()
    })
    .await;
}

async fn events_of(store: &Store) -> Vec<u64> {
    let events = everything(store).await.into_iter().filter(|event| !event.event.is_system());
    events.map(|event| event.event.version.get()).collect()
}

#[tokio::test]
async fn a_source_leaves_a_log_that_goes_on_with_the_others() {
    let all = three();
    let store = opened(options(&all)).await;
    append(&store, 0).await;
    until_voters(&store, &[&all[0], &all[1], &all[2]]).await;
    closed(store).await;

    // one that does not answer any more goes too: the others are a majority
    all[2].remote.cut(true);
    let store = opened(options(&all[..2])).await;
    append(&store, 1).await;
    until_voters(&store, &[&all[0], &all[1]]).await;
    closed(store).await;

    // of two voters none can simply be missing, since no majority is left; one that is there follows first, and goes then
    let refused = Store::open(options([&all[0], &Database::new(7, 7)])).await.expect_err("no majority");
    assert!(matches!(refused, OpenError::NotSupported { field: "sources", .. }), "{refused}");
    let learners = vec![source_name(1)];
    let store = opened(StoreOptions { learners, ..options(&all[..2]) }).await;
    until("it follows", || async { store.status().await.config.learners == [all[1].member()] }).await;
    append(&store, 2).await;
    closed(store).await;
    let store = opened(options(&all[..1])).await;
    append(&store, 3).await;
    assert_eq!(events_of(&store).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_database_that_was_lost_comes_back_as_another_and_counts_once_it_has_everything() {
    let all = three();
    let store = opened(options(&all)).await;
    append(&store, 0).await;
    until_voters(&store, &[&all[0], &all[1], &all[2]]).await;
    closed(store).await;

    // under its name is another database, which is empty
    let anew = Database::new(2, 9);
    all[1].remote.cut(true);
    let parts = [&all[0], &all[1], &anew];
    let early = StoreOptions { ack_timeout: Duration::from_millis(700), ..options(parts) };
    let early = Store::open(early).await;
    assert!(early.is_err(), "it is not the voter that it was, and one of three is no majority");
    drop(early);
    all[1].remote.cut(false);
    let store = opened(options(parts)).await;
    append(&store, 1).await;
    until_voters(&store, &parts).await;
    all[1].remote.cut(true);
    append(&store, 2).await;
    assert_eq!(events_of(&store).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_primary_that_is_to_be_avoided_hands_over_and_is_primary_again_only_where_no_other_can() {
    let all = three();
    let store = opened(options(&all)).await;
    append(&store, 0).await;
    let primary = async || store.status().await.primary.clone();
    assert_eq!(primary().await, Some(source_name(0)));
    let avoid = |numbers: &[u128]| PrimaryWish {
        wanted: None,
        avoided: numbers.iter().map(|number| source_name(*number)).collect(),
    };
    store.want_primary(avoid(&[0, 1])).await;
    until("the third leads", || async { primary().await == Some(source_name(2)) }).await;
    append(&store, 1).await;
    // nobody is left: it stays as it is
    store.want_primary(avoid(&[0, 1, 2])).await;
    append(&store, 2).await;
    store.want_primary(avoid(&[2])).await;
    // whichever of the others is level first
    until("another leads", || async { primary().await.is_some_and(|name| name != source_name(2)) }).await;
    append(&store, 3).await;
    assert_eq!(events_of(&store).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_process_that_waits_for_a_primary_elects_once_nobody_else_shows_that_it_does() {
    let all = three();
    let automatic = || {
        let options = options(&all);
        StoreOptions {
            config: DesiredConfig { failover: Failover::Automatic, ..options.config.clone() },
            ..options
        }
    };
    let store = opened(automatic()).await;
    append(&store, 0).await;
    closed(store).await;
    all[0].remote.cut(true);
    let begins = || StoreOptions {
        may_open: false,
        duties: Duties::OnceFree(Duration::from_secs(3)),
        ack_timeout: Duration::from_secs(1),
        ..automatic()
    };
    let mut unopened = Unopened::begin(begins()).await.expect("its log is known");
    assert!(unopened.open().await.is_err(), "somebody else may be about to elect");
    let store = loop {
        if let Ok(store) = unopened.open().await {
            break store;
        }
    };
    assert!(store.has_duties());
    append(&store, 1).await;
    assert_eq!(events_of(&store).await, [1, 2]);
}

#[tokio::test]
async fn a_process_that_knows_one_source_shows_nothing_of_a_log_that_has_several() {
    let all = three();
    let alone = opened(StoreOptions { config: DesiredConfig::default(), ..options(&all[..1]) }).await;
    append(&alone, 0).await;
    let mut follower = alone.follow(Start::Beginning, FollowOptions::default()).await.expect("follows");
    let several = opened(options(&all)).await;
    append(&several, 1).await;
    until_voters(&several, &[&all[0], &all[1], &all[2]]).await;
    append(&several, 2).await;

    for consistency in [Consistency::Strong, Consistency::Session, Consistency::Eventual] {
        let options = ReadOptions { consistency, ..ReadOptions::default() };
        let read = alone.read_log(&LogQuery::forward(10), &options).await;
        assert!(read.is_err(), "the first source alone says nothing of what the others hold: {read:?}");
        let found = alone.stream_head(&stream("account-1"), &options).await;
        assert!(found.is_err(), "{found:?}");
    }
    let followed = async {
        while let Ok(step) = follower.next(PageLimits::default()).await {
            let FollowStep::Events(events) = step else { continue };
            assert!(events.iter().all(|event| event.event.version.get() < 3), "shown: {events:?}");
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), followed).await;
    assert!(alone.append(commit(3, "account-1", 1), None, soon()).await.is_err());
    assert_eq!(events_of(&several).await, [1, 2, 3]);
}

/// As when its tables are dropped, or its name leads to another server.
#[tokio::test]
async fn appends_wait_for_another_primary_when_theirs_is_another_database() {
    let all = three();
    let config = DesiredConfig { failover: Failover::Automatic, ..options(&all).config };
    let store = opened(StoreOptions { config, ..options(&all) }).await;
    append(&store, 0).await;
    assert_eq!(store.status().await.primary, Some(source_name(0)));
    all[0].remote.replace_by(&Database::new(0, 9).remote);
    append(&store, 1).await;
    assert_ne!(store.status().await.primary, Some(source_name(0)));
    assert_eq!(events_of(&store).await, [1, 2]);
}
