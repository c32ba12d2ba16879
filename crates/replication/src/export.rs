use polylog_log::{Position, RecordedEvent};

use crate::{ReadError, Served};

/// Reads a range of the log to its end, one page ahead.
#[derive(Debug)]
pub struct LogReader {}

impl LogReader {
    /// What the reader as a whole is served from.
    pub fn served(&self) -> &Served {
        todo!()
    }

    /// The next page, never empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<RecordedEvent>>, ReadError> {
        todo!()
    }

    /// One past the last position that was looked at.
    pub fn next_from(&self) -> Position {
        todo!()
    }
}
