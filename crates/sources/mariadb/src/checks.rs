//! What a database must be before it is used.

use polylog_log::{Failure, RefusedReason};
use polylog_source_servers::rights::NEEDED;
use sqlx::{MySqlConnection, Row, mysql::MySqlRow};

use crate::{
    catalog::{self, Catalog, FoundTable},
    dialect,
    error::EngineError,
    schema,
    script::Script,
    tables::Tables,
};

/// What the server says of itself; a setting that it does not have is not among the rows.
pub(crate) const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', \
     'log_bin', 'sync_binlog', 'binlog_format', 'innodb_doublewrite', 'innodb_flush_method', 'read_only', \
     'innodb_read_only', 'innodb_force_recovery', 'tx_read_only', 'wsrep_on', 'max_allowed_packet')";

/// What the server says of itself and of our session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) version: String,
    pub(crate) flush_log: String,
    pub(crate) log_bin: bool,
    pub(crate) sync_binlog: String,
    pub(crate) binlog_format: String,
    pub(crate) doublewrite: bool,
    pub(crate) flush_method: String,
    pub(crate) read_only: bool,
    pub(crate) innodb_read_only: bool,
    pub(crate) transactions_read_only: bool,
    pub(crate) is_cluster: bool,
    /// Bytes of one statement at most.
    pub(crate) packet: usize,
}

impl Settings {
    /// From the rows of [`SETTINGS`].
    pub(crate) fn read(rows: &[MySqlRow]) -> Result<Self, EngineError> {
        let mut found = std::collections::HashMap::new();
        for row in rows {
            found.insert(row.try_get_unchecked::<&str, _>(0)?, row.try_get_unchecked::<&str, _>(1)?);
        }
        let text = |name: &str| found.get(name).copied().unwrap_or_default().to_owned();
        let is_on = |name: &str| ["ON", "1"].contains(&text(name).as_str());
        let recovery = text("innodb_force_recovery").parse().unwrap_or(0);
        Ok(Self {
            version: text("version"),
            flush_log: text("innodb_flush_log_at_trx_commit"),
            log_bin: is_on("log_bin"),
            sync_binlog: text("sync_binlog"),
            binlog_format: text("binlog_format"),
            doublewrite: text("innodb_doublewrite") != "OFF",
            flush_method: text("innodb_flush_method"),
            read_only: is_on("read_only"),
            // from 4 on InnoDB takes no writes
            innodb_read_only: is_on("innodb_read_only") || recovery >= 4_u8,
            transactions_read_only: is_on("tx_read_only"),
            is_cluster: is_on("wsrep_on"),
            packet: text("max_allowed_packet").parse().unwrap_or(1 << 20),
        })
    }

    pub(crate) fn check_version(&self) -> Result<(), Failure> {
        match dialect::version(&self.version) {
            Some(version) if version >= dialect::OLDEST => Ok(()),
            Some(_) => unsuitable(format!("MariaDB 10.11 or newer is needed, this is {}", self.version)),
            None => unsuitable(format!(
                "MySQL 8 is not tested and therefore not in this version; MariaDB 10.11 or newer is needed, this is \
                 {}",
                self.version
            )),
        }
    }

    /// Everything without which a server must not be used.
    pub(crate) fn check(&self, allow_unsafe_durability: bool) -> Result<(), Failure> {
        self.check_version()?;
        self.check_kind()?;
        self.check_writable()?;
        if allow_unsafe_durability { Ok(()) } else { self.check_durability() }
    }

