use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};

use crate::process::processor_time;

/// A copy of a sidecar's file, into which the rows that the sidecar wrote are inserted once more, raw.
pub struct Raw {
    connection: Connection,
    theirs: Connection,
    insert: String,
}

impl Raw {
    /// Copies `theirs`, which nobody may be writing now.
    pub fn copy(theirs: &Path, copy: &Path) -> Result<Self> {
        let theirs = Connection::open_with_flags(theirs, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        theirs.execute("VACUUM INTO ?1", [copy.to_str()])?;
        let connection = Connection::open(copy)?;
        // The settings that make a commit durable, and a cache as large as the sidecar's.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;
             PRAGMA wal_autocheckpoint = 10000;",
        )?;
        let columns = connection.prepare("SELECT * FROM polylog_events")?.column_count();
        let places: Vec<String> = (1..=columns).map(|n| format!("?{n}")).collect();
        let insert = format!("INSERT INTO polylog_events VALUES ({})", places.join(","));
        Ok(Self { connection, theirs, insert })
    }

    /// Takes the rows from another file from now on.
    pub fn from(mut self, theirs: &Path) -> Result<Self> {
        self.theirs = Connection::open_with_flags(theirs, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(self)
    }

    /// Inserts what the sidecar wrote since the last call, `batch` rows in a transaction; gives rows per second and processor time.
    pub fn catch_up(&mut self, batch: usize) -> Result<(f64, Duration)> {
        let rows = self.new_rows()?;
        let busy = processor_time(std::process::id(), false)?;
        let began = Instant::now();
        for chunk in rows.chunks(batch.max(1)) {
            let transaction = self.connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(&self.insert)?;
                for row in chunk {
                    insert.execute(params_from_iter(row))?;
                }
            }
            transaction.commit()?;
        }
        let rate = rows.len() as f64 / began.elapsed().as_secs_f64();
        Ok((rate, processor_time(std::process::id(), false)? - busy))
    }

    fn new_rows(&self) -> Result<Vec<Vec<Value>>> {
        let last: i64 = self.connection.query_row(
            "SELECT coalesce(max(position), 0) FROM polylog_events",
            [],
            |row| row.get(0),
        )?;
        let mut select =
            self.theirs.prepare("SELECT * FROM polylog_events WHERE position > ?1 ORDER BY position")?;
        let columns = select.column_count();
        let rows = select.query_map([last], |row| (0..columns).map(|n| row.get(n)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
