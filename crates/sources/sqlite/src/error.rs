use std::time::Duration;

use polylog_log::{Failure, RefusedReason};
use rusqlite::ErrorCode;

/// What can go wrong inside the engine, before it is known what that means for the operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// SQLite's own; [`EngineError::failure`] tells what it means.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Already in the contract's words.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// A test stopped this handle, as if its process had ended.
    #[error("the process ended")]
    Crashed,
}

impl EngineError {
    /// What was read contradicts itself.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Failure(Failure::Damaged(what.into()))
    }

    /// In the contract's words; `patience` is the time that SQLite waited for a lock.
    pub(crate) fn failure(&self, patience: Duration) -> Failure {
        match self {
            EngineError::Failure(failure) => failure.clone(),
            EngineError::Sqlite(error) => translate(error, patience),
            EngineError::Crashed => Failure::Unreachable(self.to_string()),
        }
    }

    /// Whether a row was refused because an index that allows each value once holds its value already. The statement
    /// that wrote the row did nothing; the transaction goes on.
    pub(crate) fn is_clash(&self) -> bool {
        let EngineError::Sqlite(error) = self else { return false };
        error
            .sqlite_error()
            .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
    }

    /// Whether the connection must be opened again: after an I/O error its view of the write-ahead log may be wrong.
    pub(crate) fn breaks_connection(&self) -> bool {
        let EngineError::Sqlite(error) = self else { return matches!(self, EngineError::Crashed) };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::SchemaChanged
                    | ErrorCode::OutOfMemory
            )
        )
    }

    /// Whether a COMMIT that failed with this, and was then rolled back, certainly left nothing behind.
    ///
    /// The commit is the last frame that a transaction writes to the write-ahead log. FULL is only ever the result of
    /// a write that came back short (`unixWrite`), and with powersafe overwrite, SQLite's default, nothing is written
    /// after that last frame; so when a write was short, the commit frame is missing or incomplete, and no recovery
    /// accepts it. BUSY is found before anything is written. Every other error may come after the commit frame: a
    /// failed fsync leaves it in the file, where the next recovery would find it valid.
    pub(crate) fn commit_left_nothing(&self) -> bool {
        let EngineError::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
    }
}

fn translate(error: &rusqlite::Error, patience: Duration) -> Failure {
    let (code, words) = match error {
        rusqlite::Error::SqliteFailure(code, _) => (code, error.to_string()),
        // without the statement, which may be long
        rusqlite::Error::SqlInputError { error: code, msg, .. } => (code, msg.clone()),
        // a column of another type than the table declares, text that is not UTF-8, a row that should be there
        other => return Failure::Damaged(other.to_string()),
    };
    let refused = |reason| Failure::Refused { reason, message: words.clone() };
    match code.code {
        _ if code.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => {
            Failure::NotProvisioned(format!("the file was moved or deleted: {words}"))
        }
        ErrorCode::DiskFull => refused(RefusedReason::DiskFull),
        ErrorCode::ReadOnly => refused(RefusedReason::ReadOnly),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            refused(RefusedReason::Rights)
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Failure::Timeout(patience),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Failure::Damaged(words),
        // what the rules need was looked up under the lock before the rows were written
        ErrorCode::ConstraintViolation => {
            Failure::Damaged(format!("what should be written contradicts what is stored: {words}"))
        }
        ErrorCode::Unknown if words.contains("no such table") || words.contains("no such column") => {
            Failure::NotProvisioned(words)
        }
        _ => Failure::Unreachable(words),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn meaning(code: i32) -> Failure {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        EngineError::from(error).failure(Duration::from_secs(5))
    }

    #[test]
    fn each_error_of_sqlite_has_its_meaning() {
        let refused = |code| match meaning(code) {
            Failure::Refused { reason, .. } => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(refused(ffi::SQLITE_FULL), RefusedReason::DiskFull);
        assert_eq!(refused(ffi::SQLITE_READONLY), RefusedReason::ReadOnly);
        assert_eq!(refused(ffi::SQLITE_READONLY_DIRECTORY), RefusedReason::ReadOnly);
        assert_eq!(refused(ffi::SQLITE_PERM), RefusedReason::Rights);
        assert_eq!(refused(ffi::SQLITE_AUTH), RefusedReason::Rights);
        assert_eq!(meaning(ffi::SQLITE_BUSY), Failure::Timeout(Duration::from_secs(5)));
        assert_eq!(meaning(ffi::SQLITE_BUSY_RECOVERY), Failure::Timeout(Duration::from_secs(5)));
        assert!(matches!(meaning(ffi::SQLITE_CORRUPT), Failure::Damaged(_)));
        assert!(matches!(meaning(ffi::SQLITE_NOTADB), Failure::Damaged(_)));
        assert!(matches!(meaning(ffi::SQLITE_CONSTRAINT_UNIQUE), Failure::Damaged(_)));
        assert!(matches!(meaning(ffi::SQLITE_IOERR_WRITE), Failure::Unreachable(_)));
        assert!(matches!(meaning(ffi::SQLITE_READONLY_DBMOVED), Failure::NotProvisioned(_)));
        assert!(matches!(meaning(ffi::SQLITE_NOMEM), Failure::Unreachable(_)));
    }

    #[test]
    fn only_a_short_write_or_a_lock_makes_a_failed_commit_certain() {
        let certain = |code| {
            EngineError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
                .commit_left_nothing()
        };
        assert!(certain(ffi::SQLITE_FULL) && certain(ffi::SQLITE_BUSY));
        assert!(!certain(ffi::SQLITE_IOERR_FSYNC) && !certain(ffi::SQLITE_IOERR_WRITE));
        assert!(!certain(ffi::SQLITE_NOMEM) && !certain(ffi::SQLITE_CORRUPT));
    }
}
