use std::{fmt, sync::Arc, time::Duration};

use polylog_log::{Failure, Point, Position, ReadLog, RecordedEvent, Timestamp};
use tokio::{sync::watch, time::Instant};

use crate::{
    FollowError, ReadError, TokenPoint,
    caught::caught,
    followers::FollowerPlace,
    reader::{Data, Who},
    recent::{Found, continues, place_of, recorded},
    shared::Shared,
};

/// While a source answers that is behind, the others are asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(500);

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
pub struct Follower {
    shared: Arc<Shared>,
    options: FollowOptions,
    cursor: Point,
    changed: watch::Receiver<u64>,
    place: FollowerPlace,
    /// It was told that it reached the end, and not since that it fell behind.
    is_caught_up: bool,
    /// It stood inside the window of recent events.
    is_live: bool,
    last_step: Instant,
}

impl Follower {
    pub(crate) async fn new(
        shared: Arc<Shared>,
        start: Start,
        options: FollowOptions,
    ) -> Result<Self, ReadError> {
        let cursor = shared.start(start, options.wait).await?;
        let place = shared.followers.enter(cursor.position);
        shared.follower_came.notify_one();
        let changed = shared.recent.subscribe();
        let last_step = Instant::now();
        Ok(Self { shared, options, cursor, changed, place, is_caught_up: false, is_live: false, last_step })
    }

    /// The next step. Cancel-safe: a dropped call changes nothing.
    pub async fn next(&mut self, limits: PageLimits) -> Result<FollowStep, FollowError> {
        let step = self.next_step(limits).await;
        self.place.moved_to(self.cursor.position);
        self.last_step = Instant::now();
        step
    }

    /// Where it stands: everything up to here was handed out or hidden.
    pub fn mark(&self) -> Mark {
        let known = self.shared.heads.newest().tail.position;
        Mark { point: self.cursor, head: known.max(self.cursor.position) }
    }

    async fn next_step(&mut self, limits: PageLimits) -> Result<FollowStep, FollowError> {
        loop {
            if self.shared.stop.is_cancelled() {
                return Err(FollowError::Draining);
            }
            self.changed.mark_unchanged();
            let (events, cursor) =
                match self.shared.recent.after(self.cursor, limits, self.options.include_system) {
                    Found::Events(events, cursor) => {
                        self.is_live = true;
                        (events, cursor)
                    }
                    Found::End => {
                        self.is_live = true;
                        (Vec::new(), self.cursor)
                    }
                    Found::Gone if self.is_live && self.is_caught_up => {
                        (self.is_live, self.is_caught_up) = (false, false);
                        return Ok(FollowStep::FellBehind(self.mark()));
                    }
                    Found::Gone | Found::Ahead | Found::OtherHistory => self.read_page(limits).await?,
                };
            if cursor != self.cursor {
                self.cursor = cursor;
                let has_moved_only = events.is_empty();
                let moved = || FollowStep::Moved(self.mark());
                return Ok(if has_moved_only { moved() } else { FollowStep::Events(events) });
            }
            // whoever answered was behind
            let lacks = !self.is_live && self.cursor.position < self.shared.heads.newest().tail.position;
            if !self.is_caught_up && !lacks {
                self.is_caught_up = true;
                return Ok(FollowStep::CaughtUp(self.mark()));
            }
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Err(FollowError::Draining),
                // The sender is in `shared`, so this never fails.
                _ = self.changed.changed() => {}
                () = tokio::time::sleep(ASK_AGAIN), if lacks => {}
                () = tokio::time::sleep_until(self.last_step + self.options.heartbeat) => {
                    return Ok(FollowStep::Heartbeat(self.mark()));
                }
            }
        }
    }

    /// Reads what comes next from the source; an unchanged cursor means that nothing does.
    async fn read_page(&self, limits: PageLimits) -> Result<(Vec<Arc<RecordedEvent>>, Point), ReadError> {
        let shared = &self.shared;
        let closed = |_| Failure::Unreachable("the store is closed".into());
        let _permit = shared.pages.acquire().await.map_err(closed)?;
        let read = ReadLog {
            from: self.cursor.position.next(),
            to: Position::new(u64::MAX),
            max_events: limits.events.max(1),
            max_bytes: limits.bytes.max(1),
        };
        let asked = shared.heads.ask();
        let page =
            caught(shared.reader.read_log(Who::reaching(self.cursor.position), read, Data::Whole)).await??;
        shared.heads.publish(&page.head, asked);
        let is_same_history = match page.entries.first() {
            // The cursor stands inside this entry.
            Some(entry) if entry.first() <= self.cursor.position => entry.chain == self.cursor.chain,
            Some(entry) => continues(entry, self.cursor),
            None => {
                (page.head.tail.position, page.head.tail.chain) == (self.cursor.position, self.cursor.chain)
            }
        };
        if !is_same_history {
            return Err(shared.forked(self.cursor.position).await?);
        }
        let (mut events, mut cursor) = (Vec::new(), self.cursor);
        for event in page.entries.into_iter().flat_map(recorded) {
            if event.event.position <= self.cursor.position {
                continue;
            }
            if events.len() >= limits.events.max(1) {
                break;
            }
            cursor = place_of(&event);
            if self.options.include_system || !event.event.is_system() {
                events.push(Arc::new(event));
            }
        }
        Ok((events, cursor))
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.followers.leave(&self.place);
    }
}

impl Shared {
    /// The cursor that a start means.
    async fn start(&self, start: Start, wait: Duration) -> Result<Point, ReadError> {
        let position = match start {
            Start::Beginning => Position::ZERO,
            Start::Now => {
                let asked = self.heads.ask();
                let head = caught(self.reader.head()).await??;
                self.heads.publish(&head, asked);
                return Ok(head.tail);
            }
            Start::After(position) => position,
            Start::Token(token) => {
                self.check_token(token, wait).await?;
                let place = self.place(token.position).await?;
                return match place.filter(|place| token.matches(place.chain)) {
                    Some(place) => Ok(place),
                    None => Err(self.forked(token.position).await?),
                };
            }
            Start::Since(time) => self.last_before(time).await?,
        };
        match self.place(position).await? {
            Some(place) => Ok(place),
            None => {
                let tail = caught(self.reader.head()).await??.tail.position;
                Err(ReadError::NotCaughtUp { wanted: position, tail })
            }
        }
    }

    /// The last position that was recorded before a time. `recordedAt` never falls along the log, so this bisects.
    async fn last_before(&self, time: Timestamp) -> Result<Position, Failure> {
        let head = caught(self.reader.head_of(Who::reaching(Position::ZERO))).await??;
        // Everything up to `before` was recorded before the time, and nothing after `after` was.
        let (mut before, mut after) = (0, head.tail.position.get());
        while before < after {
            let middle = Position::new(before + (after - before).div_ceil(2));
            let read = ReadLog { from: middle, to: middle, max_events: 1, max_bytes: 1 };
            let who = Who::reaching(head.tail.position);
            let page = caught(self.reader.read_log(who, read, Data::AsKept)).await??;
            match page.entries.first() {
                Some(entry) if entry.recorded_at() < time => before = entry.last().get().min(after),
                Some(entry) => after = entry.first().previous().get(),
                None => after = middle.previous().get(),
            }
        }
        Ok(Position::new(before))
    }
}
