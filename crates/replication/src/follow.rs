use std::{sync::Arc, time::Duration};

use polylog_log::{Point, Position, RecordedEvent, Timestamp};

use crate::{FollowError, TokenPoint};

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event.
    Beginning,
    /// With the first event after now.
    Now,
    /// With the event after this position; may stand inside a commit.
    After(Position),
    /// With the event after a token's position, if its history is this log's.
    Token(TokenPoint),
    /// With the first event that was recorded at this time or later.
    Since(Timestamp),
}

/// How a follower behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowOptions {
    /// Also the log's own events.
    pub include_system: bool,
    /// [`FollowStep::Heartbeat`] when nothing else happened for this long.
    pub heartbeat: Duration,
    /// How long to wait at the start until the log reaches the token.
    pub wait: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { include_system: false, heartbeat: Duration::from_secs(15), wait: Duration::ZERO }
    }
}

/// How much one step may hand out. At least one event, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// At most this many events.
    pub events: usize,
    /// No further event once this many bytes are in it.
    pub bytes: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { events: 500, bytes: 256 << 10 }
    }
}

/// Where a follower stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The last position that was looked at, with the term and chain of the entry that holds it: what its token names.
    pub point: Point,
    /// Where the log ends, as far as this process knows.
    pub head: Position,
}

/// What happened to a follower.
#[derive(Debug, Clone, PartialEq)]
pub enum FollowStep {
    /// The next events, in order, each position once.
    Events(Vec<Arc<RecordedEvent>>),
    /// It moved past events that it does not show.
    Moved(Mark),
    /// It reached the log's end.
    CaughtUp(Mark),
    /// It was at the log's end and is now so far behind that recent events are no longer in memory.
    FellBehind(Mark),
    /// Nothing happened for a while.
    Heartbeat(Mark),
}

/// A cursor over the log that waits for its reader: it holds no events between two steps.
#[derive(Debug)]
pub struct Follower {}

impl Follower {
    /// The next step. Cancel-safe: a dropped call changes nothing.
    pub async fn next(&mut self, limits: PageLimits) -> Result<FollowStep, FollowError> {
        let _ = limits;
        todo!()
    }

    /// Where it stands: everything up to here was handed out or hidden.
    pub fn mark(&self) -> Mark {
        todo!()
    }
}