    /// That what is written here is what replicas and other nodes have.
    pub(crate) fn check_kind(&self) -> Result<(), Failure> {
        if self.is_cluster {
            return unsuitable(
                "this is a Galera cluster (wsrep_on): it can lose what it acknowledged, and two of its nodes can give \
                 one position away twice"
                    .into(),
            );
        }
        if self.log_bin && self.binlog_format == "STATEMENT" {
            return unsuitable(
                "binlog_format is STATEMENT: replicas would not get what is written here; set it to MIXED or ROW"
                    .into(),
            );
        }
        Ok(())
    }

    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        let read_only = |message: &str| {
            Err(Failure::Refused { reason: RefusedReason::ReadOnly, message: message.into() })
        };
        if self.read_only {
            return read_only("read_only is on, as on a replica; connect to its primary");
        }
        if self.innodb_read_only {
            return read_only("innodb_read_only is on, or innodb_force_recovery keeps InnoDB from writing");
        }
        if self.transactions_read_only {
            return read_only("tx_read_only is on for this server");
        }
        Ok(())
    }

    pub(crate) fn check_durability(&self) -> Result<(), Failure> {
        match self.forgetful() {
            Some(Forgetful { setting, is, should_be }) => unsuitable(format!(
                "{setting} is {is}; {should_be}: the server forgets what it acknowledged when the machine fails"
            )),
            None => Ok(()),
        }
    }

    /// The setting that lets the server forget: what it is, and what it should be.
    fn forgetful(&self) -> Option<Forgetful> {
        let bad = |setting: &'static str, is: &str, should_be: &'static str| {
            Some(Forgetful { setting, is: is.to_owned(), should_be })
        };
        if !["1", "3"].contains(&self.flush_log.as_str()) {
            return bad("innodb_flush_log_at_trx_commit", &self.flush_log, "set it to 1");
        }
        // without one, InnoDB shows a transaction to others before it is on the disk: a server that is killed then takes
        // back what readers have seen
        if !self.log_bin {
            return bad("log_bin", "OFF", "set it, and sync_binlog to 1");
        }
        // with one, recovery keeps only the transactions that it holds
        if self.sync_binlog != "1" {
            return bad("sync_binlog", &self.sync_binlog, "set it to 1");
        }
        if !self.doublewrite {
            return bad("innodb_doublewrite", "OFF", "set it to ON");
        }
        if ["nosync", "littlesync"].contains(&self.flush_method.as_str()) {
            return bad("innodb_flush_method", &self.flush_method, "set it to O_DIRECT or fsync");
        }
        None
    }

    /// The name of the setting that lets the server forget.
    pub(crate) fn unsafe_setting(&self) -> Option<&'static str> {
        self.forgetful().map(|found| found.setting)
    }
}

/// A setting that lets the server forget what it acknowledged.
struct Forgetful {
    setting: &'static str,
    is: String,
    should_be: &'static str,
}

fn unsuitable<T>(message: String) -> Result<T, Failure> {
    Err(Failure::Refused { reason: RefusedReason::Unsuitable, message })
}

/// Says that the server's settings changed for the worse.
pub(crate) fn forgets_now() -> Failure {
    let message = "the server forgets what it acknowledges: innodb_flush_log_at_trx_commit must be 1, log_bin on, \
         and sync_binlog 1";
    Failure::Refused { reason: RefusedReason::Unsuitable, message: message.into() }
}

/// Says that the server takes no writes any more.
pub(crate) fn read_only_now() -> Failure {
    let message = "read_only is on; connect to a server that may write";
    Failure::Refused { reason: RefusedReason::ReadOnly, message: message.into() }
}

/// The setting because of which the server may lose what it acknowledged, as it is.
pub(crate) async fn unsafe_setting(connection: &mut MySqlConnection) -> Result<Option<String>, EngineError> {
    let rows = sqlx::raw_sql(SETTINGS).fetch_all(connection).await?;
    let found = Settings::read(&rows)?.forgetful();
    Ok(found.map(|Forgetful { setting, is, .. }| format!("{setting} is {is}")))
}

/// Checks that the database holds our tables and that we may use them.
pub(crate) async fn tables(connection: &mut MySqlConnection, tables: &Tables) -> Result<(), EngineError> {
    let found = catalog::look(connection, tables).await?;
    // what we may not use is not in the catalog that we see: first what is there and not ours, then the rights
    found.check_foreign(tables)?;
    if found.tables.is_empty() {
        return Err(match catalog::may(connection, tables, schema::HEAD.name, "SELECT").await {
            Ok(_) => no_right_at_all(tables),
            Err(error) if error.number() == Some(1146) => {
                Failure::NotProvisioned(format!("{tables} holds no table of ours"))
            }
            Err(error) => return Err(error),
        }
        .into());
    }
    // all at once; which one is lacking is asked only if one is
    let all = NEEDED.iter().flat_map(|(table, rights)| rights.iter().map(|right| (*table, *right)));
    let script = all.fold(Script::default(), |script, (table, right)| {
        script.then(catalog::attempt(tables, table, right))
    });
    if script.run(connection).await.is_err() {
        for (table, rights) in NEEDED {
            rights_on(connection, tables, table, rights).await?;
        }
    }
    Ok(check_shape(&found, tables)?)
}

