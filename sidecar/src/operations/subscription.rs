use std::time::{Duration, SystemTime, UNIX_EPOCH};

use polylog_api::{DataState, Frame, Mark, Problem, Token};
use polylog_log::{Position, RecordedEvent, Timestamp};
use polylog_replication::{FollowError, FollowStep, Follower, Mark as Place, PageLimits};
use tokio::time::Instant;

use super::{View, errors};

/// How long a subscription waits at its beginning until the log reaches its token.
pub(crate) const CATCH_UP: Duration = Duration::from_millis(200);
/// What one step hands out; small, since a slow reader holds that much.
const STEP: PageLimits = PageLimits { events: 200, bytes: 64 << 10 };
/// A checkpoint comes at latest after this many events that were not shown, or after this long.
const UNMARKED_EVENTS: usize = 1_000;
const UNMARKED_TIME: Duration = Duration::from_secs(1);

/// Where a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// With this position.
    Position(Position),
    /// Before the first event that was recorded at this time or later.
    Time(Timestamp),
}

impl Until {
    /// Reads a position or a time.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: u64 = text.parse().map_err(|_| "it is too large".to_owned())?;
            return Position::try_from(number).map(Until::Position).map_err(|error| error.to_string());
        }
        Timestamp::parse(text)
            .map(Until::Time)
            .map_err(|error| format!("neither a position nor a time: {error}"))
    }
}

/// Where a subscription's frames are written.
pub(crate) trait Frames {
    /// Whether an event's frame holds a token: then marks need to come only where events are not shown.
    const EVENTS_HOLD_TOKENS: bool;

    /// Whether nothing was written yet.
    fn is_empty(&self) -> bool;

    /// An event that the caller sees.
    fn event(&mut self, token: Token, recorded: &RecordedEvent, state: DataState);

    /// A place; never with [`Frame::Event`] or [`Frame::Error`].
    fn mark(&mut self, frame: Frame, mark: &Mark);

    /// Nothing happened for a while.
    fn heartbeat(&mut self, mark: &Mark);

    /// What ends it.
    fn problem(&mut self, problem: Problem);
}

/// A subscription as frames. It holds nothing between two steps, so a slow reader costs nothing.
pub(crate) struct Subscription<Held> {
    view: View,
    follower: Follower,
    /// Nothing that was recorded before is shown.
    since: Option<Timestamp>,
    until: Option<Until>,
    /// What an ending frame names: everything up to here was looked at, and nothing beyond.
    last: Token,
    shown: u64,
    /// Events looked at since the reader was last given an id.
    unmarked: usize,
    marked_at: Instant,
    is_caught_up: bool,
    is_over: bool,
    _held: Held,
}

impl<Held> Subscription<Held> {
    pub(crate) fn new(view: View, follower: Follower, until: Option<Until>, held: Held) -> Self {
        // The follower is ahead by a whole step while that step's events are looked at: it cannot be asked later.
        let last = view.hosted().token_at(follower.mark().point);
        Self {
            view,
            follower,
            since: None,
            until,
            last,
            shown: 0,
            unmarked: 0,
            marked_at: Instant::now(),
            is_caught_up: false,
            is_over: false,
            _held: held,
        }
    }

    /// The same, without what was recorded before a time.
    pub(crate) fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn is_over_without_events(&self) -> bool {
        self.is_over && self.shown == 0
    }

    /// The next frames; waits until there are some. Cancel-safe as long as nothing was written.
    pub(crate) async fn step(&mut self, out: &mut impl Frames) {
        while out.is_empty() {
            let (end, checkpoint) = (self.remaining(), self.checkpoint_in());
            let Some(at_most) = end.into_iter().chain(checkpoint).min() else {
                let step = self.follower.next(STEP).await;
                self.write(out, step);
                continue;
            };
            match tokio::time::timeout(at_most, self.follower.next(STEP)).await {
                Ok(step) => self.write(out, step),
                Err(_) if self.remaining().is_some_and(|end| end.is_zero()) => self.end(out),
                Err(_) => self.checkpoint_if_due(out),
            }
        }
    }

    /// How long until the end comes by itself: only where it is a time, and everything before it was seen.
    fn remaining(&self) -> Option<Duration> {
        let Some(Until::Time(until)) = self.until else { return None };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = Duration::from_micros(until.as_micros().max(0).unsigned_abs());
        self.is_caught_up.then(|| until.saturating_sub(now))
    }

