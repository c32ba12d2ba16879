use polylog_log::{Category, Entry, Point, Position, ReadCategory, ReadLog, RecordedEvent};

use crate::{
    LogQuery, LogRead, ReadError, ReadOptions,
    caught::caught,
    freshness::Wanted,
    reader::Data,
    recent::{continues, recorded},
    shared::Shared,
};

/// Most positions that a backward read looks at in one step.
const BACKWARD_STEP: u64 = 256;

/// Events collected up to a query's limits.
struct Collected<'a> {
    query: &'a LogQuery,
    events: Vec<RecordedEvent>,
    bytes: usize,
}

impl<'a> Collected<'a> {
    fn new(query: &'a LogQuery) -> Self {
        Self { query, events: Vec::new(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        let has_any = !self.events.is_empty();
        self.events.len() >= self.query.limit.max(1) || has_any && self.bytes >= self.query.max_bytes
    }

    fn push(&mut self, event: RecordedEvent) {
        if self.query.include_system || !event.event.is_system() {
            self.bytes += event.event.size();
            self.events.push(event);
        }
    }
}

impl Shared {
    pub(crate) async fn read_log(
        &self,
        query: &LogQuery,
        options: &ReadOptions,
    ) -> Result<LogRead, ReadError> {
        let wanted = self.check(options).await?;
        match query.backward {
            false => self.read_forward(query, options, wanted).await,
            true => self.read_backward(query, options, wanted).await,
        }
    }

    async fn read_forward(
        &self,
        query: &LogQuery,
        options: &ReadOptions,
        wanted: Wanted,
    ) -> Result<LogRead, ReadError> {
        let mut next_from = query.from.unwrap_or(Position::FIRST).max(Position::FIRST);
        let to = query.to.unwrap_or(Position::new(u64::MAX));
        let mut collected = Collected::new(query);
        let mut previous: Option<Point> = None;
        let mut who = wanted.of_whom(options);
        loop {
            let max_events = query.limit.max(1) - collected.events.len();
            let max_bytes = query.max_bytes.saturating_sub(collected.bytes).max(1);
            let read = ReadLog { from: next_from, to, max_events, max_bytes };
            let asked = self.heads.ask();
            let page = caught(self.reader.read_log(who, read, Data::IfThere)).await??;
            self.heads.publish(&page.head, asked);
            let served = self.served(&page.head, options, wanted)?;
            let breaks = |entry: &Entry| previous.is_some_and(|previous| !continues(entry, previous));
            if page.entries.first().is_some_and(breaks) {
                return Err(self.forked(next_from).await?);
            }
            previous = page.entries.last().map(Entry::point);
            // the last page says what was visible to all of them
            who = previous.map_or(who, |previous| who.and_reaching(previous.position));
            let end = to.min(page.head.tail.position);
            let first = next_from;
            let events = page.entries.into_iter().flat_map(recorded);
            for event in events.filter(|event| event.event.position >= first && event.event.position <= to) {
                if collected.is_full() {
                    break;
                }
                next_from = event.event.position.next();
                collected.push(event);
            }
            let at_end = next_from > end;
            if at_end || collected.is_full() || previous.is_none() {
                return Ok(LogRead { events: collected.events, next_from, at_end, served });
            }
        }
    }

    async fn read_backward(
        &self,
        query: &LogQuery,
        options: &ReadOptions,
        wanted: Wanted,
    ) -> Result<LogRead, ReadError> {
        let asked = self.heads.ask();
        let mut who = wanted.of_whom(options);
        let head = caught(self.reader.head_of(who)).await??;
        self.heads.publish(&head, asked);
        let mut served = self.served(&head, options, wanted)?;
        let lowest = query.to.unwrap_or(Position::FIRST).max(Position::FIRST);
        let mut next_from = query.from.unwrap_or(head.tail.position).min(head.tail.position);
        let mut collected = Collected::new(query);
        let mut has_begun = false;
        let mut step = BACKWARD_STEP.min(query.limit.max(1) as u64);
        while next_from >= lowest && !collected.is_full() {
            let from = Position::new(next_from.get().saturating_sub(step - 1)).max(lowest);
            let max_bytes = query.max_bytes.max(1).saturating_mul(2);
            let read = ReadLog { from, to: next_from, max_events: usize::MAX, max_bytes };
            let page = caught(self.reader.read_log(who, read, Data::IfThere)).await??;
            let end = page.head.tail.position;
            if end < head.tail.position && !has_begun {
                // whoever was to answer did not, and this one is behind
                served = self.served(&page.head, options, wanted)?;
            }
            if end < next_from && !has_begun {
                (next_from, has_begun) = (end, true);
                continue;
            }
            has_begun = true;
            who = who.and_reaching(next_from);
            if let Some(source) = self.name_of(&page.head) {
                served.source = source;
            }
            let covers = page.entries.last().is_some_and(|entry| entry.last() >= next_from);
            if !covers && step == 1 {
                // The log became shorter while it was read.
                return Err(self.forked(next_from).await?);
            }
            if !covers {
                step = (step / 2).max(1);
                continue;
            }
            let highest = next_from;
            for event in page.entries.into_iter().rev().flat_map(|entry| recorded(entry).rev()) {
                let position = event.event.position;
                if position > highest || position < from {
                    continue;
                }
                if collected.is_full() {
                    break;
                }
                next_from = position.previous();
                collected.push(event);
            }
        }
        let at_end = next_from < lowest;
        Ok(LogRead { events: collected.events, next_from, at_end, served })
    }

    pub(crate) async fn read_category(
        &self,
        category: &Category,
        query: &LogQuery,
        options: &ReadOptions,
    ) -> Result<LogRead, ReadError> {
        let wanted = self.check(options).await?;
        let last = Position::new(u64::MAX);
        let (from, to) = match query.backward {
            false => (query.from.unwrap_or(Position::FIRST), query.to.unwrap_or(last)),
            true => (query.to.unwrap_or(Position::FIRST), query.from.unwrap_or(last)),
        };
        let from = from.max(Position::FIRST);
        let read = ReadCategory {
            category: category.clone(),
            range: from..=to,
            backward: query.backward,
            max_events: query.limit.max(1),
            max_bytes: query.max_bytes.max(1),
        };
        let asked = self.heads.ask();
        let page = caught(self.reader.read_category(wanted.of_whom(options), read)).await??;
        self.heads.publish(&page.head, asked);
        let served = self.served(&page.head, options, wanted)?;
        let at_end = page.is_complete || page.events.is_empty();
        let last_seen = page.events.last().map(|event| event.event.position);
        let next_from = match (query.backward, last_seen.filter(|_| !at_end)) {
            (false, Some(position)) => position.next(),
            (false, None) => to.min(page.head.tail.position).next().max(from),
            (true, Some(position)) => position.previous(),
            (true, None) => from.previous(),
        };
        let is_shown = |event: &RecordedEvent| query.include_system || !event.event.is_system();
        let events = page.events.into_iter().filter(is_shown).collect();
        Ok(LogRead { events, next_from, at_end, served })
    }
}
