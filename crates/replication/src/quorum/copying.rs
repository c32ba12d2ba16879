//! Brings one source's log to that of another, step by step: find where they part, cut what lost, copy the rest.

use std::sync::Arc;

use super::{
    rules::{Rule, Rules},
    written::Written,
};
use crate::Stalled;
use polylog_log::{
    Apply, Entry, Failure, Head, LogId, LogPage, OperationError, Point, Position, ReadLog, Refusal,
    RefusedReason, SourceName, Term, Truncate, Watermarks,
};

/// Most events and bytes that are copied at once: one transaction. While it is applied the next one is read, and no more.
const PAGE_EVENTS: usize = 1_000;
const PAGE_BYTES: usize = 2 << 20;

/// What the head of the origin must show with every page, so that what is copied is what the term's primary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// That it is the primary of the term.
    Primary,
    /// This very tail, under no later term: an election's best log, before anybody is primary.
    Tail(Point),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the destination for its head.
    Ask,
    /// Read of the origin.
    ReadOrigin(ReadLog),
    /// Read of the destination.
    ReadDestination(ReadLog),
    /// Change the destination.
    Apply(Apply),
    /// Change the destination.
    Truncate(Truncate),
    /// Nothing before the next page is read, which was asked for.
    Wait,
    /// Nothing: the destination holds all that it should.
    Level,
    /// Nothing any more.
    Stop(Stop),
}

/// Why copying cannot go on under this term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody promised or opened a later term, or the origin is not what it was.
    Fenced,
    /// The destination refuses what it should take: somebody must look.
    Refused(Refusal),
}

/// Consecutive entries of the origin.
#[derive(Debug, Clone)]
struct Page {
    entries: Arc<[Entry]>,
    /// More was asked for than it holds.
    is_full: bool,
}

/// The page after the one that is applied.
#[derive(Debug, Clone)]
enum Ahead {
    Nothing,
    /// It is being read: from here, up to there.
    Asked(Position, Position),
    Read(Page),
}

#[derive(Debug, Clone)]
enum State {
    Unknown,
    Reading,
    Applying(Page),
    Searching(Search),
    Stopped(Stop),
}

/// Looks for the last entry that both logs hold.
#[derive(Debug, Clone)]
struct Search {
    /// Both hold it.
    low: Point,
    /// The fork is not after this position.
    high: Position,
    /// How far the next probe goes back, until one was common.
    step: Option<u64>,
    /// First position and point of the origin's entry at the probe.
    origin: Option<(Position, Point)>,
}

/// The copying of one log to one destination, under one term.
#[derive(Debug, Clone)]
pub(crate) struct Copying {
    rules: Rules,
    log: LogId,
    term: Term,
    from: From,
    destination: SourceName,
    tail: Option<Point>,
    /// Both logs hold everything up to here.
    common: Option<Point>,
    /// The destination could not store something of a page: entries are copied one by one until it takes the next.
    is_careful: bool,
    stalled: Option<Stalled>,
    /// How far the page goes that was asked for last.
    asked: Position,
    ahead: Ahead,
    state: State,
}

impl Copying {
    pub(crate) fn new(log: LogId, term: Term, from: From, destination: SourceName, rules: Rules) -> Self {
        let state = State::Unknown;
        Self {
            rules,
            log,
            term,
            from,
            destination,
            tail: None,
            common: None,
            is_careful: false,
            stalled: None,
            asked: Position::ZERO,
            ahead: Ahead::Nothing,
            state,
        }
    }

    /// The entry that the destination cannot store, found by copying one by one.
    pub(crate) fn stalled(&self) -> Option<&Stalled> {
        self.stalled.as_ref()
    }

    pub(crate) fn destination(&self) -> &SourceName {
        &self.destination
    }

    /// The end of what both are known to hold.
    pub(crate) fn common(&self) -> Option<Point> {
        self.common
    }

