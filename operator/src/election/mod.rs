//! One leader among several operators, by a Lease.
//!
//! The Lease is compared and swapped by its resource version. Whether another holder is gone is judged by how long the
//! Lease has not changed on this process's own monotonic clock, never by the times that stand in it: the clocks of two
//! machines differ. `leaseTransitions` grows with every change of hands, and so tells one leadership from the next.

mod judge;
mod lease;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) use judge::{Judge, Step};
pub(crate) use lease::Candidate;
pub use lease::ElectionError;

/// A leader that has not renewed for so long counts as gone.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops, well before another one may begin.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(10);
/// How often the leader renews, and others look.
pub(crate) const EVERY: Duration = Duration::from_secs(3);

/// What this process holds while it leads.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    /// Which leadership this is: it grows with every change of hands.
    pub(crate) number: i32,
    /// Cancelled once it is lost or given up.
    pub(crate) lost: CancellationToken,
    renewed: Arc<Mutex<Instant>>,
}

impl Leadership {
    fn new(number: i32, renewed: Instant) -> Self {
        Self { number, lost: CancellationToken::new(), renewed: Arc::new(Mutex::new(renewed)) }
    }

    /// Whether this process leads for certain: asked before each change of something outside the cluster.
    pub(crate) fn holds(&self) -> bool {
        !self.lost.is_cancelled() && self.renewed.lock().elapsed() < GIVE_UP
    }

    fn renew(&self, began: Instant) {
        *self.renewed.lock() = began;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leadership_ends_by_itself_when_nothing_renews_it() {
        let now = Instant::now();
        let leadership = Leadership::new(3, now);
        assert!(leadership.holds());
        if let Some(before) = now.checked_sub(GIVE_UP) {
            leadership.renew(before);
            assert!(!leadership.holds(), "as long ago as it may be");
        }
        leadership.renew(Instant::now());
        assert!(leadership.holds());
        leadership.lost.cancel();
        assert!(!leadership.holds());
        assert!(GIVE_UP + EVERY < LEASE, "the old leader stops before a new one begins");
    }
}
