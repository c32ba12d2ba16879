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
            Duties::Own | Duties::Shown(_) => watcher.show().await,
            Duties::OnceFree(after) => {
                let has = watcher.look(&handle, after).await;
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
    /// do.
    async fn look(&mut self, handle: &Handle, after: Duration) -> bool {
        let mine = self.mine();
        let primary = handle.view().primary.as_ref().map(|(name, _)| name.clone());
        let mut posts: Vec<&mut Post> = self.posts.values_mut().collect();
        posts.sort_by_key(|post| Some(&post.replica.name) == primary.as_ref());
        for post in posts {
            let held = post.lease.clone().filter(|lease| lease.holder == mine.holder);
            let set = held.is_some().then(|| mine.clone());
            // without a lease of its own this changes nothing, and says who has it
            let Some(LeaseAnswer { swapped, lease }) = post.swap(held.clone(), set).await else { continue };
            post.lease = lease;
            if held.is_some() && swapped {
                return true;
            }
            // one that was never held has to stand free for as long
            let nobody = Lease { holder: String::new(), beat: 0 };
            let seen = post.lease.clone().unwrap_or(nobody);
            if !post.watch.is_free(Some(&seen), now(), after) {
                return false;
            }
            let Some(LeaseAnswer { swapped, lease }) = post.swap(post.lease.clone(), Some(mine)).await else {
                return false;
            };
            post.lease = lease;
            return swapped;
        }
        false
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
