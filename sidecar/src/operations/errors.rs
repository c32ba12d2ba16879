use std::time::Duration;

use polylog_api::{Code, Problem};
use polylog_log::{Failure, SourceName};
use polylog_replication::{AppendError, FollowError, OpenError, ReadError};

use crate::pipeline::limit_exceeded;

/// How long to wait before a source is asked again.
const SOURCE_PAUSE: Duration = Duration::from_secs(1);

/// What an append's failure is to its caller. Version conflicts are completed by the append itself.
pub(crate) fn of_append(error: AppendError) -> Problem {
    let detail = error.to_string();
    let new = |code| Problem::new(code, &detail);
    match error {
        AppendError::Invalid(_) => {
            new(Code::InvalidRequest).next_step("correct the commit and send it again")
        }
        AppendError::Limit(exceeded) => limit_exceeded(&exceeded, "the store or its source"),
        AppendError::VersionConflict { .. } => {
            new(Code::VersionConflict).next_step("read what was missed and decide again")
        }
        AppendError::IdConflict { id, stream, position } => new(Code::IdConflict)
            .next_step("use a fresh id or idempotency key for what is not a retry")
            .fact("id", id)
            .fact("stream", stream)
            .fact("position", position),
        AppendError::OtherAttributes { stream, recorded } => new(Code::InvalidRequest)
            .next_step("leave category and aggregateId out, or name those that the stream has")
            .fact("stream", stream)
            .fact("category", &recorded.category)
            .fact("aggregateId", &recorded.aggregate_id),
        AppendError::AcksNotSupported { .. } => {
            new(Code::NotSupported).next_step("ask for a lower ack level, or leave it out")
        }
        AppendError::RouteUnavailable(source) => new(Code::RouteUnavailable)
            .next_step(
                "send it again once that source answers; events that other sources keep are taken meanwhile",
            )
            .fact("source", source)
            .retry_after(Duration::from_secs(1)),
        AppendError::Overloaded { retry_after } => {
            new(Code::Overloaded).next_step("send the same ids again a little later").retry_after(retry_after)
        }
        AppendError::OutcomeUnknown => new(Code::OutcomeUnknown)
            .next_step("send the same ids or idempotency key again to learn what became of it"),
        AppendError::AcksTimeout { provisional } => new(Code::AcksTimeout)
            .next_step("send the same ids or idempotency key again to wait on")
            .fact("position", provisional.position),
        AppendError::Source(failure) => of_source(&failure),
        AppendError::NoPrimary => no_primary(&detail),
        AppendError::Draining => draining(),
        AppendError::NotSupported(_) => new(Code::NotSupported).next_step("update the sidecar"),
        AppendError::TooOld(_) => new(Code::SidecarTooOld).next_step("update the sidecar; reads go on"),
        #[allow(unreachable_patterns, reason = "the error may grow")]
        _ => new(Code::Internal),
    }
}

/// The code of an append's failure, for metrics.
pub(crate) fn append_code(error: &AppendError) -> &'static str {
    of_append(error.clone()).code.text()
}

/// What a read's failure is to its caller.
pub(crate) fn of_read(error: ReadError) -> Problem {
    let detail = error.to_string();
    let new = |code| Problem::new(code, &detail);
    match error {
        ReadError::Source(failure) => of_source(&failure),
        ReadError::OtherStore => {
            new(Code::WrongStore).next_step("use the token with the store that gave it, or leave it out")
        }
        ReadError::HistoryForked { position, fork } => {
            let problem = new(Code::HistoryForked)
                .next_step("begin again without the token; what was read after the fork is not in the log")
                .fact("position", position);
            match fork {
                Some(fork) => problem.fact("fork", fork),
                None => problem,
            }
        }
        ReadError::NotCaughtUp { wanted, tail } => new(Code::NotCaughtUp)
            .next_step("try again")
            .retry_after(Duration::from_millis(100))
            .fact("wanted", wanted)
            .fact("position", tail),
        ReadError::NoPrimary => no_primary(&detail),
        ReadError::UnknownSource(source) => {
            new(Code::InvalidRequest).next_step("name a source that holds the log").fact("source", source)
        }
        #[allow(unreachable_patterns, reason = "the error may grow")]
        _ => new(Code::Internal),
    }
}

/// What ends a subscription.
pub(crate) fn of_follow(error: FollowError) -> Problem {
    match error {
        FollowError::Read(error) => of_read(error),
        FollowError::Draining => draining(),
    }
}

/// What a source's failure is to a caller.
pub(crate) fn of_source(failure: &Failure) -> Problem {
    let new = |code| Problem::new(code, failure);
    match failure {
        Failure::Unreachable(_) | Failure::Timeout(_) => {
            new(Code::SourceUnavailable).next_step("try again").retry_after(SOURCE_PAUSE)
        }
        Failure::NotProvisioned(_) => new(Code::NotProvisioned)
            // it was provisioned when the process began
            .next_step(
                "a server: polylog check says what is missing there; a file: stop polylog, restore it together with \
                 its -wal file, and start again",
            ),
        Failure::WrongStore(_) => {
            new(Code::WrongStore).next_step("check which database the source's connection leads to")
        }
        Failure::Refused { reason, .. } => new(Code::SourceRefused)
            .next_step("have the database's administrator put it right")
            .fact("reason", reason),
        Failure::FormatTooNew { .. } => new(Code::SidecarTooOld).next_step("update the sidecar"),
        Failure::Damaged(_) => new(Code::Internal).next_step("have the source verified or restored"),
    }
}

/// The process is about to stop.
pub(crate) fn draining() -> Problem {
    Problem::new(Code::Draining, "this process is about to stop")
        .next_step("connect again; a subscription goes on from its last id")
        .retry_after(SOURCE_PAUSE)
}

/// No source leads the log, as far as those say that answer: these do not.
pub(crate) fn leaderless(error: &OpenError, away: &[(SourceName, Failure)]) -> Problem {
    let problem = no_primary(&error.to_string());
    match away.is_empty() {
        true => problem,
        false => problem.next_step(
            "have the sources answer that do not, and it goes on by itself; one that is lost for good is left out, once it \
             is stopped or cut off for certain, by polylog failover --stopped",
        ),
    }
}

fn no_primary(detail: &str) -> Problem {
    Problem::new(Code::NoPrimary, detail).next_step("try again").retry_after(SOURCE_PAUSE)
}
