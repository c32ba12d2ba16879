use std::time::Duration;

use polylog_log::{
    Acks, EventId, Failure, LimitExceeded, Point, Position, SourceName, StreamHead, StreamName,
    VersionConflict,
};

/// Why a store could not be opened. Nothing but `$term`, `$config` and `$policy` was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The source failed. Where it may pass (unreachable, timeout), try again.
    #[error(transparent)]
    Source(#[from] Failure),
    /// The log has no primary, and this process may not open one. Try again once the gateway runs.
    #[error("the log has no primary yet, and this process may not open one")]
    NoPrimary,
    /// None of several sources leads the log, and none was elected. Try again once those that are away answer; one that is
    /// lost for good is left out by [`Leadership::force`](crate::Leadership::force).
    #[error("no primary was found or elected{}", told(away))]
    Leaderless {
        /// The sources that do not do their work, and why.
        away: Vec<(SourceName, Failure)>,
    },
    /// The desired configuration, or the one in the log, needs more than this version can do. Change the manifest.
    #[error("{field}: {reason}")]
    NotSupported {
        /// The field of the strategy that asks for it.
        field: &'static str,
        /// What is not supported, and what is.
        reason: String,
    },
    /// Writing `$config` or `$policy` failed. Try again.
    #[error("could not write {what}: {error}")]
    Configure {
        /// Which system stream.
        what: &'static str,
        /// Why.
        error: Box<AppendError>,
    },
}

fn told(away: &[(SourceName, Failure)]) -> String {
    let away: Vec<_> = away.iter().map(|(name, failure)| format!("{name}: {failure}")).collect();
    if away.is_empty() { String::new() } else { format!(" ({})", away.join("; ")) }
}

/// What is wrong with the shape of a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommit {
    /// It names no stream.
    #[error("a commit names at least one stream")]
    Empty,
    /// A stream appears twice.
    #[error("stream {0} appears twice in the commit: put its events together")]
    StreamTwice(StreamName),
    /// A name that begins with `$`.
    #[error("{0}: names beginning with '$' are reserved")]
    Reserved(String),
    /// An event id appears twice.
    #[error("event id {0} appears twice in the commit")]
    IdTwice(EventId),
}

/// Why an append was not acknowledged. Unless it says otherwise, nothing was written and nothing will be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// `invalid_request`: correct the commit.
    #[error(transparent)]
    Invalid(#[from] InvalidCommit),
    /// `limit_exceeded`: send less at once.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// `version_conflict`: read what was missed and decide again.
    #[error("{} was not as expected", conflicts.iter().map(|c| c.stream.as_str()).collect::<Vec<_>>().join(", "))]
    VersionConflict {
        /// Every stream that was not as expected.
        conflicts: Vec<VersionConflict>,
        /// The tail on which this rests.
        at: Point,
    },
    /// `id_conflict`: the id stands in the log with other content. Use a fresh id.
    #[error("event {id} stands in the log at position {position} of {stream} with other content")]
    IdConflict {
        /// The id.
        id: EventId,
        /// Its stream.
        stream: StreamName,
        /// Its position.
        position: Position,
    },
    /// `invalid_request`: the stream has another category or aggregate id. Leave both out, or name those it has.
    #[error("stream {stream} has category {} and aggregate id {}", recorded.category, recorded.aggregate_id)]
    OtherAttributes {
        /// The stream.
        stream: StreamName,
        /// What it has.
        recorded: Box<StreamHead>,
    },
    /// `not_supported`: the ack level needs more voters than there are.
    #[error("acks {acks} needs {} voters, the store has {voters}", acks.required(*voters))]
    AcksNotSupported {
        /// The level asked for.
        acks: Acks,
        /// Number of voters.
        voters: usize,
    },
    /// `route_unavailable`: the source that keeps the data of such events does not answer, or takes no writes. Other events
    /// are taken.
    #[error("source {0}, which keeps the data of such events, does not answer")]
    RouteUnavailable(SourceName),
    /// `overloaded`: too many appends wait, or the deadline passed before this one could be sent. Try again after a
    /// while.
    #[error("too many appends are waiting")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// `outcome_unknown`: it was sent and not answered in time. It may be written, now or later; a retry with the same
    /// ids finds out.
    #[error("the deadline passed after the commit was sent: it may be written")]
    OutcomeUnknown,
    /// `acks_timeout`: it is in the primary, but the ack level was not reached in time; a retry with the same ids waits
    /// on. Cannot happen with one voter.
    #[error("written to the primary up to position {}, but not acknowledged in time", provisional.position)]
    AcksTimeout {
        /// The end of the commit.
        provisional: Point,
    },
    /// The source failed before it could be written; the kind of failure gives the code.
    #[error(transparent)]
    Source(#[from] Failure),
    /// `no_primary`: the log has no primary at the moment. Try again.
    #[error("the log has no primary at the moment")]
    NoPrimary,
    /// `not_supported`: the log's configuration needs more than this version can do. Update this process.
    #[error("{0}")]
    NotSupported(String),
    /// `sidecar_too_old`: the log's configuration was written by a newer version. Update this process.
    #[error("{0}")]
    TooOld(String),
    /// `draining`: this process is about to stop. Send it to another one, or again later.
    #[error("this process takes no more appends: it is about to stop")]
    Draining,
}

/// Why a read was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The source failed; the kind of failure gives the code.
    #[error(transparent)]
    Source(#[from] Failure),
    /// `wrong_store`: the token is of another store.
    #[error("the token belongs to another store")]
    OtherStore,
    /// `history_forked`: the position belongs to a history that this log does not have (any more). Begin anew without
    /// the token.
    #[error("position {position} belongs to another history than this log holds")]
    HistoryForked {
        /// The position that was asked for.
        position: Position,
        /// The last position that both histories share, if the log knows it; otherwise it is below `position`.
        fork: Option<Position>,
    },
    /// `not_caught_up`: the log does not reach that far yet. Try again.
    #[error("the log ends at position {tail}, position {wanted} was asked for")]
    NotCaughtUp {
        /// The position that was asked for.
        wanted: Position,
        /// Where the log ends.
        tail: Position,
    },
    /// `no_primary`: a strong read needs a primary. Try again, or read with less.
    #[error("the log has no primary at the moment")]
    NoPrimary,
    /// `invalid_request`: there is no source of this name that holds the log.
    #[error("no source {0} holds this log")]
    UnknownSource(SourceName),
}

/// Why a follower ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// As for a read. After a failure of the source `next` may be called again; it goes on where it stood.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// `draining`: this process is about to stop. Follow on elsewhere from the last point.
    #[error("this process is about to stop")]
    Draining,
}
