//! How an operation of a writer ends that has no answer, and what its caller is told.

use std::time::Duration;

use polylog_log::{Failure, Head, OperationError, Refusal};

use crate::{faults::Stop, patience::Patience};

/// An engine's error, before it is known what that means for the operation.
pub trait Fault: From<Stop> + From<Failure> {
    /// In the contract's words.
    fn failure(&self, patience: Patience) -> Failure;

    /// Whether a test stopped the handle, as if its process had ended.
    fn is_crash(&self) -> bool;
}

/// Why an operation did not end with an answer.
#[derive(Debug)]
pub enum Stopped<E> {
    /// Before anything was committed: nothing was written.
    Before(E),
    /// By a rule; nothing was written.
    Refused(Refusal, Box<Head>),
    /// By the statement that commits, or after it.
    AtCommit {
        /// What was heard of it.
        error: E,
        /// Whether it certainly committed nothing.
        left_nothing: bool,
    },
}

impl<E: From<Stop>> From<Stop> for Stopped<E> {
    fn from(stop: Stop) -> Self {
        Self::Before(stop.into())
    }
}

impl<E: Fault> Stopped<E> {
    /// Whatever goes wrong after the commit, the operation stands.
    pub fn after_commit(error: E) -> Self {
        Self::AtCommit { error, left_nothing: false }
    }

    /// It took longer than anybody waits; `is_committing`: a statement that commits was sent, and is not answered.
    pub fn late(patience: Duration, is_committing: bool) -> Self {
        let error = Failure::Timeout(patience).into();
        if is_committing { Self::after_commit(error) } else { Self::Before(error) }
    }

    /// What went wrong; nothing where a rule spoke.
    pub fn error(&self) -> Option<&E> {
        match self {
            Self::Before(error) | Self::AtCommit { error, .. } => Some(error),
            Self::Refused(..) => None,
        }
    }

    /// Tells apart what was certainly not executed from what may have been.
    pub fn told(self, patience: Patience) -> OperationError {
        match self {
            Self::Refused(reason, head) => OperationError::Refused { reason, head },
            Self::Before(error) if error.is_crash() => OperationError::Unknown(error.failure(patience)),
            Self::AtCommit { error, left_nothing: false } => OperationError::Unknown(error.failure(patience)),
            Self::Before(error) | Self::AtCommit { error, left_nothing: true } => {
                OperationError::Failed(error.failure(patience))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Error {
        Failure(Failure),
        Crash,
    }

    impl From<Failure> for Error {
        fn from(failure: Failure) -> Self {
            Self::Failure(failure)
        }
    }

    impl From<Stop> for Error {
        fn from(stop: Stop) -> Self {
            match stop {
                Stop::Failure(failure) => Self::Failure(failure),
                Stop::Crash => Self::Crash,
            }
        }
    }

    impl Fault for Error {
        fn failure(&self, _: Patience) -> Failure {
            match self {
                Self::Failure(failure) => failure.clone(),
                Self::Crash => Failure::Unreachable("it ended".into()),
            }
        }

        fn is_crash(&self) -> bool {
            matches!(self, Self::Crash)
        }
    }

    #[test]
    fn only_what_certainly_left_nothing_is_told_to_have_failed() {
        let second = Duration::from_secs(1);
        let patience = Patience { lock: second, statement: second };
        let is_unknown = |stopped: Stopped<Error>| match stopped.told(patience) {
            OperationError::Unknown(_) => true,
            OperationError::Failed(_) => false,
            refused => panic!("{refused:?}"),
        };
        let down = || Error::from(Failure::Unreachable("down".into()));
        assert!(!is_unknown(Stopped::Before(down())));
        assert!(!is_unknown(Stopped::AtCommit { error: down(), left_nothing: true }));
        assert!(is_unknown(Stopped::AtCommit { error: down(), left_nothing: false }));
        assert!(is_unknown(Stopped::after_commit(down())));
        assert!(is_unknown(Stop::Crash.into()), "a process that ended may have been about to commit");
        assert!(!is_unknown(Stopped::late(second, false)));
        assert!(is_unknown(Stopped::late(second, true)));
    }
}
