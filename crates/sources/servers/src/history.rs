//! Notices a log that goes back under an open source: nothing is written to it then, and nothing read.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use polylog_log::{Chain, Continuity, Failure, Head, Position, Seen};

/// Between two heads that were read this long apart, or after a doubt, the database may have been restored and its
/// revision raised again by others: the log itself is asked then. Closer ones are told apart by their revisions.
const LONG: Duration = Duration::from_secs(2);

/// The newest head that this process has seen.
#[derive(Default)]
pub struct History {
    newest: Mutex<Option<Newest>>,
}

#[derive(Clone, Copy)]
struct Newest {
    seen: Seen,
    /// When the log was last known to hold it; `None` = there is a doubt.
    at: Option<Instant>,
}

impl Newest {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < LONG)
    }
}

impl History {
    /// What was seen so far: take it before a read, to compare the answer with.
    pub fn seen(&self) -> Option<Seen> {
        self.lock().map(|newest| newest.seen)
    }

    /// Remembers a head that continues what was seen.
    pub fn remember(&self, head: &Head) {
        let (seen, at, mut newest) = (Seen::of(head), Some(Instant::now()), self.lock());
        match &mut *newest {
            Some(known) if !seen.is_after(&known.seen) => known.at = at,
            newest => *newest = Some(Newest { seen, at }),
        }
    }

    /// Compares the head of an answer with what was seen before it was asked for.
    ///
    /// # Errors
    /// `Damaged`: the log went back.
    pub fn compare(&self, before: Option<Seen>, head: &Head) -> Result<(), Failure> {
        let Some(seen) = before else { return Ok(()) };
        let newest = *self.lock();
        match seen.compare(head) {
            Continuity::Holds => self.remember(head),
            Continuity::IfItHolds(_) if newest.is_some_and(|newest| newest.is_fresh()) => self.remember(head),
            // whoever reads the head next looks into the log
            Continuity::IfItHolds(_) if newest.is_none_or(|newest| newest.at.is_some()) => {}
            Continuity::IfItHolds(_) | Continuity::WentBack => {
                self.doubt();
                return Err(seen.went_back(head));
            }
        }
        Ok(())
    }

    /// The position to look up in the log where the heads alone do not tell; [`prove`](Self::prove) then judges what was
    /// found. `before` was taken before the head was read.
    ///
    /// # Errors
    /// `Damaged`: the log went back.
    pub fn question(&self, before: Option<Seen>, head: &Head) -> Result<Option<Position>, Failure> {
        let Some(seen) = before else {
            self.remember(head);
            return Ok(None);
        };
        let is_fresh = self.lock().is_some_and(|newest| newest.is_fresh());
        match seen.compare(head) {
            Continuity::IfItHolds(point) if !is_fresh => Ok(Some(point.position)),
            Continuity::Holds | Continuity::IfItHolds(_) => {
                self.remember(head);
                Ok(None)
            }
            Continuity::WentBack => {
                self.doubt();
                Err(seen.went_back(head))
            }
        }
    }

    /// Judges the chain of the entry that ends at the position asked for.
    ///
    /// # Errors
    /// `Damaged`: the log went back.
    pub fn prove(&self, before: Option<Seen>, head: &Head, found: Option<Chain>) -> Result<(), Failure> {
        if let Some(seen) = before.filter(|seen| !seen.holds(found)) {
            self.doubt();
            return Err(seen.went_back(head));
        }
        self.remember(head);
        Ok(())
    }

    fn doubt(&self) {
        if let Some(newest) = &mut *self.lock() {
            newest.at = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Newest>> {
        // no code between lock and unlock panics in the middle of a change
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
