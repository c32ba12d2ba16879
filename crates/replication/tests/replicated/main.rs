//! A log over three sources: what is kept, and what is answered, while sources come and go.

mod acks;
mod best_effort;
mod changes;
mod duties;
mod failures;
mod no_writes;
mod opening;
mod reads;
mod routes;
mod stalled;
#[path = "../support/mod.rs"]
mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use polylog_log::{
    Acks, Category, Commit, Divergence, Expected, Failover, Failure, LogPage, NewEvent, Position,
    QuarantinePlace, ReadLog, Source, StreamAppend,
};
use polylog_replication::{
    AppendError, Consistency, DesiredConfig, Duties, FollowError, FollowOptions, FollowStep, ForceRefused,
    LogQuery, OpenError, PageLimits, PrimaryWish, ReadError, ReadOptions, Replica, Role, SourceState,
    Stalled, Start, Store, StoreOptions, StreamQuery, TokenPoint, Unopened,
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