    /// The next step towards `cap`, an end of an entry in the origin beyond which nothing is copied. What was `written` to the
    /// origin by this very process is not read of it.
    pub(crate) fn next(&mut self, cap: Position, watermarks: Watermarks, written: Option<&Written>) -> Step {
        let Some(tail) = self.tail else { return Step::Ask };
        if matches!(self.state, State::Reading) && !self.is_careful {
            let pushed = || {
                let entries = written?.after(&tail, cap)?;
                Some(Page { entries, is_full: false })
            };
            if let Some(page) = self.read_before(&tail).or_else(pushed) {
                (self.common, self.state) = (Some(tail), State::Applying(page));
            }
        }
        match &self.state {
            State::Unknown => Step::Ask,
            State::Stopped(stop) => Step::Stop(stop.clone()),
            State::Reading if tail.position >= cap && self.common == Some(tail) => Step::Level,
            State::Reading if matches!(self.ahead, Ahead::Asked(..)) => Step::Wait,
            State::Reading => {
                // what is known to be common need not be read again
                let from = if self.common == Some(tail) { tail.position.next() } else { tail.position };
                let from = from.max(Position::FIRST);
                let page = page(from, cap.max(from));
                self.asked = page.to;
                Step::ReadOrigin(if self.is_careful { ReadLog { max_events: 1, ..page } } else { page })
            }
            State::Applying(Page { entries, .. }) => {
                let (term, entries) = (self.term, entries.clone());
                Step::Apply(Apply { term, previous: tail, entries, watermarks })
            }
            State::Searching(search) => search.next(self.term, tail),
        }
    }

    /// What to read of the origin while a page is applied, where more is wanted than went into it.
    pub(crate) fn read_ahead(&mut self, cap: Position) -> Option<ReadLog> {
        let State::Applying(Page { entries, is_full: true }) = &self.state else { return None };
        if self.is_careful || !matches!(self.ahead, Ahead::Nothing) {
            return None;
        }
        let from = entries.last().map(|entry| entry.last().next()).filter(|from| *from <= cap)?;
        self.ahead = Ahead::Asked(from, cap);
        Some(page(from, cap))
    }

    /// Takes the page that was read ahead; `None` = it could not be had.
    pub(crate) fn was_read_ahead(&mut self, page: Option<LogPage>) {
        let Ahead::Asked(from, to) = std::mem::replace(&mut self.ahead, Ahead::Nothing) else { return };
        let Some(LogPage { entries, head }) = page else { return };
        if !self.is_of_origin(&head) {
            return self.stop(Stop::Fenced);
        }
        if entries.first().is_some_and(|entry| entry.first() == from) {
            self.ahead = Ahead::Read(Page::new(entries, to));
        }
    }

    /// The page that was read meanwhile, if it goes on where the destination stands now.
    fn read_before(&mut self, tail: &Point) -> Option<Page> {
        if !matches!(self.ahead, Ahead::Read(_)) {
            return None;
        }
        let Ahead::Read(page) = std::mem::replace(&mut self.ahead, Ahead::Nothing) else { return None };
        page.entries.first().is_some_and(|first| first.continues(tail)).then_some(page)
    }

    /// Takes a head of the destination that did not come with a page.
    pub(crate) fn at(&mut self, head: &Head) {
        if head.term > self.term {
            return self.stop(Stop::Fenced);
        }
        if let State::Applying(Page { entries, .. }) = &self.state
            && entries.last().is_some_and(|last| is_at(&head.tail, &last.point()))
        {
            self.common = Some(head.tail);
        }
        let moved = self.tail != Some(head.tail);
        if self.stalled.as_ref().is_some_and(|stalled| head.tail.position >= stalled.position) {
            (self.is_careful, self.stalled) = (false, None);
        }
        if self.common.is_some_and(|common| common.position > head.tail.position) {
            self.common = None;
        }
        self.tail = Some(head.tail);
        if moved || matches!(self.state, State::Unknown | State::Applying(_)) {
            self.state = State::Reading;
        }
    }

    /// Takes the answer to [`Step::Apply`] or [`Step::Truncate`].
    pub(crate) fn changed(&mut self, result: &Result<Head, OperationError>) {
        match result {
            Ok(head) => self.at(head),
            Err(OperationError::Refused { reason: Refusal::Mismatch | Refusal::Fenced, head }) => {
                let is_primary = head.lead == self.term;
                self.restart();
                self.at(head);
                if is_primary {
                    self.stop(Stop::Fenced);
                }
            }
            Err(OperationError::Refused { reason, .. }) => self.stop(Stop::Refused(reason.clone())),
            Err(OperationError::Failed(failure)) if is_of_content(failure) => self.not_stored(failure),
            // whether it was executed shows in the head
            Err(OperationError::Failed(_) | OperationError::Unknown(_)) => self.restart(),
        }
    }

