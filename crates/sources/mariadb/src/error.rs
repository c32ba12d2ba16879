use polylog_log::{Failure, RefusedReason};
pub(crate) use polylog_source_servers::patience::Patience;
use polylog_source_servers::{faults::Stop, outcome::Fault};
use sqlx::mysql::MySqlDatabaseError;

/// What can go wrong inside the engine, before it is known what that means for the operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The driver's or the server's own; [`EngineError::failure`] tells what it means.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    /// Already in the contract's words.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// A test stopped this handle, as if its process had ended.
    #[error("the process ended")]
    Crashed,
}

impl From<Stop> for EngineError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failure(failure) => Self::Failure(failure),
            Stop::Crash => Self::Crashed,
        }
    }
}

/// The connection ends: shut down, killed, too long idle.
const ENDED: [u16; 8] = [1053, 1152, 1158, 1159, 1160, 1161, 1927, 4031];
/// A subquery that gave two rows: how a swap says that the head is another one.
const OTHER_HEAD: u16 = 1242;
const DUPLICATE: u16 = 1062;
/// This transaction was chosen to end a circle of waiting; or, with snapshot isolation, what it read has changed.
const DEADLOCK: [u16; 2] = [1213, 1020];

impl Fault for EngineError {
    fn failure(&self, patience: Patience) -> Failure {
        EngineError::failure(self, patience)
    }

    fn is_crash(&self) -> bool {
        matches!(self, EngineError::Crashed)
    }
}

impl EngineError {
    /// What was read contradicts itself.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Failure(Failure::Damaged(what.into()))
    }

    /// In the contract's words.
    pub(crate) fn failure(&self, patience: Patience) -> Failure {
        match self {
            EngineError::Failure(failure) => failure.clone(),
            EngineError::Sql(error) => translate(error, patience),
            EngineError::Crashed => Failure::Unreachable(self.to_string()),
        }
    }

    /// The number of the server's answer, if it gave one.
    pub(crate) fn number(&self) -> Option<u16> {
        match self {
            EngineError::Sql(error) => {
                Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
            }
            _ => None,
        }
    }

    /// Whether the server answered with it.
    pub(crate) fn is_answer(&self) -> bool {
        self.number().is_some()
    }

    /// Whether a unique index stood against it.
    pub(crate) fn is_unique_violation(&self) -> bool {
        self.number() == Some(DUPLICATE)
    }

    /// Whether a swap found another head.
    pub(crate) fn is_other_head(&self) -> bool {
        self.number() == Some(OTHER_HEAD)
    }

    /// Whether the server rolled the whole transaction back so that another one could go on.
    pub(crate) fn is_deadlock(&self) -> bool {
        self.number().is_some_and(|number| DEADLOCK.contains(&number))
    }

    /// Whether the connection is gone, so that another one may fare better.
    pub(crate) fn is_lost_connection(&self) -> bool {
        match self.number() {
            Some(number) => ENDED.contains(&number),
            None => matches!(self, EngineError::Sql(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))),
        }
    }
}

fn translate(error: &sqlx::Error, patience: Patience) -> Failure {
    match error {
        sqlx::Error::Database(answer) => match answer.try_downcast_ref::<MySqlDatabaseError>() {
            Some(answer) => meaning(answer.number(), answer.message(), patience),
            None => Failure::Unreachable(answer.to_string()),
        },
        sqlx::Error::Tls(error) => refused(RefusedReason::Tls, error.to_string()),
        // what the TLS library found wrong with the server's certificate comes as an I/O error
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            refused(RefusedReason::Tls, error.to_string())
        }
        // ed25519, unix_socket and the like; and a password that may not cross the network in the clear
        sqlx::Error::Protocol(words) if words.contains("authentication plugin") || words.contains("RSA") => {
            refused(RefusedReason::Auth, format!("{words}; use mysql_native_password, or TLS"))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Failure::Damaged(error.to_string()),
        sqlx::Error::RowNotFound => Failure::Damaged("a row that must be there is not".into()),
        other => Failure::Unreachable(other.to_string()),
    }
}

