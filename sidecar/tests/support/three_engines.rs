//! `polylog-sidecar dev` with one log over PostgreSQL (`ledger`), MariaDB (`mirror`) and SQLite (`spare`).

use std::{path::PathBuf, process::Command};

use polylog_test_bed::{MariadbServer, PostgresServer};

use super::{
    process::{Dev, folder},
    replicas::{manifests, rows_of_file},
};

pub const MAJORITY: &str = "{type: Priority, acks: Majority, failover: {mode: Automatic}}";

/// The servers, and a folder with the manifests.
pub struct ThreeEngines {
    pub postgres: PostgresServer,
    pub mariadb: MariadbServer,
    ledger: String,
    mirror: String,
    pub folder: tempfile::TempDir,
}

impl ThreeEngines {
    /// Under a strategy, with more fields of the EventStore's spec.
    pub fn new(strategy: &str, more: &str) -> Self {
        let (postgres, mariadb) = (PostgresServer::start(), MariadbServer::start());
        let (ledger, mirror) = (postgres.create_database(), mariadb.create_database());
        let manifests = manifests(strategy)
            .replace(
                "{name: mirror, connection: {secretRef: {name: db}}, postgres: {schema: payments}}",
                &format!(
                    "{{name: mirror, connection: {{secretRef: {{name: db}}}}, mysql: {{database: {mirror}}}}}"
                ),
            )
            .replace("  strategyRef:", &format!("{more}  strategyRef:"));
        Self { postgres, mariadb, ledger, mirror, folder: folder(&manifests) }
    }

    pub fn dev(&self) -> Dev {
        let mut command = Command::new(env!("CARGO_BIN_EXE_polylog-sidecar"));
        command.current_dir(self.folder.path()).args(["dev", ".", "--port", "0", "--health-port", "0"]);
        command.args(["--source", &format!("ledger={}", self.postgres.url(&self.ledger))]);
        command.args(["--source", &format!("mirror={}", self.mariadb.url(&self.mirror))]);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped()).env("POLYLOG_LOG", "debug");
        Dev::of(command)
    }

    pub fn in_postgres(&self, sql: &str) -> String {
        self.postgres.execute(&self.ledger, sql)
    }

    pub fn in_mariadb(&self, sql: &str) -> String {
        self.mariadb.execute(&self.mirror, sql)
    }

    /// SQLite's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join(".polylog/shop.payments/spare.db")
    }

    /// Checks that the three databases hold the same events; says how many.
    pub fn same_events(&self) -> usize {
        let postgres = self.in_postgres(
            "SELECT position || ' ' || term || ' ' || stream || ' ' || version || ' ' || encode(digest, 'hex') || ' ' || \
             encode(data_digest, 'hex') FROM payments.polylog_events ORDER BY position",
        );
        let mariadb = self.in_mariadb(
            "SELECT concat(position, ' ', term, ' ', CAST(stream AS CHAR), ' ', version, ' ', lower(hex(digest)), ' ', \
             lower(hex(data_digest))) FROM polylog_events ORDER BY position",
        );
        let sqlite = rows_of_file(&self.file());
        assert_eq!(postgres.lines().collect::<Vec<_>>(), sqlite);
        assert_eq!(mariadb.lines().collect::<Vec<_>>(), sqlite);
        sqlite.len()
    }
}
