use std::time::Duration;

use polylog_api::{Code, Conflict, Problem, Written};
use polylog_log::{Expected, Version};
use tokio::time::Instant;

use crate::{ClientError, backoff::Backoff, error::Failure};

/// The tries of one call: decides after each failure whether to try again, and what the caller is told at the end.
#[derive(Debug)]
pub(crate) struct Attempts {
    address: String,
    writes: bool,
    started: Instant,
    deadline: Instant,
    backoff: Backoff,
    may_be_written: bool,
}

impl Attempts {
    pub(crate) fn new(address: String, writes: bool, started: Instant, deadline: Instant) -> Self {
        let backoff = Backoff::default();
        Self { address, writes, started, deadline, backoff, may_be_written: false }
    }

    /// How long the next try may take, if there is time for one.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// The wait before the next try, or why there is none. `random` is in 0..1.
    pub(crate) fn after(
        &mut self,
        failure: Failure,
        now: Instant,
        random: f64,
    ) -> Result<Duration, ClientError> {
        self.may_be_written |= self.writes && leaves_doubt(&failure);
        let Some(at_least) = wait_of(&failure) else { return Err(self.give_up(failure, now)) };
        let wait = self.backoff.next(random).max(at_least);
        if now + wait >= self.deadline { Err(self.give_up(failure, now)) } else { Ok(wait) }
    }

    fn give_up(&self, failure: Failure, now: Instant) -> ClientError {
        let address = self.address.clone();
        match failure {
            Failure::Refused(problem) if !self.may_be_written || is_decisive(&problem) => {
                ClientError::Refused(problem)
            }
            Failure::Refused(problem) => {
                ClientError::OutcomeUnknown { reason: problem.to_string(), problem: Some(problem) }
            }
            failure if self.may_be_written => {
                let reason = match failure {
                    Failure::Unreachable(reason) | Failure::Cut(reason) | Failure::Odd { reason, .. } => {
                        reason
                    }
                    _ => format!("no answer within {:?}", now - self.started),
                };
                ClientError::OutcomeUnknown { reason, problem: None }
            }
            Failure::Unreachable(reason) => ClientError::Unreachable { address, reason },
            Failure::Cut(reason) => ClientError::Cut(reason),
            Failure::TimedOut => ClientError::Timeout(now - self.started),
            Failure::Odd { reason, .. } => ClientError::Unintelligible { address, reason },
        }
    }
}

/// Whether the log may hold the events after such a failure.
fn leaves_doubt(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(problem) => problem.written != Written::Nothing,
        Failure::Unreachable(_) => false,
        Failure::Cut(_) | Failure::TimedOut => true,
        Failure::Odd { status, .. } => !(400..500).contains(status),
    }
}

/// The least wait before another try, if the failure is one that may pass.
fn wait_of(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Refused(problem) => {
            let asked = problem.retry_after.filter(|_| matches!(problem.status, 429 | 503));
            (problem.retry || asked.is_some()).then(|| problem.retry_after.unwrap_or_default())
        }
        Failure::Unreachable(_) | Failure::Cut(_) | Failure::TimedOut => Some(Duration::ZERO),
        Failure::Odd { status: 429 | 502 | 503 | 504, retry_after, .. } => {
            Some(retry_after.unwrap_or_default())
        }
        Failure::Odd { .. } => None,
    }
}

