use std::time::Duration;

use polylog_log::{FailPoints, Failure, Fault};

use crate::error::EngineError;

/// The fail points of every operation that writes, in the order in which it passes them. An append that needs no lock
/// is one statement: it passes the first, [`LOOKED_UP`] and the last.
pub const POINTS: &[&str] = &[BEFORE_BEGIN, LOOKED_UP, ROWS_WRITTEN, HEAD_WRITTEN, COMMITTED];

/// Nothing was done yet.
pub(crate) const BEFORE_BEGIN: &str = "before begin";
/// Head and facts are read.
pub(crate) const LOOKED_UP: &str = "looked up";
/// Rows are written; the head is not.
pub(crate) const ROWS_WRITTEN: &str = "rows written";
/// Everything is written, nothing is committed.
pub(crate) const HEAD_WRITTEN: &str = "head written";
/// Committed, not answered.
pub(crate) const COMMITTED: &str = "committed";

/// Long enough for another process to overtake, short enough for a test.
const DELAY: Duration = Duration::from_millis(50);

/// The fail points as one operation passes them.
#[derive(Default)]
pub(crate) struct Faults {
    points: FailPoints,
    /// The caller will not hear what became of the operation.
    pub(crate) lost_reply: bool,
}

impl Faults {
    pub(crate) fn new(points: FailPoints) -> Self {
        Self { points, lost_reply: false }
    }

    pub(crate) async fn pass(&mut self, point: &'static str) -> Result<(), EngineError> {
        match self.points.hit(point) {
            None => Ok(()),
            Some(Fault::Error) => Err(Failure::Unreachable(format!("injected: {point}")).into()),
            Some(Fault::Crash) => Err(EngineError::Crashed),
            Some(Fault::LostReply) => {
                self.lost_reply = true;
                Ok(())
            }
            Some(Fault::Delay) => {
                tokio::time::sleep(DELAY).await;
                Ok(())
            }
        }
    }
}
