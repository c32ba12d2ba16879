use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A lease as recorded: who holds it, and a counter that the holder raises to show that it lives.
///
/// For efficiency only, never for safety: whatever a lease guards must also be right when two hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The holder's own name, unique per process.
    pub holder: String,
    /// Grows while the holder lives.
    pub beat: u64,
}

/// A compare-and-swap of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSwap {
    /// Which lease.
    pub name: String,
    /// What the sender saw; `None` = nobody holds it.
    pub expect: Option<Lease>,
    /// What it becomes; `None` = given up.
    pub set: Option<Lease>,
}

/// What became of a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// Whether the swap took place.
    pub swapped: bool,
    /// The lease afterwards.
    pub lease: Option<Lease>,
}

/// Watches a lease of others. Expiry is judged by the observer's own monotonic clock alone: no clocks are compared.
#[derive(Debug)]
pub struct LeaseWatch {
    seen: Option<Lease>,
    since: Instant,
}

impl LeaseWatch {
    /// Begins to watch; nothing counts as expired before a full period was observed.
    pub fn new(now: Instant) -> Self {
        Self { seen: None, since: now }
    }

    /// Takes what was read, and tells whether the lease is free or has not moved for `period`.
    pub fn is_free(&mut self, read: Option<&Lease>, now: Instant, period: Duration) -> bool {
        if self.seen.as_ref() != read {
            self.seen = read.cloned();
            self.since = now;
        }
        read.is_none() || now.duration_since(self.since) >= period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_only_when_it_stood_still_for_a_whole_period() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lease = |beat| Lease { holder: "a".into(), beat };
        let period = Duration::from_secs(10);
        let mut watch = LeaseWatch::new(start);
        assert!(!watch.is_free(Some(&lease(1)), at(30), period), "first sight starts the period");
        assert!(!watch.is_free(Some(&lease(2)), at(39), period), "it moved");
        assert!(!watch.is_free(Some(&lease(2)), at(48), period));
        assert!(watch.is_free(Some(&lease(2)), at(49), period));
        assert!(watch.is_free(None, at(49), period), "given up");
    }
}