/// Whether a refusal says that earlier tries of the same ids wrote nothing, and never will: the log was asked for the ids
/// before the versions were compared, and versions only grow. A stream that is still short of what is expected may grow
/// to it, and an earlier try that is under way may then be written.
fn is_decisive(problem: &Problem) -> bool {
    let is_beyond = |conflict: &Conflict| match conflict.expected.0 {
        Expected::NoStream => conflict.actual > Version::ZERO,
        Expected::Version(expected) => conflict.actual > expected,
        Expected::Any | Expected::Exists => false,
    };
    match problem.code {
        Code::IdConflict => true,
        Code::VersionConflict => problem.conflicts.iter().any(is_beyond),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> Failure {
        Failure::Refused(Box::new(Problem::new(code, "x")))
    }

    /// What becomes of failures that follow each other, with time for `tries` of them.
    fn run(writes: bool, failures: Vec<Failure>) -> Result<(), ClientError> {
        let start = Instant::now();
        let mut attempts = Attempts::new("http://x".into(), writes, start, start + Duration::from_secs(10));
        failures.into_iter().try_for_each(|failure| attempts.after(failure, start, 0.0).map(drop))
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for code in Code::ALL {
            let again = run(true, vec![refused(*code)]).is_ok();
            assert_eq!(again, code.retry(), "{code}");
        }
        let told = Problem::new(Code::SourceRefused, "x").retry_after(Duration::from_secs(1));
        assert!(run(true, vec![Failure::Refused(Box::new(told))]).is_ok(), "503 with a time to wait");
        assert!(run(true, vec![Failure::Unreachable("x".into())]).is_ok());
        assert!(run(true, vec![Failure::Cut("x".into()), Failure::TimedOut]).is_ok());
        let odd = |status| Failure::Odd { status, retry_after: None, reason: "x".into() };
        assert!(run(true, vec![odd(503)]).is_ok());
        assert!(matches!(run(true, vec![odd(404)]), Err(ClientError::Unintelligible { .. })));
    }

    #[test]
    fn doubt_is_kept_until_something_decides() {
        let doubts = || {
            [
                Failure::Cut("x".into()),
                Failure::TimedOut,
                refused(Code::OutcomeUnknown),
                refused(Code::AcksTimeout),
            ]
        };
        for doubt in doubts() {
            let end = run(true, vec![doubt, refused(Code::AccessDenied)]).expect_err("refused");
            assert!(matches!(end, ClientError::OutcomeUnknown { .. }), "{end}");
        }
        let conflict = |expected, actual| {
            let mut problem = Problem::new(Code::VersionConflict, "x");
            let stream = polylog_log::StreamName::parse("s").expect("a good name");
            let (expected, actual) = (polylog_api::ExpectedVersion(expected), Version::new(actual));
            problem.conflicts =
                vec![Conflict { stream, expected, actual, missed: vec![], missed_truncated: false }];
            Failure::Refused(Box::new(problem))
        };
        let version = |version| Expected::Version(Version::new(version));
        for (expected, actual, is_certain) in [
            (Expected::NoStream, 1, true),
            (version(3), 4, true),
            // the stream may yet become what the earlier try expects
            (version(3), 2, false),
            (Expected::Exists, 0, false),
        ] {
            for doubt in doubts() {
                let end = run(true, vec![doubt, conflict(expected, actual)]).expect_err("refused");
                assert_eq!(
                    matches!(end, ClientError::Refused(_)),
                    is_certain,
                    "{expected:?} {actual}: {end}"
                );
                assert_eq!(end.written() == Written::Nothing, is_certain, "{end:?}");
            }
            let end = run(true, vec![conflict(expected, actual)]).expect_err("refused");
            assert!(matches!(end, ClientError::Refused(_)), "nothing was tried before: {end}");
        }
        let end = run(false, doubts().into_iter().chain([refused(Code::AccessDenied)]).collect());
        assert!(matches!(end, Err(ClientError::Refused(_))), "a read leaves no doubt");
        let end = run(true, vec![Failure::Unreachable("x".into()), refused(Code::AccessDenied)]);
        assert!(matches!(end, Err(ClientError::Refused(_))), "what was not sent was not written");
    }

    #[test]
    fn the_deadline_decides_what_is_told() {
        let end = |writes, failure| {
            let start = Instant::now();
            let mut attempts =
                Attempts::new("http://x".into(), writes, start, start + Duration::from_secs(1));
            attempts.after(failure, start + Duration::from_millis(990), 0.5).expect_err("no time is left")
        };
        assert!(matches!(end(true, refused(Code::NoPrimary)), ClientError::Refused(_)));
        assert!(matches!(end(true, Failure::Unreachable("x".into())), ClientError::Unreachable { .. }));
        assert!(matches!(end(true, Failure::TimedOut), ClientError::OutcomeUnknown { .. }));
        assert!(matches!(end(false, Failure::TimedOut), ClientError::Timeout(_)));
        assert!(matches!(end(false, Failure::Cut("x".into())), ClientError::Cut(_)));
        let unknown = end(true, refused(Code::AcksTimeout));
        assert_eq!(unknown.written(), Written::PrimaryOnly);
    }

    #[test]
    fn a_time_to_wait_is_obeyed() {
        let start = Instant::now();
        let mut attempts = Attempts::new("http://x".into(), true, start, start + Duration::from_secs(10));
        let told = |seconds| {
            let problem = Problem::new(Code::Overloaded, "x").retry_after(Duration::from_secs(seconds));
            Failure::Refused(Box::new(problem))
        };
        assert_eq!(attempts.after(told(3), start, 0.0).expect("in time"), Duration::from_secs(3));
        let end = attempts.after(told(11), start, 0.0).expect_err("not in time");
        assert!(matches!(end, ClientError::Refused(_)));
    }
}
