//! What MariaDB and MySQL say differently. Only MariaDB is accepted in this version: everything else here is tested with
//! it alone.

use std::time::Duration;

/// The oldest server that this engine is tested with.
pub(crate) const OLDEST: (u32, u32) = (10, 11);

/// The server's version, from what it says of itself: `10.11.19-MariaDB-0+deb12u1`. MySQL, which this version does not
/// know, gives `None`, and so does what cannot be read.
pub(crate) fn version(says: &str) -> Option<(u32, u32)> {
    if !says.contains("MariaDB") {
        return None;
    }
    let mut numbers = says.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// How long a session waits and works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) lock: Duration,
    pub(crate) idle: Duration,
    /// Zero: as long as it takes.
    pub(crate) statement: Duration,
}

/// The settings that everything rests on, made this session's own, so that no server's configuration changes them: those
/// of every dialect, and MariaDB's own at the end (MySQL has `max_execution_time`, for reads only, and no limit for idle
/// transactions; its `sql_mode` has no `NO_AUTO_CREATE_USER`).
pub(crate) fn settings(times: Times) -> String {
    let seconds = |duration: Duration| duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let (lock, idle, statement) =
        (seconds(times.lock).max(1), seconds(times.idle).max(1), times.statement.as_secs_f64());
    format!(
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit = 1, completion_type = 0, unique_checks = 1, \
         sql_safe_updates = 0, sql_select_limit = DEFAULT, sql_big_selects = 1, timestamp = DEFAULT, \
         time_zone = '+00:00', innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}, \
         tx_isolation = 'READ-COMMITTED', \
         sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_CREATE_USER,\
         ERROR_FOR_DIVISION_BY_ZERO', \
         idle_transaction_timeout = {idle}, max_statement_time = {statement}"
    )
}

/// A column's type as the catalog writes it, without the display width that MariaDB adds.
pub(crate) fn kind(column_type: &str) -> &str {
    column_type.strip_suffix("(20)").filter(|kind| *kind == "bigint").unwrap_or(column_type)
}

/// Whether the server forgets nothing that it acknowledged, and nothing that it showed: 3 is MariaDB's, and stricter than
/// 1; without a binary log others see a transaction before it is on the disk.
macro_rules! is_durable {
    () => {
        "(@@innodb_flush_log_at_trx_commit IN (1, 3) AND @@log_bin AND @@sync_binlog = 1)"
    };
}
pub(crate) use is_durable;

/// The steps that build an index while writers go on.
pub(crate) const ONLINE: &str = " ALGORITHM=INPLACE LOCK=NONE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("10.11.19-MariaDB-0+deb12u1"), Some((10, 11)));
        assert_eq!(version("11.4.2-MariaDB-log"), Some((11, 4)));
        assert_eq!(version("5.5.5-10.6.1-MariaDB"), Some((5, 5)), "an old disguise is no version");
        assert_eq!(version("8.0.40"), None);
        assert_eq!(version("MariaDB"), None);
    }

    #[test]
    fn times_are_whole_seconds_upwards() {
        let ms = Duration::from_millis;
        let text = settings(Times { lock: ms(100), idle: ms(1_001), statement: ms(2_500) });
        assert!(text.contains("innodb_lock_wait_timeout = 1,"), "{text}");
        assert!(text.contains("idle_transaction_timeout = 2, max_statement_time = 2.5"), "{text}");
    }

    #[test]
    fn display_widths_are_left_out() {
        assert_eq!(
            (kind("bigint(20)"), kind("bigint"), kind("binary(16)")),
            ("bigint", "bigint", "binary(16)")
        );
    }
}
