use std::{path::PathBuf, time::Duration};

use polylog_log::FailPoints;

/// How a SQLite file is used. What is written does not depend on it.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file, on a local file system; `-wal` and `-shm` stand beside it.
    pub path: PathBuf,
    /// How long an operation waits for another process's write lock.
    pub busy_timeout: Duration,
    /// Reading connections, each with its thread; 1 to 4, started when first needed.
    pub readers: usize,
    /// Operations that wait for the writer at most; further callers wait outside.
    pub queue: usize,
    /// Page cache of the writing connection, in bytes; filled as needed, given back when idle.
    pub writer_cache: usize,
    /// Page cache of each reading connection, in bytes; filled as needed, given back when idle.
    pub reader_cache: usize,
    /// Pages (4 KiB) in the write-ahead log after which a commit also copies them into the file.
    pub checkpoint_pages: u32,
    /// How often other processes' commits are looked for while somebody waits for events.
    pub poll_interval: Duration,
    /// Where tests make something go wrong; see [`POINTS`](crate::POINTS).
    pub fail_points: FailPoints,
}

impl SqliteConfig {
    /// The defaults for a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            queue: 64,
            writer_cache: 8 << 20,
            reader_cache: 1 << 20,
            // 40 MB: with SQLite's own 1,000 the p99 of an append is 2.5 times as long, because a tenth as many
            // commits pay for a checkpoint
            checkpoint_pages: 10_000,
            poll_interval: Duration::from_millis(25),
            fail_points: FailPoints::default(),
        }
    }
}
