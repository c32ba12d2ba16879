//! What happens to rows behind the back of the sources is found, and written back where another source has it.

mod support;

use std::{sync::Arc, time::Duration};

use polylog_log::{Acks, DataDigest, Entry, Event, Failover, Position, ReadLog, Source};
use polylog_replication::{DesiredConfig, Replica, Store, StoreOptions, VerificationOptions, Verified};
use support::*;

/// As fast as it goes.
const FAST: VerificationOptions =
    VerificationOptions { cycle: Duration::from_secs(24 * 3_600), reads_per_second: 5_000 };

struct Bed {
    remotes: Vec<Arc<Remote>>,
    store: Store,
}

impl Bed {
    /// A log over so many sources, each with a commit of two events again and again.
    async fn new(sources: usize, commits: u64) -> Self {
        Self::verified_by(FAST, sources, commits).await
    }

    async fn verified_by(options: VerificationOptions, sources: usize, commits: u64) -> Self {
        let remotes: Vec<_> = (0..sources as u128).map(Remote::one_of_several).collect();
        let replica = |number: usize| Replica {
            name: source_name(number as u128),
            source: remotes[number].clone(),
            identity: identity_of(number as u128),
        };
        let several = sources > 1;
        let config = DesiredConfig {
            acks: if several { Acks::Majority } else { Acks::Count(1) },
            failover: if several { Failover::Automatic } else { Failover::Manual },
            ..DesiredConfig::default()
        };
        let first = StoreOptions::new("payments", source_name(0), remotes[0].clone(), identity_of(0));
        let others = (1..sources).map(replica).collect();
        let store = Store::open(StoreOptions { config, others, verification: Some(options), ..first }).await;
        let bed = Self { remotes, store: store.expect("opens") };
        bed.append(0, commits).await;
        bed.all_verified().await;
        bed
    }

    async fn append(&self, from: u64, commits: u64) {
        for number in from..from + commits {
            let commit = commit(number * 2, "account-1", 2);
            self.store.append(commit, None, soon()).await.expect("is acknowledged");
        }
    }

    async fn verified(&self, number: usize) -> Option<Verified> {
        let status = self.store.status().await;
        status.sources.iter().find(|source| source.name == source_name(number as u128))?.verified
    }

    /// Waits until every source was read to the log's end.
    async fn all_verified(&self) {
        let tail = self.store.tail().position;
        for number in 0..self.remotes.len() {
            until("everything is verified", || async {
                let verified = self.verified(number).await;
                verified.is_some_and(|verified| verified.through >= tail && verified.coverage() == 1.0)
            })
            .await;
        }
    }

    /// Has everything read again; what is known of each source then.
    async fn verify(&self) -> Vec<Verified> {
        let request = self.store.verify().expect("this process verifies");
        let mut all = Vec::new();
        for number in 0..self.remotes.len() {
            until("it is read again", || async {
                self.verified(number).await.is_some_and(|verified| verified.answered >= request)
            })
            .await;
            all.extend(self.verified(number).await);
        }
        all
    }

    async fn entries(&self, number: usize) -> Vec<Entry> {
        let (from, to) = (Position::FIRST, Position::new(u64::MAX));
        let read = ReadLog { from, to, max_events: usize::MAX, max_bytes: usize::MAX };
        self.remotes[number].read_log(read).await.expect("reads").entries
    }

    async fn event(&self, position: u64) -> Event {
        let entries = self.entries(0).await;
        let mut events = entries.into_iter().flat_map(|entry| entry.events);
        events.find(|event| event.position == Position::new(position)).expect("an event")
    }

    /// Flips a bit of an event's data.
    async fn flip(&self, number: usize, position: u64) {
        let event = self.event(position).await;
        self.flip_in(&[number], event);
    }

    fn flip_in(&self, numbers: &[usize], event: Event) {
        let mut data = event.data.expect("data").to_vec();
        data[2] ^= 1;
        for number in numbers {
            let other = (data.clone().into(), event.data_digest, event.digest);
            self.remotes[*number].damage(event.position.get(), Some(other));
        }
    }

    /// Puts another event in its place, which is whole.
    async fn replace(&self, number: usize, position: u64) {
        let mut event = self.event(position).await;
        event.data_digest = DataDigest::of(b"{}");
        let digest = event.compute_digest();
        self.remotes[number].damage(position, Some(("{}".into(), event.data_digest, digest)));
    }
}

fn wrong(verified: &Verified) -> (u64, u64, u64) {
    (verified.missing, verified.differing, verified.extra)
}

