//! Where tests make something go wrong.

use std::time::Duration;

use polylog_log::{FailPoints, Failure, Fault};

/// The fail points of every operation that writes, in the order in which it passes them. An append that needs no lock
/// is one statement: it passes the first, [`LOOKED_UP`] and the last.
pub const POINTS: &[&str] = &[BEFORE_BEGIN, LOOKED_UP, ROWS_WRITTEN, HEAD_WRITTEN, COMMITTED];

/// Nothing was done yet.
pub const BEFORE_BEGIN: &str = "before begin";
/// Head and facts are read.
pub const LOOKED_UP: &str = "looked up";
/// Rows are written; the head is not.
pub const ROWS_WRITTEN: &str = "rows written";
/// Everything is written, nothing is committed.
pub const HEAD_WRITTEN: &str = "head written";
/// Committed, not answered.
pub const COMMITTED: &str = "committed";

/// Long enough for another process to overtake, short enough for a test.
const DELAY: Duration = Duration::from_millis(50);

/// What a fail point ended.
#[derive(Debug)]
pub enum Stop {
    /// The operation, with an error.
    Failure(Failure),
    /// The process: the handle answers nothing any more.
    Crash,
}

/// The fail points as one operation passes them.
#[derive(Default)]
pub struct Faults {
    points: FailPoints,
    /// The caller will not hear what became of the operation.
    pub lost_reply: bool,
}

impl Faults {
    /// For one operation.
    pub fn new(points: FailPoints) -> Self {
        Self { points, lost_reply: false }
    }

    /// Passes a point.
    ///
    /// # Errors
    /// What a test armed there.
    pub async fn pass(&mut self, point: &'static str) -> Result<(), Stop> {
        match self.points.hit(point) {
            None => Ok(()),
            Some(Fault::Error) => Err(Stop::Failure(Failure::Unreachable(format!("injected: {point}")))),
            Some(Fault::Crash) => Err(Stop::Crash),
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
