//! Where tests make something go wrong: before each kind of request, and after the one that decides. What is lost after
//! another request is as what is lost before the next.

use std::time::Duration;

use polylog_log::Fault;

use crate::{connection::Handle, error::EngineError};

/// Before, and perhaps after, a request of one kind.
pub(crate) type Points = (&'static str, Option<&'static str>);

pub(crate) const HEAD_READ: Points = ("head read: sent", None);
pub(crate) const HEAD_SWAPPED: Points = ("head swap: sent", Some("head swap: done"));
pub(crate) const EVENTS_WRITTEN: Points = ("events write: sent", None);
pub(crate) const EVENTS_READ: Points = ("events read: sent", None);
pub(crate) const QUARANTINED: Points = ("quarantine write: sent", None);
pub(crate) const LEASE_SWAPPED: Points = ("lease swap: sent", None);
/// A request that no operation on the log needs.
pub(crate) const NOWHERE: Points = ("", None);

/// All of them. A test may watch only some.
pub const POINTS: &[&str] = &[
    "head read: sent",
    "head swap: sent",
    "head swap: done",
    "events write: sent",
    "events read: sent",
    "quarantine write: sent",
    "lease swap: sent",
];

/// Long enough for another process to overtake, short enough for a test.
const DELAY: Duration = Duration::from_millis(50);

impl Handle {
    /// A request on its way past its fail points.
    pub(crate) async fn pass_around<T>(
        &self,
        points: Points,
        request: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let is_heard = self.pass(points.0).await?;
        let answer = request.await?;
        let is_also_heard = match points.1 {
            Some(point) => self.pass(point).await?,
            None => true,
        };
        if is_heard && is_also_heard { Ok(answer) } else { Err(EngineError::Lost) }
    }

    /// Goes past a fail point; `false` = the request goes on, but its answer is lost.
    async fn pass(&self, point: &'static str) -> Result<bool, EngineError> {
        if self.is_crashed() {
            return Err(EngineError::Crashed);
        }
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
