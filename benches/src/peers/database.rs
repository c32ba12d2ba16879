//! What a database server must do to be measured: keep a sidecar's store, and take the same rows raw.

use std::path::PathBuf;

use anyhow::{Context, Result};
use polylog_test_bed::PostgresServer;

use super::raw_postgres::RawPostgres;
use crate::load::Measured;

/// A private server.
pub trait Server {
    /// The address of a database, for `polylog dev --source ledger=…`.
    fn address(&self, database: &str) -> String;
    /// A new, empty database.
    fn create(&self, database: &str);
    /// A new database with the content of one that nobody uses now.
    fn copy(&self, from: &str, to: &str);
    fn remove(&self, database: &str);
    /// Writes everything to its place, so that this does not fall into a window.
    fn settle(&self);
    /// Its first process, the parent of the others.
    fn pid(&self) -> Result<u32>;
    /// Copies the log that a sidecar wrote into a table of the same kind, with the same indexes.
    fn prepare_raw(&self, database: &str);
    fn raw(&self, database: &str) -> Result<Box<dyn Raw>>;
}

/// The raw side: a table as the sidecar's, and a connection.
pub trait Raw {
    /// Inserts the rows that the sidecar wrote since the last call, `batch` of them in a transaction.
    fn catch_up(&mut self, batch: usize) -> Result<Measured>;
    /// Reads the whole table in pages; gives rows and seconds.
    fn read(&mut self) -> Result<(u64, f64)>;
}

/// PostgreSQL.
pub struct Postgres {
    server: PostgresServer,
}

/// The schema that `examples/payments` names, and ours beside it.
pub const SCHEMA: &str = "payments";
pub const RAW_SCHEMA: &str = "raw";

impl Postgres {
    /// With the memory and the log that a server of this size would be given; everything that durability rests on is as
    /// PostgreSQL is shipped.
    pub fn start() -> Self {
        let server = PostgresServer::with(&[
            ("shared_buffers", "1GB"),
            ("min_wal_size", "1GB"),
            ("max_wal_size", "6GB"),
            ("checkpoint_timeout", "30min"),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("autovacuum_naptime", "10min"),
        ]);
        Self { server }
    }

    /// The folder of its socket, for programs of PostgreSQL, and the port.
    pub fn place(&self) -> (PathBuf, u16) {
        (self.server.folder().to_path_buf(), self.server.port())
    }

    pub fn execute(&self, database: &str, sql: &str) -> String {
        self.server.execute(database, sql)
    }

    pub fn version(&self) -> String {
        self.execute("postgres", "SHOW server_version")
    }
}

impl Server for Postgres {
    fn address(&self, database: &str) -> String {
        self.server.url(database)
    }

    fn create(&self, database: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {database}"));
    }

    fn copy(&self, from: &str, to: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from}"));
    }

    fn remove(&self, database: &str) {
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
    }

    fn settle(&self) {
        self.execute("postgres", "CHECKPOINT");
    }

    fn pid(&self) -> Result<u32> {
        let file = std::fs::read_to_string(self.server.folder().join("data/postmaster.pid"))?;
        Ok(file.lines().next().context("a process id")?.trim().parse()?)
    }

    fn prepare_raw(&self, database: &str) {
        let (ours, raw) = (format!("{SCHEMA}.polylog_events"), format!("{RAW_SCHEMA}.polylog_events"));
        self.execute(
            database,
            &format!(
                "CREATE SCHEMA {RAW_SCHEMA};; CREATE TABLE {raw} (LIKE {ours} INCLUDING ALL);; \
                 INSERT INTO {raw} SELECT * FROM {ours} ORDER BY position;; VACUUM (ANALYZE) {ours};; \
                 VACUUM (ANALYZE) {raw}"
            ),
        );
    }

    fn raw(&self, database: &str) -> Result<Box<dyn Raw>> {
        Ok(Box::new(RawPostgres::open(&self.address(database))?))
    }
}
