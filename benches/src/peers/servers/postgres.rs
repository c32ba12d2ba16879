use std::path::PathBuf;

use anyhow::{Context, Result};
use polylog_test_bed::PostgresServer;

use super::{Raw, Server, raw_postgres::RawPostgres};

/// PostgreSQL.
pub struct Postgres {
    server: PostgresServer,
}

/// The schema that `examples/payments` names, and ours beside it.
pub(super) const SCHEMA: &str = "payments";
pub(super) const RAW_SCHEMA: &str = "raw";

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
}

impl Server for Postgres {
    fn name(&self) -> String {
        let version = self.execute("postgres", "SHOW server_version");
        format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default())
    }

    fn address(&self, database: &str) -> String {
        self.server.url(database)
    }

    fn create(&self, database: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {database}"));
    }

    fn copy(&self, from: &str, to: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from}"));
    }

    fn settle(&self) -> Result<()> {
        self.execute("postgres", "CHECKPOINT");
        Ok(())
    }

    fn crash(&self) {
        self.server.crash();
    }

    fn start_again(&self) {
        self.server.start_again();
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
