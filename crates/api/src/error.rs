use std::fmt;

use polylog_log::NameError;

use crate::{Code, Problem};

/// Why a request is refused before anything looks at the log: what is wrong, and where in the body. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RequestError {
    /// One of the 400 codes.
    pub code: Code,
    /// Where in the body, like `events[2].metadata`; empty = the whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl RequestError {
    /// An `invalid_request` at a place in the body.
    pub fn invalid(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { code: Code::InvalidRequest, path: path.into(), message: message.to_string() }
    }

    /// The same, `place` being where its path begins.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => place.to_owned(),
            path if path.starts_with('[') => format!("{place}{path}"),
            path => format!("{place}.{path}"),
        };
        self
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl From<NameError> for RequestError {
    fn from(error: NameError) -> Self {
        Self::invalid("", error)
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let problem = Problem::new(error.code, &error);
        let problem = match error.code {
            Code::ExpectedVersionRequired => problem.next_step(
                "say which version the stream must have: a number, \"noStream\", \"exists\", or \"any\" to skip the check",
            ),
            _ => problem.next_step("correct the request and send it again"),
        };
        if error.path.is_empty() { problem } else { problem.fact("path", error.path) }
    }
}
