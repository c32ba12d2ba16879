use std::time::{SystemTime, UNIX_EPOCH};

use polylog_log::{CheckTopic, Preflight};
use sqlx::{PgConnection, Row};

use super::Subject;
use crate::{error::EngineError, settings::Settings};

/// A clock this far from ours, in microseconds, is worth a word: times in the log are the server's.
const CLOCK_APART: i64 = 1_000_000;

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
    match (row.try_get(0)?, row.try_get::<Option<String>, _>(1)?) {
        (true, version) => {
            report.passed(CheckTopic::Tls, version.unwrap_or_else(|| "on".into()));
        }
        (false, _) if is_local => report.passed(CheckTopic::Tls, "off; the server is on this machine"),
        (false, _) => report.warning(
            CheckTopic::Tls,
            "off: passwords and events cross the network as they are",
            "turn on ssl in the server, and set tls.mode: Require with tls.caRef",
        ),
    }
    if subject.has_rows() {
        clock(row.try_get(3)?, before, after, report);
        let limits = [
            ("max_connections", row.try_get(4)?, row.try_get(5)?),
            ("the database's connection limit", row.try_get(6)?, row.try_get(7)?),
            ("the role's connection limit", row.try_get(8)?, row.try_get(9)?),
        ];
        connections(subject, limits, report);
        let megabytes = row.try_get::<i64, _>(10)? >> 20;
        let room = format!(
            "the database takes {megabytes} MiB; PostgreSQL does not tell how much room its disk has"
        );
        report.unknown(CheckTopic::Space, room);
    }
    Ok(())
}

fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The server's clock was read some time between `before` and `after`.
fn clock(server: i64, before: i64, after: i64, report: &mut Preflight) {
    let apart = (server - after).max(before - server).max(0);
    let seen = format!("{} ms from this machine's", apart / 1_000);
    if apart <= CLOCK_APART {
        return report.passed(CheckTopic::Clock, seen);
    }
    report.warning(
        CheckTopic::Clock,
        format!("{seen}; recordedAt is the server's time"),
        "let both machines keep their clocks by NTP",
    );
}

/// Each limit with what is in use under it; a negative one is none.
fn connections(subject: &Subject<'_>, limits: [(&'static str, i64, i64); 3], report: &mut Preflight) {
    // besides those that read: one writes, one looks for others' commits
    let needed = i64::try_from(subject.config.readers).unwrap_or(i64::MAX).saturating_add(2);
    // the one that asks is in use, and ends
    let left = limits.into_iter().filter(|(_, limit, _)| *limit >= 0);
    let left = left.map(|(name, limit, used)| (name, (limit - used + 1).max(0)));
    let Some((name, left)) = left.min_by_key(|(_, left)| *left) else { return };
    if left >= needed {
        return report
            .passed(CheckTopic::Connections, format!("{left} left; a process takes up to {needed}"));
    }
    report.warning(
        CheckTopic::Connections,
        format!("{left} left by {name}; a process takes up to {needed}"),
        "raise the limit, or lower pool.max",
    );
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