    /// How long until the reader must be given an id again.
    fn checkpoint_in(&self) -> Option<Duration> {
        (self.unmarked > 0).then(|| UNMARKED_TIME.saturating_sub(self.marked_at.elapsed()))
    }

    fn write(&mut self, out: &mut impl Frames, step: Result<FollowStep, FollowError>) {
        let step = match self.view.refresh().map_err(Box::new) {
            Ok(()) => step.map_err(|error| Box::new(errors::of_follow(error))),
            Err(problem) => Err(problem),
        };
        match step {
            Err(problem) => {
                out.problem(*problem);
                self.is_over = true;
            }
            Ok(FollowStep::Events(events)) => {
                self.is_caught_up = false;
                for recorded in &events {
                    self.event(out, recorded);
                    if self.is_over {
                        return;
                    }
                }
                self.checkpoint_if_due(out);
            }
            Ok(FollowStep::Moved(place)) => {
                self.unmarked += 1;
                self.passed(out, place);
                self.checkpoint_if_due(out);
            }
            Ok(FollowStep::CaughtUp(place)) => {
                self.is_caught_up = true;
                self.mark(out, Frame::CaughtUp, place);
                self.passed(out, place);
                // a time that lies behind ends it here, so that a reader that connects again learns it at once
                if !self.is_over && self.remaining().is_some_and(|left| left.is_zero()) {
                    self.end(out);
                }
            }
            Ok(FollowStep::FellBehind(place)) => {
                self.is_caught_up = false;
                self.mark(out, Frame::FellBehind, place);
            }
            Ok(FollowStep::Heartbeat(place)) => {
                self.is_caught_up = true;
                match self.unmarked {
                    0 => out.heartbeat(&self.mark_of(place)),
                    _ => self.mark(out, Frame::Checkpoint, place),
                }
            }
        }
    }

    fn event(&mut self, out: &mut impl Frames, recorded: &RecordedEvent) {
        let is_beyond = match self.until {
            Some(Until::Position(end)) => recorded.event.position > end,
            Some(Until::Time(end)) => recorded.event.recorded_at >= end,
            None => false,
        };
        if is_beyond {
            return self.end(out);
        }
        let token = self.view.hosted().token_of(recorded);
        self.last = token;
        let is_early = self.since.is_some_and(|since| recorded.event.recorded_at < since);
        self.unmarked += 1;
        if let Some((event, state)) = self.view.show(recorded).filter(|_| !is_early) {
            out.event(token, &event, state);
            self.shown += 1;
            if is_marked(out) {
                (self.unmarked, self.marked_at) = (0, Instant::now());
            }
        }
        if self.until == Some(Until::Position(recorded.event.position)) {
            self.end(out);
        }
    }

    /// Ends where the end was passed without an event.
    fn passed(&mut self, out: &mut impl Frames, place: Place) {
        if let Some(Until::Position(end)) = self.until
            && place.point.position >= end
            && !self.is_over
        {
            self.last = self.view.hosted().token_at(place.point);
            self.end(out);
        }
    }

    fn checkpoint_if_due(&mut self, out: &mut impl Frames) {
        let is_due = self.unmarked >= UNMARKED_EVENTS || self.marked_at.elapsed() >= UNMARKED_TIME;
        if self.unmarked > 0 && is_due && !self.is_over {
            let place = self.follower.mark();
            self.mark(out, Frame::Checkpoint, place);
        }
    }

    fn mark(&mut self, out: &mut impl Frames, frame: Frame, place: Place) {
        let mark = self.mark_of(place);
        out.mark(frame, &mark);
        self.last = mark.token;
        (self.unmarked, self.marked_at) = (0, Instant::now());
    }

    fn mark_of(&self, place: Place) -> Mark {
        let token = self.view.hosted().token_at(place.point);
        Mark { position: place.point.position, head: place.head, token }
    }

    fn end(&mut self, out: &mut impl Frames) {
        let (token, head) = (self.last, self.follower.mark().head);
        out.mark(Frame::End, &Mark { position: token.position(), head, token });
        self.is_over = true;
    }
}

fn is_marked<F: Frames>(_: &F) -> bool {
    F::EVENTS_HOLD_TOKENS
}
