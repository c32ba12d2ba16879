use std::time::{SystemTime, UNIX_EPOCH};

use polylog_log::Timestamp;

/// The database's clock: SQLite runs in this process, so it is this machine's.
pub(crate) fn now() -> Timestamp {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    })
}
