//! Who elects, and copies to those that fell behind, where several processes could.
//!
//! The gateway shows in a lease of every source that it does. Sidecars look at one of them: whoever swaps it after it stood
//! still for long enough takes over, until the gateway is back. For efficiency only: it is as right when several do.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::future::join_all;
use polylog_log::{Lease, LeaseAnswer, LeaseSwap, LeaseWatch, SourceName};
use rand::Rng;
use uuid::Uuid;

use super::{Handle, Replica, call::change};

const LEASE: &str = "replicator";
/// How long a source may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Looks in the time after which a lease counts as free.
const LOOKS: u32 = 6;

/// Who elects, and copies to those that fell behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duties {
    /// This process, which has no others beside it.
    Own,
    /// This process, and it shows so to others this often.
    Shown(Duration),
    /// This process, once nobody has shown for this long that it does, until somebody shows it.
    OnceFree(Duration),
}

/// One source's lease, as seen last.
struct Post {
    replica: Replica,
    lease: Option<Lease>,
    watch: LeaseWatch,
}

impl Post {
    /// `None` = it does not answer.
    async fn swap(&self, expect: Option<Lease>, set: Option<Lease>) -> Option<LeaseAnswer> {
        let swap = LeaseSwap { name: LEASE.into(), expect, set };
        change(PATIENCE, self.replica.source.lease(&self.replica.identity, swap)).await.ok()
    }

    /// Whether the lease is mine, or was free and is mine now; `None` = the source does not answer.
    async fn look(&mut self, mine: &Lease, after: Duration) -> Option<bool> {
        let held = self.lease.clone().filter(|lease| lease.holder == mine.holder);
        let set = held.is_some().then(|| mine.clone());
        // without a lease of its own this changes nothing, and says who has it
        let LeaseAnswer { swapped, lease } = self.swap(held.clone(), set).await?;
        self.lease = lease;
        if held.is_some() && swapped {
            return Some(true);
        }
        // one that was never held has to stand free for as long
        let nobody = Lease { holder: String::new(), beat: 0 };
        let seen = self.lease.clone().unwrap_or(nobody);
        if !self.watch.is_free(Some(&seen), now(), after) {
            return Some(false);
        }
        let Some(LeaseAnswer { swapped, lease }) = self.swap(self.lease.clone(), Some(mine.clone())).await
        else {
            return Some(false);
        };
        self.lease = lease;
        Some(swapped)
    }

    /// Takes the lease, whoever has it.
    async fn show(&mut self, mine: Lease) {
        // the second time with what the first one found
        for _ in 0..2 {
            match self.swap(self.lease.clone(), Some(mine.clone())).await {
                Some(LeaseAnswer { swapped, lease }) => {
                    self.lease = lease;
                    if swapped {
                        return;
                    }
                }
                None => return,
            }
        }
    }
}

struct Watcher {
    holder: String,
    beat: u64,
    posts: BTreeMap<SourceName, Post>,
}

/// `has_duties` as it began with them. Ends once the store drains. A lease is not given up then: whoever follows soon finds nothing to be missing.
pub(crate) async fn share_duties(
    duties: Duties,
    mut has_duties: bool,
    store: String,
    handle: Handle,
    replicas: Vec<Replica>,
) {
    let every = match duties {
        Duties::Own => return,
        Duties::Shown(every) => every,
        Duties::OnceFree(after) => after / LOOKS,
    };
    let mut watcher = Watcher::new(replicas);
    loop {
        watcher.beat += 1;
        match duties {
            // one that cannot elect is no reason for others not to
            Duties::Own | Duties::Shown(_) if !handle.view().reaches_majority() => {}
            Duties::Own | Duties::Shown(_) => watcher.show().await,
            Duties::OnceFree(after) => {
                let primary = handle.view().primary.as_ref().map(|(name, _)| name.clone());
                let has = watcher.look(primary.as_ref(), after).await;
                if has != has_duties {
                    has_duties = has;
                    handle.set_duties(has).await;
                    tell(&store, has);
                }
            }
        }
        tokio::select! {
            () = handle.drains() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

fn tell(store: &str, has_duties: bool) {
    match has_duties {
        true => tracing::warn!(
            event = "duties_taken",
            store,
            "nobody elects and copies to sources that fell behind: this process does, until the gateway is back"
        ),
        false => tracing::info!(
            event = "duties_given_up",
            store,
            "another process elects and copies to sources that fell behind"
        ),
    }
}

impl Watcher {
    fn new(replicas: Vec<Replica>) -> Self {
        let post = |replica: Replica| {
            let watch = LeaseWatch::new(now());
            (replica.name.clone(), Post { replica, lease: None, watch })
        };
        let posts = replicas.into_iter().map(post).collect();
        Self { holder: Uuid::from_u128(rand::rng().random()).to_string(), beat: 0, posts }
    }

    fn mine(&self) -> Lease {
        Lease { holder: self.holder.clone(), beat: self.beat }
    }

    async fn show(&mut self) {
        let mine = self.mine();
        join_all(self.posts.values_mut().map(|post| post.show(mine.clone()))).await;
    }

    /// Whether this process has the duties. The first source that answers says so, the primary last: its head has better to
    /// do. Once it has them it shows so in all, and keeps them when the first one goes away.
    async fn look(&mut self, primary: Option<&SourceName>, after: Duration) -> bool {
        let mut names: Vec<SourceName> = self.posts.keys().cloned().collect();
        names.sort_by_key(|name| Some(name) == primary);
        let mine = self.mine();
        for asked in &names {
            let Some(post) = self.posts.get_mut(asked) else { continue };
            let Some(has) = post.look(&mine, after).await else { continue };
            if has {
                let others = self.posts.iter_mut().filter(|(name, _)| *name != asked);
                join_all(others.map(|(_, post)| post.show(mine.clone()))).await;
            }
            return has;
        }
        false
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polylog_log::{DatabaseId, Identity, Incarnation, LogId};
    use polylog_source_simulated::{Options, transactional::Database};

    use super::*;

    fn replicas() -> Vec<Replica> {
        let replica = |number: u128| {
            let identity = Identity {
                log: LogId::new(Uuid::from_u128(1)),
                database: DatabaseId::new(Uuid::from_u128(number)),
                incarnation: Incarnation::new(Uuid::from_u128(number)),
            };
            let name = SourceName::recorded(&format!("source-{number}"));
            let database = Database::new(identity, name.clone(), Options::default());
            Replica { name, source: Arc::new(database.connect()), identity }
        };
        (1..=3).map(replica).collect()
    }

    async fn looks(watcher: &mut Watcher) -> bool {
        watcher.beat += 1;
        watcher.look(None, Duration::from_secs(30)).await
    }

    #[tokio::test(start_paused = true)]
    async fn duties_that_were_taken_outlast_the_source_where_they_were_and_stand_in_the_others() {
        let replicas = replicas();
        let (mut one, mut other) = (Watcher::new(replicas.clone()), Watcher::new(replicas));
        assert!(!looks(&mut one).await, "not before it stood free for long enough");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(looks(&mut one).await);
        assert!(!looks(&mut other).await);

        // the source that is asked first is there no more: what it says is another database's
        let elsewhere = DatabaseId::new(Uuid::from_u128(9));
        for watcher in [&mut one, &mut other] {
            let first = watcher.posts.values_mut().next().expect("one");
            first.replica.identity.database = elsewhere;
        }
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(5)).await;
            assert!(looks(&mut one).await, "it has them still");
            assert!(!looks(&mut other).await, "and nobody else");
        }
    }
}