#[tokio::test]
async fn what_is_damaged_or_missing_is_written_back_on_replicas_and_on_the_primary() {
    let bed = Bed::new(3, 400).await;
    let before = bed.entries(0).await;
    bed.flip(1, 50).await;
    for position in [101, 102, 103, 500] {
        bed.remotes[2].damage(position, None);
    }
    bed.flip(0, 300).await;
    assert_ne!(bed.entries(1).await, before);
    let verified = bed.verify().await;
    assert_eq!(verified.iter().map(|one| one.repaired).collect::<Vec<_>>(), [1, 1, 4]);
    for (number, one) in verified.iter().enumerate() {
        assert_eq!((one.consistency(), one.coverage()), (1.0, 1.0), "{one:?}");
        assert!(bed.entries(number).await == before, "source {number} is not what it was");
    }
    bed.append(1_000, 5).await;
    bed.all_verified().await;
}

#[tokio::test]
async fn another_event_is_told_and_left_alone() {
    let bed = Bed::new(3, 400).await;
    bed.replace(1, 60).await;
    bed.flip(1, 64).await;
    let there = bed.entries(1).await;
    let verified = bed.verify().await;
    assert_eq!(verified.iter().map(wrong).collect::<Vec<_>>(), [(0, 0, 0), (0, 1, 0), (0, 0, 0)]);
    assert!(verified[1].consistency() < 1.0 && verified[1].consistency() > 0.99, "{:?}", verified[1]);
    assert_eq!(verified[1].repaired, 1, "what is beside it is written back");
    let (other, now) = (|entry: &&Entry| entry.last() == Position::new(60), bed.entries(1).await);
    assert_eq!(there.iter().find(other), now.iter().find(other), "it was written over");
    // somebody puts it right
    let event = bed.event(60).await;
    bed.remotes[1].damage(60, event.data.clone().map(|data| (data, event.data_digest, event.digest)));
    let verified = bed.verify().await;
    assert_eq!(wrong(&verified[1]), (0, 0, 0));
}

#[tokio::test]
async fn what_no_source_has_is_told_and_the_rest_is_verified() {
    let bed = Bed::new(3, 200).await;
    bed.flip_in(&[0, 1, 2], bed.event(71).await);
    for one in bed.verify().await {
        assert_eq!((wrong(&one), one.repaired, one.coverage()), ((0, 1, 0), 0, 1.0), "{one:?}");
    }
}

#[tokio::test]
async fn a_log_in_one_source_is_read_and_told_of() {
    let bed = Bed::new(1, 200).await;
    bed.flip(0, 33).await;
    let verified = bed.verify().await;
    assert_eq!((wrong(&verified[0]), verified[0].coverage()), ((0, 1, 0), 1.0));
}

#[tokio::test]
async fn a_source_that_was_away_is_verified_to_its_end_by_itself() {
    let bed = Bed::new(3, 50).await;
    bed.remotes[2].cut(true);
    bed.append(1_000, 300).await;
    // what was told last may be from before
    until("it is told that one is behind", || async {
        bed.verified(2).await.expect("was verified").coverage() < 1.0
    })
    .await;
    bed.remotes[2].cut(false);
    bed.all_verified().await;
    assert_eq!(wrong(&bed.verified(2).await.expect("is verified")), (0, 0, 0));
}

#[tokio::test]
async fn what_may_not_be_written_back_is_told_and_written_back_once_it_may() {
    let bed = Bed::new(3, 100).await;
    bed.flip(1, 40).await;
    bed.remotes[1].withhold_repair(true);
    let verified = bed.verify().await;
    assert_eq!((wrong(&verified[1]), verified[1].repaired), ((0, 1, 0), 0));
    bed.remotes[1].withhold_repair(false);
    let verified = bed.verify().await;
    assert_eq!((wrong(&verified[1]), verified[1].repaired), ((0, 0, 0), 1));
}

/// Faster than it is read: a page of every source has become longer before it is its turn again.
#[tokio::test]
async fn what_is_asked_for_is_done_while_the_log_grows_all_the_time() {
    for sources in [1, 3] {
        let slow = VerificationOptions { reads_per_second: 50, ..FAST };
        let bed = Bed::verified_by(slow, sources, 20).await;
        let grows = async {
            for number in 20.. {
                bed.append(number, 1).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            verified = bed.verify() => assert!(verified.iter().all(|one| !one.is_inconsistent())),
            () = grows => {}
        }
    }
}
