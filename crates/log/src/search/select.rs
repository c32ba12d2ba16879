use std::ops::RangeInclusive;

use super::{Tallied, Tallies, Tally};
use crate::{
    Category, Event, EventType, Failure, Head, Position, ReadLog, RecordedEvent, Source, StreamName,
    Timestamp,
};

/// Events and bytes of one page while a log is read for a tally.
const PAGE_EVENTS: usize = 2_000;
const PAGE_BYTES: usize = 1 << 20;

/// What an event must be, as far as a database can look for it. The log's own events never are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Narrow {
    /// Of one of these types; empty = of any.
    pub types: Vec<EventType>,
    /// Of one of these categories; empty = of any.
    pub categories: Vec<Category>,
    /// Happened at this time or later.
    pub since: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
}

impl Narrow {
    /// Whether an event is.
    pub fn holds(&self, event: &Event) -> bool {
        !event.is_system()
            && (self.types.is_empty() || self.types.contains(&event.event_type))
            && (self.categories.is_empty() || self.categories.contains(&event.category))
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
    }

    /// The first moment that is wanted and the first that is not any more, in microseconds.
    pub fn micros(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, Timestamp::as_micros);
        (since, self.until.map_or(i64::MAX, Timestamp::as_micros))
    }
}

/// See [`Source::select`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The positions to look at.
    pub range: RangeInclusive<Position>,
    /// Which events.
    pub narrow: Narrow,
    /// Of one of these streams; empty = of any.
    pub streams: Vec<StreamName>,
    /// At most this many.
    pub max_events: usize,
    /// No further event once this many bytes are read.
    pub max_bytes: usize,
}

impl Select {
    /// Whether an event is one of those.
    pub fn holds(&self, event: &Event) -> bool {
        self.narrow.holds(event) && (self.streams.is_empty() || self.streams.contains(&event.stream))
    }
}

/// Selected events and the head they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// By position.
    pub events: Vec<RecordedEvent>,
    /// Everything from the range's beginning up to here was looked at: its end, unless there is more to come.
    pub looked_to: Position,
    /// Of the same snapshot.
    pub head: Head,
}

impl Selected {
    /// What a database gave: its rows are looked at again, since it may give more than was asked for.
    pub fn of(select: &Select, mut events: Vec<RecordedEvent>, is_complete: bool, head: Head) -> Self {
        let last = events.last().map(|event| event.event.position);
        let looked_to = match last.filter(|_| !is_complete) {
            Some(last) => last,
            None => *select.range.end(),
        };
        events.retain(|event| select.holds(&event.event));
        Self { events, looked_to, head }
    }
}

/// Selects by reading the log: what an engine does that has nothing better.
pub(crate) async fn select_by_reading<S: Source + ?Sized>(
    source: &S,
    select: Select,
) -> Result<Selected, Failure> {
    let (from, to) = (*select.range.start(), *select.range.end());
    let read = ReadLog { from, to, max_events: select.max_events, max_bytes: select.max_bytes };
    let page = source.read_log(read).await?;
    let mut events = Vec::new();
    let mut looked_to = from.previous();
    for entry in page.entries {
        let (term, chain) = (entry.term, entry.chain);
        for event in entry.events {
            if event.position < from || event.position > to || events.len() >= select.max_events.max(1) {
                continue;
            }
            looked_to = event.position;
            if select.holds(&event) {
                events.push(RecordedEvent { event, term, chain });
            }
        }
    }
    let is_at_end = looked_to >= to.min(page.head.tail.position);
    let looked_to = if is_at_end { to } else { looked_to };
    Ok(Selected { events, looked_to, head: page.head })
}

/// Counts by selecting.
pub(crate) async fn tally_by_selecting<S: Source + ?Sized>(
    source: &S,
    tally: Tally,
) -> Result<Tallied, Failure> {
    let mut tallies = Tallies::new(&tally);
    let mut from = *tally.range.start();
    loop {
        let select = Select {
            range: from..=*tally.range.end(),
            narrow: tally.narrow.clone(),
            streams: Vec::new(),
            max_events: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
        };
        let page = source.select(select).await?;
        page.events.iter().for_each(|event| tallies.count(&event.event));
        if page.looked_to >= *tally.range.end() {
            return Ok(Tallied { rows: tallies.rows(), head: page.head });
        }
        from = page.looked_to.next();
    }
}