fn refused(reason: RefusedReason, message: String) -> Failure {
    Failure::Refused { reason, message }
}

/// What an error number means: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
fn meaning(number: u16, words: &str, patience: Patience) -> Failure {
    let is_full =
        words.contains("No space left") || words.contains("rror 28 ") || words.contains("rcode: 28");
    let text = words.to_owned();
    match number {
        // wrong password, none, host not allowed, plugin refused
        1045 | 1698 | 1130 | 1524 | 1820 | 1862 | 4151 => refused(RefusedReason::Auth, text),
        1044 | 1142 | 1143 | 1227 | 1370 => refused(RefusedReason::Rights, text),
        1290 | 1792 | 1836 => refused(RefusedReason::ReadOnly, text),
        1021 | 1114 => refused(RefusedReason::DiskFull, text),
        3 | 1026 | 1030 | 1180 if is_full => refused(RefusedReason::DiskFull, text),
        1153 => refused(RefusedReason::Unsuitable, format!("{text}: raise max_allowed_packet")),
        1205 => Failure::Timeout(patience.lock),
        1969 | 3024 => Failure::Timeout(patience.statement),
        // no such database, table, column, index
        1049 | 1146 | 1054 | 1176 => Failure::NotProvisioned(text),
        // every rule was checked under the lock before the rows were written
        1062 | 1048 | 1364 | 1451 | 1452 | 4025 => {
            Failure::Damaged(format!("what should be written contradicts what is stored: {text}"))
        }
        1264 | 1366 | 1406 => {
            Failure::Damaged(format!("MariaDB cannot store what should be written: {text}"))
        }
        // a table or index that is corrupted, or missing in the engine
        1034 | 1194 | 1712 | 1877 | 1932 => Failure::Damaged(text),
        _ => Failure::Unreachable(text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_number_has_its_meaning() {
        let patience = Patience { lock: Duration::from_secs(1), statement: Duration::from_secs(2) };
        let reason = |number, words| match meaning(number, words, patience) {
            Failure::Refused { reason, message } if message.starts_with(words) => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason(1045, "words"), RefusedReason::Auth);
        assert_eq!(reason(1142, "words"), RefusedReason::Rights);
        assert_eq!(reason(1290, "words"), RefusedReason::ReadOnly);
        assert_eq!(reason(1114, "words"), RefusedReason::DiskFull);
        let full = "Error writing file 'x' (Errcode: 28 \"No space left on device\")";
        assert_eq!(reason(1026, full), RefusedReason::DiskFull);
        assert_eq!(reason(1153, "words"), RefusedReason::Unsuitable);
        assert_eq!(meaning(1205, "", patience), Failure::Timeout(patience.lock));
        assert_eq!(meaning(1969, "", patience), Failure::Timeout(patience.statement));
        assert!(matches!(meaning(1049, "", patience), Failure::NotProvisioned(_)));
        assert!(matches!(meaning(1062, "", patience), Failure::Damaged(_)));
        assert!(matches!(meaning(1406, "", patience), Failure::Damaged(_)));
        assert!(matches!(meaning(1712, "", patience), Failure::Damaged(_)));
        for passing in [1040, 1053, 1213, 1026, 1927] {
            assert!(matches!(meaning(passing, "", patience), Failure::Unreachable(_)), "{passing}");
        }
    }

    #[test]
    fn a_commit_without_an_answer_may_stand() {
        let lost = EngineError::Sql(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert!(!lost.is_answer() && lost.is_lost_connection());
        let broken = EngineError::Sql(sqlx::Error::Protocol("half a message".into()));
        assert!(!broken.is_answer() && broken.is_lost_connection());
        assert!(!EngineError::Crashed.is_answer());
    }
}
