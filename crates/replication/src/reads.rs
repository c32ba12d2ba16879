use std::time::Duration;

use polylog_log::{Point, Position, RecordedEvent, SourceName, StreamHead, StreamName, Version};

use crate::TokenPoint;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Everything that anyone was acknowledged before the read began.
    Strong,
    /// At least what the token names; without one, what this process acknowledged.
    #[default]
    Session,
    /// No further behind than the given lag.
    Bounded,
    /// Whatever the source has.
    Eventual,
}

/// What a read may ask for beyond its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// How fresh.
    pub consistency: Consistency,
    /// What must be contained; its history is checked at every consistency.
    pub token: Option<TokenPoint>,
    /// For [`Consistency::Bounded`]: at most this many events behind.
    pub max_lag_events: Option<u64>,
    /// For [`Consistency::Bounded`]: at most this long behind.
    pub max_lag: Option<Duration>,
    /// How long to wait until the log reaches the token.
    pub wait: Duration,
    /// Only from this source.
    pub source: Option<SourceName>,
}

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The source that answered.
    pub source: SourceName,
    /// Everything up to here was visible to the read.
    pub position: Position,
    /// Where the log ends, as far as this process knows.
    pub head: Position,
    /// How many events lie between both.
    pub lag_events: u64,
    /// What a token for this answer names: who passes it on reads at least as much.
    pub point: Point,
}

/// A range of the log, or of one category in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The first position to look at (the highest when backward); `None` = the beginning, or the end when backward.
    pub from: Option<Position>,
    /// No position above this one is looked at (below it when backward).
    pub to: Option<Position>,
    /// From higher to lower positions.
    pub backward: bool,
    /// At most this many events.
    pub limit: usize,
    /// No further event once this many bytes were read.
    pub max_bytes: usize,
    /// Also the log's own events.
    pub include_system: bool,
}

impl LogQuery {
    /// The whole log from its beginning, `limit` events and 1 MiB at a time, without the log's own events.
    pub fn forward(limit: usize) -> Self {
        Self { from: None, to: None, backward: false, limit, max_bytes: 1 << 20, include_system: false }
    }
}

/// A page of the log or of a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead {
    /// In the order asked for. May be empty although more follow.
    pub events: Vec<RecordedEvent>,
    /// Where to go on: one past the last position that was looked at. Backward: one below it, zero at the beginning.
    pub next_from: Position,
    /// Whether the range, or what is visible of it, was looked at to its end.
    pub at_end: bool,
    /// Where it came from.
    pub served: Served,
}

/// A range of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamQuery {
    /// The stream.
    pub stream: StreamName,
    /// The first version (the highest when backward); `None` = the beginning, or the end when backward.
    pub from: Option<Version>,
    /// From higher to lower versions.
    pub backward: bool,
    /// At most this many events.
    pub limit: usize,
    /// No further event once this many bytes were read.
    pub max_bytes: usize,
}

/// A page of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRead {
    /// In the order asked for.
    pub events: Vec<RecordedEvent>,
    /// The stream's last version and attributes; `None` = it does not exist.
    pub stream: Option<StreamHead>,
    /// Where to go on: one past the last version. Backward: one below it, zero at the beginning.
    pub next_from: Version,
    /// Whether the stream was read to its end (backward: its beginning).
    pub at_end: bool,
    /// Where it came from.
    pub served: Served,
}

/// One event, if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRead {
    /// The event.
    pub event: Option<RecordedEvent>,
    /// Where it came from.
    pub served: Served,
}

/// The end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeadRead {
    /// Its last version and attributes; `None` = it does not exist.
    pub stream: Option<StreamHead>,
    /// Its last event.
    pub last: Option<RecordedEvent>,
    /// Where it came from.
    pub served: Served,
}