    /// Takes a page of the origin.
    pub(crate) fn origin_page(&mut self, page: LogPage) {
        if !self.is_of_origin(&page.head) {
            return self.stop(Stop::Fenced);
        }
        let Some(tail) = self.tail else { return };
        let origin = page.head.tail;
        if let State::Searching(search) = &mut self.state {
            match page.entries.first() {
                Some(entry) => search.origin = Some((entry.first(), entry.point())),
                None => self.restart(),
            }
            return;
        }
        let mut entries = page.entries;
        if self.common != Some(tail) && !tail.position.is_zero() {
            let holds = entries.first().is_some_and(|entry| is_at(&entry.point(), &tail));
            if !holds {
                let low = self.common.unwrap_or(Point::start(self.log));
                let high = tail.position.min(origin.position);
                self.state = State::Searching(Search { low, high, step: Some(1), origin: None });
                return;
            }
            entries.remove(0);
        }
        self.common = Some(tail);
        self.state = match entries.is_empty() {
            true => State::Reading,
            false => State::Applying(Page::new(entries, self.asked)),
        };
    }

    /// Whether what came with this head is what the term's primary holds.
    fn is_of_origin(&self, head: &Head) -> bool {
        let is_right = match self.from {
            From::Primary => head.is_primary() && head.term == self.term,
            From::Tail(tail) => head.term <= self.term && head.tail == tail,
        };
        is_right || !self.rules.on(Rule::CopiedFromPrimary)
    }

    /// Takes a page of the destination.
    pub(crate) fn destination_page(&mut self, page: LogPage) {
        if self.tail != Some(page.head.tail) || page.head.term > self.term {
            self.restart();
            return self.at(&page.head);
        }
        if let State::Searching(search) = &mut self.state {
            match page.entries.first() {
                Some(entry) => search.compare(entry),
                None => self.restart(),
            }
        }
    }

    /// A read or the head could not be had.
    pub(crate) fn failed(&mut self) {
        if !matches!(self.state, State::Stopped(_)) {
            self.restart();
        }
    }

    /// The destination takes nothing of a page, and says that it will not: which entry it is shows one by one. It is tried
    /// again, and never left out.
    fn not_stored(&mut self, failure: &Failure) {
        if let State::Applying(Page { entries, .. }) = &self.state
            && let [first, rest @ ..] = &entries[..]
        {
            match rest.is_empty() {
                true => self.stalled = Some(Stalled { position: first.first(), reason: failure.to_string() }),
                false => self.is_careful = true,
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        (self.state, self.tail, self.common) = (State::Unknown, None, None);
        self.ahead = Ahead::Nothing;
    }

    fn stop(&mut self, stop: Stop) {
        self.tail.get_or_insert(Point::start(self.log));
        self.state = State::Stopped(stop);
    }
}

impl Page {
    fn new(entries: Vec<Entry>, asked: Position) -> Self {
        let is_full = entries.last().is_some_and(|entry| entry.last() < asked);
        Self { entries: entries.into(), is_full }
    }
}

impl Search {
    fn probe(&self) -> Position {
        let low = self.low.position.get();
        let high = self.high.get();
        Position::new(match self.step {
            Some(step) => (high + 1).saturating_sub(step).max(low + 1),
            None => low + (high - low).div_ceil(2),
        })
    }

    fn next(&self, term: Term, tail: Point) -> Step {
        if self.low.position >= self.high {
            return Step::Truncate(Truncate { term, keep: self.low, tail });
        }
        let read = ReadLog { from: self.probe(), to: self.probe(), max_events: 1, max_bytes: 1 };
        if self.origin.is_none() { Step::ReadOrigin(read) } else { Step::ReadDestination(read) }
    }

    fn compare(&mut self, entry: &Entry) {
        let Some((first, point)) = self.origin.take() else { return };
        if entry.point() == point {
            (self.low, self.step) = (point, None);
        } else {
            self.high = first.min(entry.first()).previous();
            self.step = self.step.map(|step| step * 2);
        }
    }
}

fn page(from: Position, to: Position) -> ReadLog {
    ReadLog { from, to, max_events: PAGE_EVENTS, max_bytes: PAGE_BYTES }
}

/// Whether it is about what should be stored, and not about the connection or the database's state of the moment.
fn is_of_content(failure: &Failure) -> bool {
    matches!(failure, Failure::Damaged(_) | Failure::Refused { reason: RefusedReason::Unsuitable, .. })
}

/// Whether two points are the same place of the same history.
fn is_at(one: &Point, other: &Point) -> bool {
    (one.position, one.chain) == (other.position, other.chain)
}

#[cfg(test)]
mod tests;
