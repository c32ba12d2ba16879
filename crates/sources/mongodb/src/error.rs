use mongodb::error::{Error, ErrorKind, WriteFailure};
use polylog_log::{Failure, RefusedReason};

/// What can go wrong inside the engine, before it is known what that means for the operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The driver's or the server's own; [`EngineError::failure`] tells what it means.
    #[error("{0}")]
    Driver(#[from] Error),
    /// Already in the contract's words.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The documents are not those of this head: another head is there by now, or they were replaced under it.
    #[error("{0}")]
    Mismatch(String),
    /// A request without an answer: a test lost it.
    #[error("injected: no answer")]
    Lost,
    /// A test stopped this handle, as if its process had ended.
    #[error("the process ended")]
    Crashed,
}

impl EngineError {
    /// What was read contradicts itself.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Failure(Failure::Damaged(what.into()))
    }

    /// In the contract's words.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            EngineError::Failure(failure) => failure.clone(),
            EngineError::Driver(error) => translate(error),
            EngineError::Mismatch(what) => Failure::Damaged(what.clone()),
            EngineError::Lost | EngineError::Crashed => Failure::Unreachable(self.to_string()),
        }
    }

    /// Whether a request that writes certainly wrote nothing when it ended with this.
    pub(crate) fn left_nothing(&self) -> bool {
        let EngineError::Driver(error) = self else { return false };
        match &*error.kind {
            // nobody was asked
            ErrorKind::ServerSelection { .. }
            | ErrorKind::Authentication { .. }
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::InvalidTlsConfig { .. }
            | ErrorKind::Bson(_) => true,
            ErrorKind::Write(WriteFailure::WriteError(_)) => true,
            ErrorKind::Command(answer) => was_not_begun(answer.code),
            _ => false,
        }
    }

    /// Whether a document with this `_id` was there already.
    pub(crate) fn is_duplicate_id(&self) -> bool {
        let EngineError::Driver(error) = self else { return false };
        matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE)
    }
}

/// E11000: a document with this `_id` is there.
pub(crate) const DUPLICATE: i32 = 11000;

/// Answers of a server that did not begin with what it was asked. All others may have done it before: servers that end or
/// step down, and those that only pass requests on.
fn was_not_begun(code: i32) -> bool {
    // BadValue, FailedToParse, Unauthorized, TypeMismatch, AuthenticationFailed, IllegalOperation, NamespaceNotFound,
    // CommandNotFound, InvalidOptions, DocumentValidationFailure, UserWritesBlocked, NotWritablePrimary (of old and new),
    // BSONObjectTooLarge, DuplicateKey, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary, OutOfDiskSpace, KeyTooLong
    [2, 9, 13, 14, 18, 20, 26, 59, 72, 121, 371, 10058, 10107, 10334, 11000, 13435, 13436, 14031, 17280]
        .contains(&code)
}

fn translate(error: &Error) -> Failure {
    let words = error.to_string();
    match &*error.kind {
        ErrorKind::Authentication { message, .. } => refused(RefusedReason::Auth, message.clone()),
        ErrorKind::InvalidTlsConfig { message, .. } => refused(RefusedReason::Tls, message.clone()),
        ErrorKind::Command(answer) => meaning(answer.code, words),
        ErrorKind::Write(WriteFailure::WriteError(write)) => meaning(write.code, words),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => match concern.code {
            code @ (79 | 100) => meaning(code, concern.message.clone()),
            _ => Failure::Unreachable(format!("not enough members of the replica set: {}", concern.message)),
        },
        ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => Failure::Damaged(words),
        // what the TLS library found wrong with the server's certificate comes as an I/O error
        ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => {
            refused(RefusedReason::Tls, words)
        }
        _ => Failure::Unreachable(words),
    }
}

fn refused(reason: RefusedReason, message: String) -> Failure {
    Failure::Refused { reason, message }
}

/// What an error code means: <https://www.mongodb.com/docs/manual/reference/error-codes/>.
fn meaning(code: i32, words: String) -> Failure {
    match code {
        // AuthenticationFailed
        18 => refused(RefusedReason::Auth, words),
        // Unauthorized
        13 => refused(RefusedReason::Rights, words),
        // OutOfDiskSpace
        14031 => refused(RefusedReason::DiskFull, words),
        // BadValue of a write concern, UnknownReplWriteConcern, UnsatisfiableWriteConcern
        2 | 79 | 100 => refused(RefusedReason::Unsuitable, words),
        // UserWritesBlocked
        371 => refused(RefusedReason::ReadOnly, words),
        // DocumentValidationFailure, BSONObjectTooLarge
        121 | 10334 => Failure::Damaged(format!("MongoDB cannot store what should be written: {words}")),
        _ => Failure::Unreachable(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        let reason = |code| match meaning(code, "words".into()) {
            Failure::Refused { reason, message } if message == "words" => reason,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(reason(18), RefusedReason::Auth);
        assert_eq!(reason(13), RefusedReason::Rights);
        assert_eq!(reason(14031), RefusedReason::DiskFull);
        assert_eq!(reason(79), RefusedReason::Unsuitable);
        assert_eq!(reason(371), RefusedReason::ReadOnly);
        assert!(matches!(meaning(121, String::new()), Failure::Damaged(_)));
        assert!(matches!(meaning(10107, String::new()), Failure::Unreachable(_)));
    }

    #[test]
    fn a_write_without_an_answer_may_stand() {
        let lost =
            EngineError::Driver(Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert!(
            !lost.left_nothing() && !EngineError::Lost.left_nothing() && !EngineError::Crashed.left_nothing()
        );
        assert!(was_not_begun(10107) && was_not_begun(13));
        // what a step-down, a proxy or an end interrupted
        assert!([11600, 202, 279, 317, 384, 1, 8, 96, 189].iter().all(|code| !was_not_begun(*code)));
    }
}
