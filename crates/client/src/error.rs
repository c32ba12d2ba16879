use std::time::Duration;

use polylog_api::{Problem, Written};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Polylog refused it and says why; nothing was written. Do what `next_step` says.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// No connection could be made; nothing was written. Check the address, and that the sidecar runs.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// The last failure.
        reason: String,
    },
    /// There was no answer in time; nothing was written, or the call writes nothing. Try again.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It may have been written, or may still be. Send the same ids again to learn which.
    #[error("it is not known whether the events were written: {reason}")]
    OutcomeUnknown {
        /// The last failure.
        reason: String,
        /// The last answer, where there was one; of `acks_timeout` it says where the events stand.
        problem: Option<Box<Problem>>,
    },
    /// The connection broke in the middle of an answer. Go on after what was received.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// Something else than Polylog answers there, or a version that this one does not understand. Check the address.
    #[error("{address} does not answer as Polylog does: {reason}")]
    Unintelligible {
        /// Where.
        address: String,
        /// What it answered.
        reason: String,
    },
}

impl ClientError {
    /// The problem that Polylog told, if it told one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused(problem) => Some(problem),
            ClientError::OutcomeUnknown { problem, .. } => problem.as_deref(),
            _ => None,
        }
    }

    /// What the call left in the log.
    pub fn written(&self) -> Written {
        match (self, self.problem().map(|problem| problem.written)) {
            // The last try wrote nothing, or nobody knows: an earlier one may have.
            (ClientError::OutcomeUnknown { .. }, None | Some(Written::Nothing)) => Written::Unknown,
            (_, Some(written)) => written,
            _ => Written::Nothing,
        }
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A problem was answered, perhaps with a time to wait.
    Refused(Box<Problem>),
    /// No connection was made: the request was certainly not received.
    Unreachable(String),
    /// The connection broke after the request may have been received.
    Cut(String),
    /// No answer in time; the request may have been received.
    TimedOut,
    /// Something else than Polylog answered.
    Odd {
        /// Its status.
        status: u16,
        /// The time to wait that it asked for.
        retry_after: Option<Duration>,
        /// What it said.
        reason: String,
    },
}
