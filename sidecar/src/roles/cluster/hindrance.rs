//! What keeps a store from being opened, or a connection of it from being replaced.

use std::time::Duration;

use polylog_api::{Code, Problem};
use polylog_log::Failure;
use polylog_replication::OpenError;

use crate::operations::errors;

/// Longest pauses between tries: what may pass at any moment is tried often, what somebody has to change more seldom.
pub(super) const LONGEST: Duration = Duration::from_secs(2);
pub(super) const LONGEST_REFUSED: Duration = Duration::from_secs(10);

/// What is answered meanwhile, and how seldom it may be tried again.
pub(super) struct Hindrance {
    pub(super) problem: Problem,
    pub(super) longest: Duration,
}

impl Hindrance {
    pub(super) fn new(problem: Problem) -> Self {
        let longest = if problem.retry { LONGEST } else { LONGEST_REFUSED };
        Self { problem, longest }
    }

    /// What is mounted does not do.
    pub(super) fn mounted(message: impl std::fmt::Display) -> Self {
        let problem = Problem::new(Code::InvalidConfiguration, message);
        Self::new(problem.next_step("correct what is mounted; it is read again by itself"))
    }
}

impl From<Failure> for Hindrance {
    fn from(failure: Failure) -> Self {
        let problem = errors::of_source(&failure);
        Self::new(match failure {
            Failure::NotProvisioned(_) => problem
                .next_step("have the store provisioned; it is tried again by itself")
                .retry_after(Duration::from_secs(1)),
            _ => problem,
        })
    }
}

impl From<OpenError> for Hindrance {
    fn from(error: OpenError) -> Self {
        let detail = error.to_string();
        Self::new(match error {
            OpenError::Source(failure) => return failure.into(),
            OpenError::Leaderless { ref away } => errors::leaderless(&error, away),
            OpenError::NoPrimary => Problem::new(Code::NoPrimary, detail)
                .next_step("start the store's gateway, which opens the log; it is tried again by itself")
                .retry_after(Duration::from_secs(1)),
            OpenError::NotSupported { .. } => Problem::new(Code::InvalidConfiguration, detail)
                .next_step("change the strategy; it is read again by itself"),
            OpenError::Configure { error, .. } => errors::of_append(*error),
        })
    }
}
