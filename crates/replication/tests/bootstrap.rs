//! How a log begins, and who may go on with it.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use polylog_log::*;
use polylog_replication::{DesiredConfig, OpenError, Store, StoreOptions};
use support::*;
use uuid::Uuid;

fn with_policy(remote: &Arc<Remote>, policy: &'static str) -> StoreOptions {
    StoreOptions { policy: Some(Bytes::from_static(policy.as_bytes())), ..options(remote) }
}

#[tokio::test]
async fn a_log_begins_with_its_term_its_configuration_and_its_policy() {
    let remote = Remote::new(1);
    let store = Store::open(with_policy(&remote, "{}")).await.expect("opens");
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    let events = everything(&store).await;
    assert_eq!(types_of(&events), [TERM, CONFIG, POLICY, "Happened"]);
    let config: Config =
        serde_json::from_slice(events[1].event.data.as_deref().expect("data")).expect("json");
    assert_eq!((config.version.0, config.voters[0].database), (1, identity().database));
    assert_eq!(store.policy().borrow().as_deref(), Some(&b"{}"[..]));
}

#[tokio::test]
async fn opening_again_writes_only_what_changed() {
    let remote = Remote::new(1);
    for _ in 0..2 {
        let store = Store::open(with_policy(&remote, "{}")).await.expect("opens");
        assert_eq!(types_of(&everything(&store).await), [TERM, CONFIG, POLICY]);
    }
    let config = DesiredConfig { acks: Acks::Majority, ..DesiredConfig::default() };
    let changed = StoreOptions { config, ..with_policy(&remote, "{\"a\":1}") };
    for _ in 0..2 {
        let store = Store::open(changed.clone()).await.expect("opens");
        assert_eq!(types_of(&everything(&store).await), [TERM, CONFIG, POLICY, CONFIG, POLICY]);
        assert_eq!(store.status().await.config.version.0, 2);
    }
    let unchanged = StoreOptions { policy: None, ..changed };
    let store = Store::open(unchanged).await.expect("opens");
    assert_eq!(store.policy().borrow().as_deref(), Some(&b"{\"a\":1}"[..]), "the log's own counts");
}

#[tokio::test]
async fn a_start_that_was_interrupted_anywhere_is_finished_by_the_next() {
    let points = Remote::new(0).fail_points().points();
    for point in points {
        for fault in Fault::ALL {
            for skip in 0..6 {
                let remote = Remote::new(u64::from(skip));
                remote.fail_points().arm(point, skip, fault);
                let first = Store::open(with_policy(&remote, "{}")).await;
                let is_fine = first.is_ok();
                drop(first);
                let store = Store::open(with_policy(&remote, "{}")).await;
                let store =
                    store.unwrap_or_else(|error| panic!("{point} {fault:?} {skip} {is_fine}: {error}"));
                store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
                let events = everything(&store).await;
                let count = |kind| types_of(&events).iter().filter(|found| **found == kind).count();
                assert_eq!((count(CONFIG), count(POLICY)), (1, 1), "{point} {fault:?} {skip}");
                let terms: Vec<_> = events.iter().map(|event| event.term).collect();
                assert!(terms.is_sorted());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_begin_at_once_one_wins_and_the_others_follow() {
    for seed in 0..20 {
        let remote = if seed % 2 == 0 { Remote::new(seed) } else { Remote::document(seed) };
        let opening = (0..4).map(|_| Store::open(with_policy(&remote, "{}")));
        let stores = futures::future::try_join_all(opening).await.expect("all open");
        for (number, store) in (0..).zip(&stores) {
            store.append(commit(number * 10, "a-1", 1), None, soon()).await.expect("appends");
        }
        let events = everything(&stores[0]).await;
        let system = types_of(&events).into_iter().filter(|kind| *kind != "Happened" && *kind != TERM);
        assert_eq!(system.collect::<Vec<_>>(), [CONFIG, POLICY]);
        let terms: Vec<_> = stores.iter().map(|store| store.status()).collect();
        let terms = futures::future::join_all(terms).await;
        assert!(terms.iter().all(|status| status.term == terms[0].term && status.primary.is_some()));
    }
}

#[tokio::test]
async fn after_a_candidate_died_a_higher_term_is_opened() {
    let remote = Remote::new(1);
    remote.promise(&identity(), Term::new(4), Nonce::new(Uuid::from_u128(9))).await.expect("promised");
    let store = open(&remote).await;
    assert_eq!(store.status().await.term, Term::new(5));
    store.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
}

#[tokio::test]
async fn who_may_not_open_says_that_there_is_no_primary() {
    let remote = Remote::new(1);
    let sidecar = StoreOptions { may_open: false, ..options(&remote) };
    assert_eq!(Store::open(sidecar.clone()).await.err(), Some(OpenError::NoPrimary));
    assert_eq!(remote.head().await.expect("head").revision, 0, "nothing was written");
    let gateway = open(&remote).await;
    let sidecar = Store::open(sidecar).await.expect("opens");
    sidecar.append(commit(1, "a-1", 1), None, soon()).await.expect("appends");
    assert_eq!(everything(&gateway).await, everything(&sidecar).await);
}

#[tokio::test]
async fn what_needs_a_second_source_is_refused_before_anything_is_written() {
    let base = DesiredConfig::default();
    let wishes = [
        ("acks", DesiredConfig { acks: Acks::Count(2), ..base.clone() }),
        ("minInSync", DesiredConfig { min_in_sync: 2, ..base.clone() }),
        ("failover", DesiredConfig { failover: Failover::Automatic, ..base.clone() }),
    ];
    for (name, config) in wishes {
        let remote = Remote::new(1);
        let refused = Store::open(StoreOptions { config, ..options(&remote) }).await;
        assert!(matches!(refused.err(), Some(OpenError::NotSupported { field, .. }) if field == name));
        assert_eq!(remote.head().await.expect("head").revision, 0);
    }
    let all = DesiredConfig { acks: Acks::All, ..base };
    let remote = Remote::new(1);
    Store::open(StoreOptions { config: all, ..options(&remote) }).await.expect("one voter is all");
}

#[tokio::test]
async fn a_database_of_another_log_is_refused() {
    let remote = Remote::new(1);
    let other = Identity { log: LogId::new(Uuid::from_u128(99)), ..identity() };
    let refused = Store::open(StoreOptions { identity: other, ..options(&remote) }).await;
    assert!(matches!(refused.err(), Some(OpenError::Source(Failure::WrongStore(_)))));
    assert_eq!(remote.head().await.expect("head").revision, 0);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_told_at_once() {
    let remote = Remote::new(1);
    remote.cut(true);
    let refused = Store::open(options(&remote)).await;
    assert!(matches!(refused.err(), Some(OpenError::Source(Failure::Unreachable(_)))));
}
