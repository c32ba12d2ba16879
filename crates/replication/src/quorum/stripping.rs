//! Goes along one source's log and names the events whose data another source keeps.

use std::time::{Duration, Instant};

use polylog_log::{Event, LogPage, Position, ReadLog, SourceName, Strip};

use super::request::Operation;

/// Most events and bytes that are looked at in one step.
const PAGE_EVENTS: usize = 200;
const PAGE_BYTES: usize = 1 << 20;
/// Between two steps where nothing waits, or nothing can be done: each takes the source's lock once.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum State {
    /// Looks backwards for a page with nothing left to drop, and something that was dropped: what lies before it is taken
    /// for done. What is missed that way costs room, and nothing else.
    Seeking { from: Option<Position>, to: Option<Position> },
    /// Everything before this was looked at.
    At(Position),
    /// Everything before `next` was looked at, once this is done.
    Dropping { strip: Strip, next: Position },
}

#[derive(Debug)]
pub(crate) struct Stripping {
    of: SourceName,
    state: State,
    /// What was asked for last may be touched up to here.
    end: Position,
    /// Nothing is read before this moment.
    reads_at: Option<Instant>,
    /// Nothing is dropped before this moment, after it failed.
    drops_at: Option<Instant>,
}

impl Stripping {
    pub(crate) fn new(of: SourceName) -> Self {
        let state = State::Seeking { from: None, to: None };
        Self { of, state, end: Position::ZERO, reads_at: None, drops_at: None }
    }

    /// What to ask of the source, of which nothing beyond `end` may be touched.
    pub(crate) fn next(&mut self, now: Instant, end: Position) -> Option<Operation> {
        let rests_until = match self.state {
            State::Dropping { .. } => self.drops_at,
            State::Seeking { .. } | State::At(_) => self.reads_at,
        };
        if rests_until.is_some_and(|until| now < until) || end.is_zero() {
            return None;
        }
        self.end = end;
        let read = |from: Position, to: Position| {
            let read = ReadLog { from, to, max_events: PAGE_EVENTS, max_bytes: PAGE_BYTES };
            Some(Operation::ReadLog(read))
        };
        match &mut self.state {
            State::Seeking { from, to } => {
                let to = *to.get_or_insert(end);
                let begin = to.get().saturating_sub(PAGE_EVENTS as u64 - 1).max(1);
                *from = Some(Position::new(begin));
                read(Position::new(begin), to)
            }
            State::At(next) if *next > end => None,
            State::At(next) => read(*next, end),
            State::Dropping { strip, .. } => Some(Operation::Strip(strip.clone())),
        }
    }

    /// Takes a page; `kept` says up to where a source keeps data for the others.
    pub(crate) fn page(&mut self, now: Instant, page: LogPage, kept: impl Fn(&SourceName) -> Position) {
        let events = page.entries.iter().flat_map(|entry| &entry.events);
        let elsewhere = |event: &Event| event.keeper().filter(|keeper| *keeper != self.of);
        match self.state {
            State::Seeking { from: Some(from), .. } => {
                let (mut dropped, mut waiting, mut last) = (0, 0, from);
                for event in events {
                    last = event.position;
                    if elsewhere(event).is_some() {
                        *(if event.data.is_none() { &mut dropped } else { &mut waiting }) += 1;
                    }
                }
                self.state = match dropped {
                    // later events may have come without data while an earlier one still waited for its keeper
                    1.. if waiting == 0 => State::At(last.next()),
                    _ if from <= Position::FIRST => State::At(Position::FIRST),
                    _ => State::Seeking { from: None, to: Some(from.previous()) },
                };
            }
            State::At(from) => {
                let (mut named, mut next, mut waits) = (Vec::new(), from, page.entries.is_empty());
                for event in events.filter(|event| (from..=self.end).contains(&event.position)) {
                    if let Some(keeper) = elsewhere(event).filter(|_| event.data.is_some()) {
                        if kept(&keeper) < event.position {
                            waits = true;
                            break;
                        }
                        named.push((event.position, event.digest));
                    }
                    next = event.position.next();
                }
                self.reads_at = (waits || next > self.end).then_some(now + REST);
                self.state = match named.is_empty() {
                    true => State::At(next),
                    false => State::Dropping { strip: Strip { events: named }, next },
                };
            }
            State::Seeking { from: None, .. } | State::Dropping { .. } => {}
        }
    }

    /// What was named is dropped.
    pub(crate) fn done(&mut self) {
        if let State::Dropping { next, .. } = self.state {
            self.state = State::At(next);
        }
    }

    /// It could not be read, or not be changed: the same again, after a while.
    pub(crate) fn failed(&mut self, now: Instant) {
        (self.reads_at, self.drops_at) = (Some(now + REST), Some(now + REST));
    }
}
