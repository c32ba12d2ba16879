use serde::Serialize;

use super::super::kubectl::KubectlError;

/// What one look gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) check: String,
    pub(super) outcome: Outcome,
    pub(super) seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Passed,
    /// It works, and somebody should look at it.
    Warning,
    Failed,
    /// The user may not look.
    Unknown,
}

impl Outcome {
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Unknown => "unknown",
        }
    }
}

impl Line {
    fn new(check: impl Into<String>, outcome: Outcome, seen: impl Into<String>, fix: Option<String>) -> Self {
        Self { check: check.into(), outcome, seen: seen.into(), fix }
    }

    pub(super) fn passed(check: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(check, Outcome::Passed, seen, None)
    }

    pub(super) fn warning(check: impl Into<String>, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Outcome::Warning, seen, Some(fix.into()))
    }

    pub(super) fn failed(check: impl Into<String>, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(check, Outcome::Failed, seen, Some(fix.into()))
    }

    pub(super) fn unknown(check: impl Into<String>, seen: impl Into<String>) -> Self {
        let fix = "ask somebody who may look";
        Self::new(check, Outcome::Unknown, seen, Some(fix.into()))
    }

    /// Of what could not be asked: a right that the user lacks is no fault of the installation.
    pub(super) fn of_error(check: impl Into<String>, error: &KubectlError, fix: &str) -> Self {
        match error {
            KubectlError::Forbidden(words) => Self::unknown(check, words.as_str()),
            other => Self::failed(check, other.to_string(), fix),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}
