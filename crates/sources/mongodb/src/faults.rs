//! Where tests make something go wrong: before a request is sent, and after it is done.

use std::{sync::atomic::Ordering, time::Duration};

use polylog_log::Fault;

use crate::{connection::Handle, error::EngineError};

/// Before and after a request of one kind.
pub(crate) type Points = (&'static str, &'static str);

pub(crate) const HEAD_READ: Points = ("head read: sent", "head read: done");
pub(crate) const HEAD_SWAPPED: Points = ("head swap: sent", "head swap: done");
pub(crate) const EVENTS_WRITTEN: Points = ("events write: sent", "events write: done");
pub(crate) const EVENTS_READ: Points = ("events read: sent", "events read: done");
pub(crate) const QUARANTINED: Points = ("quarantine write: sent", "quarantine write: done");
pub(crate) const LEASE_SWAPPED: Points = ("lease swap: sent", "lease swap: done");

/// The fail points of every operation.
pub const POINTS: &[&str] = &[
    HEAD_READ.0,
    HEAD_READ.1,
    HEAD_SWAPPED.0,
    HEAD_SWAPPED.1,
    EVENTS_WRITTEN.0,
    EVENTS_WRITTEN.1,
    EVENTS_READ.0,
    EVENTS_READ.1,
    QUARANTINED.0,
    QUARANTINED.1,
    LEASE_SWAPPED.0,
    LEASE_SWAPPED.1,
];

/// Long enough for another process to overtake, short enough for a test.
const DELAY: Duration = Duration::from_millis(50);

impl Handle {
    /// One request, on its way past its fail points and with its patience.
    pub(crate) async fn request<T>(
        &self,
        points: Points,
        work: impl Future<Output = Result<T, mongodb::error::Error>>,
    ) -> Result<T, EngineError> {
        let is_heard = self.pass(points.0).await?;
        let answer = self.patiently(work).await?;
        let is_also_heard = self.pass(points.1).await?;
        if is_heard && is_also_heard { Ok(answer) } else { Err(EngineError::Lost) }
    }

    /// Goes past a fail point; `false` = the request goes on, but its answer is lost.
    async fn pass(&self, point: &'static str) -> Result<bool, EngineError> {
        if self.is_crashed() {
            return Err(EngineError::Crashed);
        }
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(true);
        }
        // a test may look at some of them only
        let points = &self.config.fail_points;
        if !points.points().contains(&point) {
            return Ok(true);
        }
        match points.hit(point) {
            None => Ok(true),
            Some(Fault::Error) => Err(EngineError::Lost),
            Some(Fault::LostReply) => Ok(false),
            Some(Fault::Crash) => {
                self.crash();
                Err(EngineError::Crashed)
            }
            Some(Fault::Delay) => {
                tokio::time::sleep(DELAY).await;
                Ok(true)
            }
        }
    }
}
