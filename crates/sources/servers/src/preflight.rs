//! The lines of a preflight that every server has.

use std::time::{SystemTime, UNIX_EPOCH};

use polylog_log::{CheckTopic, FORMAT, Failure, LogId, Preflight};

/// A clock this far from ours, in microseconds, is worth a word: times in the log are the server's.
const CLOCK_APART: i64 = 1_000_000;

/// Our clock, in microseconds since 1970.
pub fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The server's clock was read some time between `before` and `after`; all in microseconds since 1970.
pub fn clock(report: &mut Preflight, server: i64, before: i64, after: i64) {
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

/// Whether the connection is encrypted: `version` of TLS; `is_local`: the server is on this machine; `on` turns it on.
pub fn tls(report: &mut Preflight, version: Option<String>, is_local: bool, on: &str) {
    match version {
        Some(version) => report.passed(CheckTopic::Tls, version),
        None if is_local => report.passed(CheckTopic::Tls, "off; the server is on this machine"),
        None => report.warning(
            CheckTopic::Tls,
            "off: passwords and events cross the network as they are",
            format!("{on}, and set tls.mode: Require with tls.caRef"),
        ),
    }
}

/// A limit of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Whose.
    pub name: &'static str,
    /// How many; a negative number is no limit.
    pub most: i64,
    /// How many of them are in use, with the one that asks.
    pub used: i64,
}

/// How many connections are left for a process that has so many `readers`.
pub fn connections(report: &mut Preflight, readers: usize, limits: &[Limit]) {
    // besides those that read: one writes, one looks for others' commits
    let needed = i64::try_from(readers).unwrap_or(i64::MAX).saturating_add(2);
    // the one that asks is in use, and ends
    let left = limits.iter().filter(|limit| limit.most >= 0);
    let left = left.map(|limit| (limit.name, (limit.most - limit.used + 1).max(0)));
    let Some((name, left)) = left.min_by_key(|(_, left)| *left) else { return };
    if left >= needed {
        let seen = format!("{left} left; a process takes up to {needed}");
        return report.passed(CheckTopic::Connections, seen);
    }
    report.warning(
        CheckTopic::Connections,
        format!("{left} left by {name}; a process takes up to {needed}"),
        "raise the limit, or lower pool.max",
    );
}

/// Whose log is there: `None` = no head. `place` is the schema or database; `known` the log that it should hold.
pub fn identity(report: &mut Preflight, place: &str, known: Option<LogId>, found: Option<FoundHead>) {
    let Some(FoundHead { format, log, tail }) = found else {
        return report.failed(
            CheckTopic::Identity,
            Failure::NotProvisioned(format!("{place} has no head")),
            "polylog plan shows the statements that complete it",
        );
    };
    if format > FORMAT {
        let failure = Failure::FormatTooNew { found: format, known: FORMAT };
        return report.failed(CheckTopic::Format, failure, "update polylog");
    }
    report.passed(CheckTopic::Format, format.to_string());
    match known.filter(|known| *known != log) {
        Some(known) => report.failed(
            CheckTopic::Identity,
            Failure::WrongStore(format!("{place} holds log {log}, not {known}")),
            "give the address of the database that holds this store's log",
        ),
        None => report.passed(CheckTopic::Identity, format!("log {log}, up to position {tail}")),
    }
}

/// What every format of a head has.
#[derive(Debug, Clone, Copy)]
pub struct FoundHead {
    /// The stored format.
    pub format: u32,
    /// Whose log.
    pub log: LogId,
    /// Where it ends.
    pub tail: u64,
}

/// There is no table of ours (yet).
pub fn not_yet(report: &mut Preflight, place: &str, known: Option<LogId>) {
    match known {
        Some(known) => report.failed(
            CheckTopic::Identity,
            Failure::WrongStore(format!("log {known} should be here, and {place} holds no log")),
            "give the address of the database that holds it, or restore it; to begin anew, another --data folder",
        ),
        None => report.unknown(
            CheckTopic::Tables,
            format!("{place} holds no log yet; polylog plan shows what the first start creates"),
        ),
    }
}

/// Our tables that are not there, of `all`.
pub fn tables(report: &mut Preflight, place: &str, all: usize, missing: &[&str]) {
    if missing.is_empty() {
        return report.passed(CheckTopic::Tables, format!("{all} in {place}"));
    }
    let failure = Failure::NotProvisioned(format!("missing in {place}: {}", missing.join(", ")));
    report.failed(CheckTopic::Tables, failure, "polylog plan shows the statements that complete it");
}
