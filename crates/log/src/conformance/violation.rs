use std::fmt;

use crate::{EntryError, Failure, OperationError};

/// How a source broke the contract, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// What was found.
    pub fn new(found: impl fmt::Display) -> Self {
        Self(found.to_string())
    }

    /// Says where it was found.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {self}"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

impl From<Failure> for Violation {
    fn from(failure: Failure) -> Self {
        Self(format!("a read failed: {failure}"))
    }
}

impl From<OperationError> for Violation {
    fn from(error: OperationError) -> Self {
        Self(format!("an operation that must succeed did not: {error}"))
    }
}

impl From<EntryError> for Violation {
    fn from(error: EntryError) -> Self {
        Self(format!("the log is damaged: {error}"))
    }
}

impl From<tokio::task::JoinError> for Violation {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("a task of the case ended early: {error}"))
    }
}

/// Returns a [`Violation`] unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::new(format_args!($($message)+)));
        }
    };
}

/// Returns a [`Violation`] that shows both sides unless they are equal.
macro_rules! ensure_eq {
    ($got:expr, $expected:expr, $($message:tt)+) => {
        match (&$got, &$expected) {
            (got, expected) => if got != expected {
                return Err($crate::conformance::Violation::new(format_args!(
                    "{}: expected {}, got {}",
                    format_args!($($message)+),
                    $crate::conformance::violation::shown(expected),
                    $crate::conformance::violation::shown(got),
                )));
            },
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// A value in a message: long ones are cut.
pub(crate) fn shown(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(600) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}
