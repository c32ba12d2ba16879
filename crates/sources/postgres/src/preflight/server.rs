use polylog_log::{CheckTopic, Preflight};
use polylog_source_servers::preflight::{self, Limit, micros_now};
use sqlx::{PgConnection, Row};

use super::Subject;
use crate::{error::EngineError, settings::Settings};

/// Of this session and its server, with what every role may see.
const FACTS: &str = "SELECT s.ssl, s.version, \
     coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true), \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
     current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint, \
     (SELECT coalesce(sum(numbackends), 0)::bigint FROM pg_stat_database), \
     d.datconnlimit::bigint, pg_stat_get_db_numbackends(d.oid)::bigint, \
     r.rolconnlimit::bigint, (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid), \
     pg_database_size(d.oid) \
     FROM pg_stat_ssl s, pg_database d, pg_roles r \
     WHERE s.pid = pg_backend_pid() AND d.datname = current_database() AND r.rolname = current_user";

/// TLS, and, where rows go, the clock, connections and room.
pub(super) async fn facts(
    subject: &Subject<'_>,
    connection: &mut PgConnection,
    report: &mut Preflight,
) -> Result<(), EngineError> {
    let before = micros_now();
    let row = sqlx::query(FACTS).persistent(false).fetch_one(connection).await?;
    let after = micros_now();
    let is_local: bool = row.try_get(2)?;
    let version: Option<String> = row.try_get(1)?;
    let version = row.try_get::<bool, _>(0)?.then(|| version.unwrap_or_else(|| "on".into()));
    preflight::tls(report, version, is_local, "turn on ssl in the server");
    if subject.has_rows() {
        preflight::clock(report, row.try_get(3)?, before, after);
        let limit = |name, column: usize| {
            let (most, used) = (row.try_get(column)?, row.try_get(column + 1)?);
            Ok::<_, EngineError>(Limit { name, most, used })
        };
        let limits = [
            limit("max_connections", 4)?,
            limit("the database's connection limit", 6)?,
            limit("the role's connection limit", 8)?,
        ];
        preflight::connections(report, subject.config.readers, &limits);
        let megabytes = row.try_get::<i64, _>(10)? >> 20;
        let room = format!(
            "the database takes {megabytes} MiB; PostgreSQL does not tell how much room its disk has"
        );
        report.unknown(CheckTopic::Space, room);
    }
    Ok(())
}

/// What the server must be for rows.
pub(super) fn settings(subject: &Subject<'_>, settings: &Settings, report: &mut Preflight) {
    match settings.check_version(subject.config.oldest_version) {
        Ok(()) => report.passed(CheckTopic::Version, format!("PostgreSQL {}", settings.version)),
        Err(failure) => report.failed(CheckTopic::Version, failure, "move the database to a newer server"),
    }
    match settings.check_encoding() {
        Ok(()) => report.passed(CheckTopic::Encoding, &settings.encoding),
        Err(failure) => {
            let fix = "create a database with ENCODING 'UTF8' TEMPLATE template0, and connect to that";
            report.failed(CheckTopic::Encoding, failure, fix);
        }
    }
    durability(subject, settings, report);
    writable(settings, report);
}

/// Whether it takes writes.
pub(super) fn writable(settings: &Settings, report: &mut Preflight) {
    match settings.check_writable() {
        Ok(()) => report.passed(CheckTopic::Writable, "a primary that takes writes"),
        Err(failure) => {
            let fix = if settings.is_standby {
                "give the address of its primary"
            } else {
                "set default_transaction_read_only = off for the server, the database and the role"
            };
            report.failed(CheckTopic::Writable, failure, fix);
        }
    }
}

fn durability(subject: &Subject<'_>, settings: &Settings, report: &mut Preflight) {
    let Settings { fsync, synchronous_commit, full_page_writes, .. } = settings;
    let seen = format!(
        "fsync {fsync}, synchronous_commit {synchronous_commit}, full_page_writes {full_page_writes}"
    );
    let fix = |setting: &str| match setting {
        "synchronous_commit" => {
            "set synchronous_commit = on for the server, the database and the role".into()
        }
        setting => format!("ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf()"),
    };
    match (settings.unsafe_setting(), settings.check_durability()) {
        (Some(setting), Err(_)) if subject.config.allow_unsafe_durability => report.warning(
            CheckTopic::Durability,
            format!("{seen}: allowed by --unsafe-durability; what was acknowledged may be lost"),
            fix(setting),
        ),
        (Some(setting), Err(failure)) => report.failed(CheckTopic::Durability, failure, fix(setting)),
        _ if full_page_writes == "off" => report.warning(
            CheckTopic::Durability,
            format!("{seen}: safe only on a file system that writes pages whole"),
            fix("full_page_writes"),
        ),
        _ => report.passed(CheckTopic::Durability, seen),
    }
}
