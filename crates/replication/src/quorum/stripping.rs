//! Goes along one source's log and names the events whose data another source keeps.

use std::time::{Duration, Instant};

use polylog_log::{Event, LogPage, Position, ReadLog, SourceName, Strip};

use super::request::Operation;

/// Most events and bytes that are looked at in one step. In tests a short log has many pages.
const PAGE_EVENTS: usize = if cfg!(test) { 3 } else { 200 };
const PAGE_BYTES: usize = 1 << 20;
/// Between two steps where nothing waits, or nothing can be done: each takes the source's lock once.
const REST: Duration = Duration::from_secs(1);
/// Between two steps through what was there before: 2,000 events a second at most.
const OLDER_REST: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum State {
    /// Looks backwards for a page with nothing left to drop, and something that was dropped: what follows it comes first.
    Seeking { from: Option<Position>, to: Option<Position> },
    /// Looks at a page of a walk.
    Walking(Which),
    /// Of that walk everything before `next` was looked at, once this is done.
    Dropping { strip: Strip, walk: Which, next: Position },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// What is appended, as it comes.
    Recent,
    /// What was there before, slowly: of earlier events a few may have waited for their keeper when later ones came without
    /// data already.
    Older,
}

/// A way along the log: everything before `next` was looked at.
#[derive(Debug)]
struct Walk {
    next: Position,
    /// It ends here.
    last: Position,
    /// Nothing is read before this moment.
    reads_at: Option<Instant>,
}

impl Walk {
    fn new(next: Position, last: Position) -> Self {
        Self { next, last, reads_at: None }
    }

    /// What there is to read now.
    fn range(&self, now: Instant, end: Position) -> Option<(Position, Position)> {
        let to = self.last.min(end);
        let rests = self.reads_at.is_some_and(|until| now < until);
        (self.next <= to && !rests).then_some((self.next, to))
    }
}

#[derive(Debug)]
pub(crate) struct Stripping {
    of: SourceName,
    state: State,
    recent: Walk,
    older: Walk,
    /// What was asked for last may be touched up to here.
    end: Position,
    /// After a failure nothing is done before this moment.
    rests_until: Option<Instant>,
}

impl Stripping {
    pub(crate) fn new(of: SourceName) -> Self {
        let state = State::Seeking { from: None, to: None };
        let recent = Walk::new(Position::FIRST, Position::new(u64::MAX));
        let older = Walk::new(Position::FIRST, Position::ZERO);
        Self { of, state, recent, older, end: Position::ZERO, rests_until: None }
    }

    /// What to ask of the source, of which nothing beyond `end` may be touched.
    pub(crate) fn next(&mut self, now: Instant, end: Position) -> Option<Operation> {
        // what a source has lost meanwhile comes to it anew
        let looked_at = self.recent.next.previous();
        if end < looked_at {
            self.older.next = self.older.next.min(end.next());
            self.older.last = self.older.last.max(looked_at);
        }
        if self.rests_until.is_some_and(|until| now < until) || end.is_zero() {
            return None;
        }
        let (from, to) = match &mut self.state {
            State::Dropping { strip, .. } => return Some(Operation::Strip(strip.clone())),
            State::Seeking { from, to } => {
                let to = *to.get_or_insert(end);
                let begin = to.get().saturating_sub(PAGE_EVENTS as u64 - 1).max(1);
                *from = Some(Position::new(begin));
                (Position::new(begin), to)
            }
            State::Walking(which) => {
                let walks = [(Which::Recent, &self.recent), (Which::Older, &self.older)];
                let found = walks.into_iter().find_map(|(one, walk)| Some((one, walk.range(now, end)?)));
                let (one, range) = found?;
                *which = one;
                range
            }
        };
        self.end = to;
        let read = ReadLog { from, to, max_events: PAGE_EVENTS, max_bytes: PAGE_BYTES };
        Some(Operation::ReadLog(read))
    }

    /// Takes a page; `kept` says up to where a source keeps data for the others.
    pub(crate) fn page(&mut self, now: Instant, page: LogPage, kept: impl Fn(&SourceName) -> Position) {
        match self.state {
            State::Seeking { from: Some(from), .. } => self.sought(from, &page),
            State::Walking(which) => self.walked(which, now, &page, kept),
            State::Seeking { from: None, .. } | State::Dropping { .. } => {}
        }
    }

    fn sought(&mut self, from: Position, page: &LogPage) {
        let (mut dropped, mut waiting, mut last) = (0, 0, from);
        for event in page.entries.iter().flat_map(|entry| &entry.events) {
            last = event.position;
            if self.keeper(event).is_some() {
                *(if event.data.is_none() { &mut dropped } else { &mut waiting }) += 1;
            }
        }
        let is_found = dropped > 0 && waiting == 0;
        if !is_found && from > Position::FIRST {
            self.state = State::Seeking { from: None, to: Some(from.previous()) };
            return;
        }
        if is_found {
            self.recent.next = last.next();
            self.older.last = from.previous();
        }
        self.state = State::Walking(Which::Recent);
    }

    fn walked(&mut self, which: Which, now: Instant, page: &LogPage, kept: impl Fn(&SourceName) -> Position) {
        let from = self.walk(which).next;
        let (mut named, mut next, mut waits) = (Vec::new(), from, page.entries.is_empty());
        let events = page.entries.iter().flat_map(|entry| &entry.events);
        for event in events.filter(|event| (from..=self.end).contains(&event.position)) {
            if let Some(keeper) = self.keeper(event).filter(|_| event.data.is_some()) {
                if kept(&keeper) < event.position {
                    waits = true;
                    break;
                }
                named.push((event.position, event.digest));
            }
            next = event.position.next();
        }
        let rest = match which {
            _ if waits => Some(REST),
            Which::Recent => (next > self.end).then_some(REST),
            Which::Older => Some(OLDER_REST),
        };
        self.walk(which).reads_at = rest.map(|rest| now + rest);
        match named.is_empty() {
            true => self.walk(which).next = next,
            false => self.state = State::Dropping { strip: Strip { events: named }, walk: which, next },
        }
    }

    /// What was named is dropped.
    pub(crate) fn done(&mut self) {
        if let State::Dropping { walk, next, .. } = self.state {
            self.walk(walk).next = next;
            self.state = State::Walking(walk);
        }
    }

    /// It could not be read, or not be changed: the same again, after a while.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.rests_until = Some(now + REST);
    }

    fn walk(&mut self, which: Which) -> &mut Walk {
        match which {
            Which::Recent => &mut self.recent,
            Which::Older => &mut self.older,
        }
    }

    /// Who keeps an event's data, if it is not this source.
    fn keeper(&self, event: &Event) -> Option<SourceName> {
        event.keeper().filter(|keeper| *keeper != self.of)
    }
}
