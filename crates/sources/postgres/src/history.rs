//! Notices a log that goes back under an open source: nothing is written to it then, and nothing read.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use polylog_log::{Continuity, Failure, Head, Seen};
use sqlx::PgConnection;

use crate::{error::EngineError, head};

/// Between two heads that were read this long apart, or after a doubt, the database may have been restored and its
/// revision raised again by others: the log itself is asked then. Closer ones are told apart by their revisions.
const LONG: Duration = Duration::from_secs(2);

/// The newest head that this process has seen.
#[derive(Default)]
pub(crate) struct History {
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
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.lock().map(|newest| newest.seen)
    }

    /// Remembers a head that continues what was seen.
    pub(crate) fn remember(&self, head: &Head) {
        let (seen, at, mut newest) = (Seen::of(head), Some(Instant::now()), self.lock());
        match &mut *newest {
            Some(known) if !seen.is_after(&known.seen) => known.at = at,
            newest => *newest = Some(Newest { seen, at }),
        }
    }

    /// Compares the head of an answer with what was seen before it was asked for.
    pub(crate) fn compare(&self, before: Option<Seen>, head: &Head) -> Result<(), Failure> {
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

    /// The same with a look into the log where the heads alone do not tell. `before` was taken before the head was read.
    pub(crate) async fn prove(
        &self,
        connection: &mut PgConnection,
        before: Option<Seen>,
        head: &Head,
    ) -> Result<(), EngineError> {
        let Some(seen) = before else {
            self.remember(head);
            return Ok(());
        };
        let is_fresh = self.lock().is_some_and(|newest| newest.is_fresh());
        let holds = match seen.compare(head) {
            Continuity::Holds => true,
            Continuity::WentBack => false,
            Continuity::IfItHolds(_) if is_fresh => true,
            Continuity::IfItHolds(point) => {
                let end = head::entry_end(connection, head.identity.log, point.position).await?;
                seen.holds(end.map(|(found, _)| found.chain))
            }
        };
        if !holds {
            self.doubt();
            return Err(seen.went_back(head).into());
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
