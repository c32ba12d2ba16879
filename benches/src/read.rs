use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use polylog_whole_tests::http::Connection;

/// Reads the whole log as NDJSON; gives events and events per second.
pub fn whole_log(port: u16) -> Result<(u64, f64)> {
    let connection = Connection::open(port, Duration::from_secs(60))?;
    let began = Instant::now();
    let bytes = connection.stream("/v1/events?from=1", "Accept: application/x-ndjson\r\n")?;
    let events = bytes.count_lines()?;
    ensure!(events > 0, "the log is empty");
    Ok((events, events as f64 / began.elapsed().as_secs_f64()))
}
