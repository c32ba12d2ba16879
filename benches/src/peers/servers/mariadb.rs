use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use polylog_test_bed::MariadbServer;

use super::{Raw, Server, raw_mariadb::RawMariadb};

/// MariaDB.
pub struct Mariadb {
    server: MariadbServer,
}

/// Fewer changed pages than this are no load worth waiting for: the server itself always keeps some.
const FEW_PAGES: u64 = 100;

impl Mariadb {
    /// With the memory and the log that a server of this size would be given; everything that durability rests on is as
    /// our engine demands it: the binary log is on, and both logs are flushed with each commit.
    pub fn start() -> Self {
        let server = MariadbServer::with(&[
            ("innodb-buffer-pool-size", "1G"),
            ("innodb-log-file-size", "1G"),
            // what a solid-state disk can do, in pages a second; it says how fast changed pages are written
            ("innodb-io-capacity", "10000"),
            ("innodb-io-capacity-max", "20000"),
            ("innodb-flush-log-at-trx-commit", "1"),
            ("innodb-doublewrite", "ON"),
            ("sync-binlog", "1"),
            ("max-binlog-size", "1G"),
        ]);
        Self { server }
    }

    fn execute(&self, sql: &str) -> String {
        self.server.execute("mysql", sql)
    }

    /// Runs SQL whose rows need not be in the binary log.
    fn execute_unlogged(&self, sql: &str) {
        self.execute(&format!("SET SESSION sql_log_bin = 0; {sql}"));
    }

    fn tables(&self, database: &str) -> Vec<String> {
        let tables = self.execute(&format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'"
        ));
        tables.lines().map(str::to_owned).collect()
    }

    fn copy_tables(&self, from: &str, to: &str) {
        self.execute(&format!("CREATE DATABASE {to}"));
        for table in self.tables(from) {
            self.execute_unlogged(&format!(
                "CREATE TABLE {to}.{table} LIKE {from}.{table}; INSERT INTO {to}.{table} SELECT * FROM {from}.{table}"
            ));
        }
    }
}

/// The database of the raw table that belongs to a database of ours.
pub(super) fn raw_database(database: &str) -> String {
    format!("raw_{database}")
}

impl Server for Mariadb {
    fn name(&self) -> String {
        let version = self.execute("SELECT VERSION()");
        format!("MariaDB {}", version.split('-').next().unwrap_or_default())
    }

    fn address(&self, database: &str) -> String {
        self.server.url(database)
    }

    fn create(&self, database: &str) {
        self.execute(&format!("CREATE DATABASE {database}"));
    }

    fn copy(&self, from: &str, to: &str) {
        self.copy_tables(from, to);
        self.copy_tables(&raw_database(from), &raw_database(to));
    }

    fn settle(&self) -> Result<()> {
        let most = self.execute("SELECT @@innodb_max_dirty_pages_pct");
        self.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0");
        let deadline = Instant::now() + Duration::from_secs(60);
        let changed = "SELECT variable_value FROM information_schema.global_status \
             WHERE variable_name = 'Innodb_buffer_pool_pages_dirty'";
        while self.execute(changed).parse::<u64>()? > FEW_PAGES {
            ensure!(Instant::now() < deadline, "changed pages are not written");
            polylog_whole_tests::sidecar::pause(Duration::from_millis(50));
        }
        // the files of the binary log that are full serve nobody here
        self.execute(&format!(
            "SET GLOBAL innodb_max_dirty_pages_pct = {most}; FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW()"
        ));
        Ok(())
    }

    fn crash(&self) {
        self.server.crash();
    }

    fn start_again(&self) {
        self.server.start_again();
    }

    fn pid(&self) -> Result<u32> {
        let file = std::fs::read_to_string(self.server.folder().join("pid"))?;
        Ok(file.lines().next().context("a process id")?.trim().parse()?)
    }

    fn prepare_raw(&self, database: &str) {
        let raw = raw_database(database);
        self.execute(&format!(
            "CREATE DATABASE {raw}; CREATE TABLE {raw}.polylog_events LIKE {database}.polylog_events"
        ));
        let last: u64 = self
            .execute(&format!("SELECT MAX(position) FROM {database}.polylog_events"))
            .parse()
            .expect("a log has events");
        // one transaction for all of them would have to be able to be taken back as a whole
        const PART: u64 = 50_000;
        for from in (0..last).step_by(PART as usize) {
            self.execute_unlogged(&format!(
                "INSERT INTO {raw}.polylog_events SELECT * FROM {database}.polylog_events \
                 WHERE position > {from} AND position <= {from} + {PART} ORDER BY position"
            ));
        }
        self.execute_unlogged(&format!("ANALYZE TABLE {raw}.polylog_events, {database}.polylog_events"));
    }

    fn raw(&self, database: &str) -> Result<Box<dyn Raw>> {
        Ok(Box::new(RawMariadb::open(&self.address(database), database)?))
    }
}
