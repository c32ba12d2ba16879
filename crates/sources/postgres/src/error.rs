use polylog_log::{Failure, RefusedReason};
pub(crate) use polylog_source_servers::patience::Patience;
use polylog_source_servers::{faults::Stop, outcome::Fault};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

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

    /// What the server answered, if it did.
    fn answer(&self) -> Option<&PgDatabaseError> {
        match self {
            EngineError::Sql(error) => error.as_database_error()?.try_downcast_ref(),
            _ => None,
        }
    }

    /// The SQLSTATE of the server's answer, if it gave one.
    pub(crate) fn state(&self) -> Option<&str> {
        self.answer().map(PgDatabaseError::code)
    }

    /// Whether a unique index stood against it.
    pub(crate) fn is_unique_violation(&self) -> bool {
        self.state() == Some("23505")
    }

    /// Whether the lock was not to be had within its time.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.state() == Some("55P03")
    }

    /// Whether a statement that commits certainly committed nothing when it ended with this: the server refused it, and
    /// went on. When the session ended, or nothing was heard, the commit may stand.
    pub(crate) fn left_nothing(&self) -> bool {
        let is_refusal = |answer: &PgDatabaseError| matches!(answer.severity(), PgSeverity::Error);
        self.answer().is_some_and(is_refusal) || matches!(self, EngineError::Sql(sqlx::Error::Encode(_)))
    }

    /// Whether the connection is gone, so that another one may fare better.
    pub(crate) fn is_lost_connection(&self) -> bool {
        match self.answer() {
            Some(answer) => !matches!(answer.severity(), PgSeverity::Error),
            None => matches!(self, EngineError::Sql(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))),
        }
    }
}

fn translate(error: &sqlx::Error, patience: Patience) -> Failure {
    match error {
        sqlx::Error::Database(answer) => match answer.try_downcast_ref::<PgDatabaseError>() {
            Some(answer) => meaning(answer.code(), &words(answer), patience),
            None => Failure::Unreachable(answer.to_string()),
        },
        sqlx::Error::Tls(error) => refused(RefusedReason::Tls, error.to_string()),
        // what the TLS library found wrong with the server's certificate comes as an I/O error
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            refused(RefusedReason::Tls, error.to_string())
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Failure::Damaged(error.to_string()),
        sqlx::Error::RowNotFound => Failure::Damaged("a row that must be there is not".into()),
        other => Failure::Unreachable(other.to_string()),
    }
}

fn words(answer: &PgDatabaseError) -> String {
    match answer.detail() {
        Some(detail) => format!("{} ({detail})", answer.message()),
        None => answer.message().to_owned(),
    }
}

fn refused(reason: RefusedReason, message: String) -> Failure {
    Failure::Refused { reason, message }
}

/// What an SQLSTATE means: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn meaning(code: &str, words: &str, patience: Patience) -> Failure {
    let words = words.to_owned();
    match code {
        "28000" | "28P01" => refused(RefusedReason::Auth, words),
        "42501" => refused(RefusedReason::Rights, words),
        "25006" => refused(RefusedReason::ReadOnly, words),
        "53100" => refused(RefusedReason::DiskFull, words),
        "55P03" => Failure::Timeout(patience.lock),
        "57014" => Failure::Timeout(patience.statement),
        // no such database, schema, table or column
        "3D000" | "3F000" | "42P01" | "42703" => Failure::NotProvisioned(words),
        // every rule was checked under the lock before the rows were written
        _ if code.starts_with("23") => {
            Failure::Damaged(format!("what should be written contradicts what is stored: {words}"))
        }
        // a text with a NUL character, a number out of range
        _ if code.starts_with("22") => {
            Failure::Damaged(format!("PostgreSQL cannot store what should be written: {words}"))
        }
        "XX001" | "XX002" => Failure::Damaged(words),
        _ => Failure::Unreachable(words),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_state_has_its_meaning() {
        let patience = Patience { lock: Duration::from_secs(1), statement: Duration::from_secs(2) };
        let reason = |code| match meaning(code, "words", patience) {
            Failure::Refused { reason, message } if message == "words" => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason("28P01"), RefusedReason::Auth);
        assert_eq!(reason("42501"), RefusedReason::Rights);
        assert_eq!(reason("25006"), RefusedReason::ReadOnly);
        assert_eq!(reason("53100"), RefusedReason::DiskFull);
        assert_eq!(meaning("55P03", "", patience), Failure::Timeout(patience.lock));
        assert_eq!(meaning("57014", "", patience), Failure::Timeout(patience.statement));
        assert!(matches!(meaning("3D000", "", patience), Failure::NotProvisioned(_)));
        assert!(matches!(meaning("42P01", "", patience), Failure::NotProvisioned(_)));
        assert!(matches!(meaning("23505", "", patience), Failure::Damaged(_)));
        assert!(matches!(meaning("22021", "", patience), Failure::Damaged(_)));
        assert!(matches!(meaning("XX001", "", patience), Failure::Damaged(_)));
        assert!(matches!(meaning("57P01", "", patience), Failure::Unreachable(_)));
        assert!(matches!(meaning("53300", "", patience), Failure::Unreachable(_)));
    }

    #[test]
    fn a_commit_without_an_answer_may_stand() {
        let lost = EngineError::Sql(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert!(!lost.left_nothing() && lost.is_lost_connection());
        let broken = EngineError::Sql(sqlx::Error::Protocol("half a message".into()));
        assert!(!broken.left_nothing() && broken.is_lost_connection());
        assert!(!EngineError::Crashed.left_nothing());
    }
}
