use polylog_log::{CheckTopic, Preflight};
use polylog_source_servers::preflight::{self, Limit, micros_now};
use sqlx::{MySqlConnection, Row};

use super::Subject;
use crate::{checks::Settings, error::EngineError, head};

/// What to do about a server that is too old, or another one.
pub(super) const NEWER: &str = "use a MariaDB server, 10.11 or newer";

/// Of this session and its server, with what every user may see; everything as text.
const FACTS: &str = concat!(
    "SELECT (SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_VERSION'), \
     SUBSTRING_INDEX(USER(), '@', -1), CAST(",
    head::clock!(),
    " AS CHAR), CAST(@@max_connections AS CHAR), \
     (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'THREADS_CONNECTED'), \
     CAST(@@max_user_connections AS CHAR), \
     (SELECT CAST(count(*) AS CHAR) FROM information_schema.PROCESSLIST \
     WHERE USER = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), \
     (SELECT CAST(coalesce(sum(DATA_LENGTH + INDEX_LENGTH), 0) AS CHAR) FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = ?), \
     (SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?)"
);

/// TLS, and, where rows go, the clock, connections, room and the encoding.
pub(super) async fn facts(
    subject: &Subject<'_>,
    connection: &mut MySqlConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let database = subject.config.tables.database.as_str();
    let before = micros_now();
    let row = sqlx::query(FACTS).bind(database).bind(database).fetch_one(connection).await?;
    let after = micros_now();
    let text = |column: usize| Ok::<_, EngineError>(row.try_get_unchecked::<Option<&str>, _>(column)?);
    let number = |column: usize| Ok::<i64, EngineError>(text(column)?.and_then(parsed).unwrap_or_default());
    let version = text(0)?.filter(|version| !version.is_empty()).map(str::to_owned);
    let host = text(1)?.unwrap_or_default();
    let is_local = host == "localhost" || host == "::1" || host.starts_with("127.");
    preflight::tls(report, version, is_local, "give the server ssl_cert and ssl_key");
    if !subject.has_rows() {
        return Ok(());
    }
    preflight::clock(report, number(2)?, before, after);
    // of one account; zero = no limit
    let by_user = Some(number(5)?).filter(|most| *most > 0).unwrap_or(-1);
    let limits = [
        Limit { name: "max_connections", most: number(3)?, used: number(4)? },
        Limit { name: "the account's max_user_connections", most: by_user, used: number(6)? },
    ];
    preflight::connections(report, subject.config.readers, &limits);
    let megabytes = number(7)? >> 20;
    let room =
        format!("what we see there takes {megabytes} MiB; MariaDB does not tell how much room its disk has");
    report.unknown(CheckTopic::Space, room);
    if let Some(charset) = text(8)? {
        let seen = format!("our columns name their own; the database's default, {charset}, does not count");
        report.passed(CheckTopic::Encoding, seen);
    }
    Ok(())
}

fn parsed(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// What the server must be for rows.
pub(super) fn settings(subject: &Subject<'_>, settings: &Settings, report: &mut Preflight) {
    match settings.check_version() {
        Ok(()) => report.passed(CheckTopic::Version, format!("MariaDB {}", settings.version)),
        Err(failure) => report.failed(CheckTopic::Version, failure, NEWER),
    }
    durability(subject, settings, report);
}

/// Whether it takes writes.
pub(super) fn writable(settings: &Settings, report: &mut Preflight) {
    match settings.check_writable() {
        Ok(()) => report.passed(CheckTopic::Writable, "a primary that takes writes"),
        Err(failure) => {
            let fix =
                "give the address of its primary, or set read_only, innodb_read_only and tx_read_only to OFF";
            report.failed(CheckTopic::Writable, failure, fix);
        }
    }
}

fn durability(subject: &Subject<'_>, settings: &Settings, report: &mut Preflight) {
    if let Err(failure) = settings.check_kind() {
        let fix = if settings.is_cluster {
            "use a server that is not part of a Galera cluster"
        } else {
            "SET GLOBAL binlog_format = MIXED, and in my.cnf"
        };
        return report.failed(CheckTopic::Durability, failure, fix);
    }
    let on = |is_on: bool| if is_on { "ON" } else { "OFF" };
    let Settings { flush_log, sync_binlog, flush_method, .. } = settings;
    let (log_bin, doublewrite) = (on(settings.log_bin), on(settings.doublewrite));
    let seen = format!(
        "innodb_flush_log_at_trx_commit {flush_log}, log_bin {log_bin}, sync_binlog {sync_binlog}, \
         innodb_doublewrite {doublewrite}, innodb_flush_method {flush_method}"
    );
    let fix = |setting: &str| match setting {
        "innodb_flush_log_at_trx_commit" | "sync_binlog" => {
            format!("SET GLOBAL {setting} = 1, and in my.cnf")
        }
        "log_bin" => "in my.cnf log_bin = binlog and sync_binlog = 1; restart the server".into(),
        "innodb_doublewrite" => "in my.cnf innodb_doublewrite = ON; restart the server".into(),
        setting => format!("in my.cnf {setting} = O_DIRECT; restart the server"),
    };
    match (settings.unsafe_setting(), settings.check_durability()) {
        (Some(setting), Err(_)) if subject.config.allow_unsafe_durability => report.warning(
            CheckTopic::Durability,
            format!("{seen}: allowed by --unsafe-durability; what was acknowledged may be lost"),
            fix(setting),
        ),
        (Some(setting), Err(failure)) => report.failed(CheckTopic::Durability, failure, fix(setting)),
        _ => report.passed(CheckTopic::Durability, seen),
    }
}