/// Tries what needs each right, on no row.
async fn rights_on(
    connection: &mut MySqlConnection,
    tables: &Tables,
    table: &str,
    rights: &[&str],
) -> Result<(), EngineError> {
    let mut lacking = Vec::new();
    for right in rights {
        if !catalog::may(connection, tables, table, right).await? {
            lacking.push(*right);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(missing_right(&format!("{} ON {}", lacking.join(", "), tables.qualified(table))).into())
}

fn check_shape(found: &Catalog, tables: &Tables) -> Result<(), Failure> {
    for table in &schema::TABLES {
        let name = table.name;
        let Some(there) = found.tables.iter().find(|there| there.name == name) else {
            let what = format!("table {} is missing", tables.qualified(name));
            return Err(Failure::NotProvisioned(what));
        };
        if let Some(failure) = without_transactions(there, tables) {
            return Err(failure);
        }
    }
    match found.missing_indexes().first() {
        Some(index) => Err(missing_index(tables, index)),
        None => Ok(()),
    }
}

/// Says that a table's engine has no transactions, if it has none.
pub(crate) fn without_transactions(table: &FoundTable, tables: &Tables) -> Option<Failure> {
    let (FoundTable { engine, .. }, name) = (table, tables.qualified(&table.name));
    let message = format!(
        "table {name} is kept by {engine}, which has no transactions; convert it: ALTER TABLE {name} ENGINE=InnoDB"
    );
    (engine != "InnoDB").then_some(Failure::Refused { reason: RefusedReason::Unsuitable, message })
}

/// Says that an index is not there as it should be.
pub(crate) fn missing_index(tables: &Tables, index: &schema::Index) -> Failure {
    Failure::NotProvisioned(format!(
        "index {} on {}, which keeps ids and versions unique, is missing or another one",
        tables.named(index.name),
        tables.qualified(schema::EVENTS.name)
    ))
}

/// Says that a table under our name belongs to somebody else.
pub(crate) fn foreign_table(tables: &Tables, name: &str) -> Failure {
    Failure::WrongStore(format!(
        "{} belongs to another application (it lacks the comment '{}'); give the log a database or a table prefix of \
         its own",
        tables.qualified(name),
        schema::MARK
    ))
}

/// Says that nothing is allowed here.
pub(crate) fn no_right_at_all(tables: &Tables) -> Failure {
    let (table, rights) = NEEDED[0];
    missing_right(&format!("{} ON {}", rights.join(", "), tables.qualified(table)))
}

fn missing_right(right: &str) -> Failure {
    let message = format!(
        "a right is missing (or the database); as administrator run: GRANT {right} TO the user of this connection"
    );
    Failure::Refused { reason: RefusedReason::Rights, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            version: "10.11.19-MariaDB-0+deb12u1".into(),
            flush_log: "1".into(),
            log_bin: true,
            sync_binlog: "1".into(),
            binlog_format: "MIXED".into(),
            doublewrite: true,
            flush_method: "O_DIRECT".into(),
            read_only: false,
            innodb_read_only: false,
            transactions_read_only: false,
            is_cluster: false,
            packet: 16 << 20,
        }
    }

    fn reason(settings: &Settings) -> (RefusedReason, String) {
        match settings.check(false) {
            Err(Failure::Refused { reason, message }) => (reason, message),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn each_unfit_server_is_refused_with_its_reason() {
        assert_eq!(good().check(false), Ok(()));
        let unfit = [
            (Settings { version: "10.6.1-MariaDB".into(), ..good() }, "10.11 or newer"),
            (Settings { version: "8.0.40".into(), ..good() }, "MySQL"),
            (Settings { is_cluster: true, ..good() }, "Galera"),
            (Settings { binlog_format: "STATEMENT".into(), ..good() }, "MIXED"),
        ];
        for (settings, word) in unfit {
            let (why, message) = reason(&settings);
            assert!(why == RefusedReason::Unsuitable && message.contains(word), "{message}");
            assert!(settings.check(true).is_err(), "{word}");
        }
        for settings in [
            Settings { read_only: true, ..good() },
            Settings { innodb_read_only: true, ..good() },
            Settings { transactions_read_only: true, ..good() },
        ] {
            assert_eq!(reason(&settings).0, RefusedReason::ReadOnly);
        }
        let forgetful = [
            (Settings { flush_log: "0".into(), ..good() }, "innodb_flush_log_at_trx_commit is 0"),
            (Settings { flush_log: "2".into(), ..good() }, "innodb_flush_log_at_trx_commit is 2"),
            (Settings { log_bin: false, ..good() }, "log_bin is OFF"),
            (Settings { sync_binlog: "0".into(), ..good() }, "sync_binlog is 0"),
            (Settings { doublewrite: false, ..good() }, "innodb_doublewrite"),
            (Settings { flush_method: "nosync".into(), ..good() }, "nosync"),
        ];
        for (settings, word) in forgetful {
            let (why, message) = reason(&settings);
            assert!(why == RefusedReason::Unsuitable && message.contains(word), "{message}");
            assert_eq!(settings.check(true), Ok(()));
            assert!(message.contains(settings.unsafe_setting().expect("a name")), "{message}");
        }
        let logged = Settings { flush_log: "3".into(), ..good() };
        assert_eq!(logged.check(false), Ok(()));
    }
}
