use mongodb::bson::{Document, doc};
use polylog_log::{
    CategoryPage, Event, EventId, Failure, FoundEvent, LogPage, Position, ReadCategory, ReadLog, ReadStream,
    StreamPage,
};
use polylog_source_servers::page::{
    CategoryEvents, EventById, Guess, LogEntries, Page, Read, Room, Sized, StreamEvents,
};

use crate::{
    connection::Handle,
    error::EngineError,
    events::StoredEvent,
    fields::{number, uuid},
    page::Ask,
    schema,
};

/// The log's events, from the beginning of an entry.
struct FromEntry {
    entries: LogEntries,
    /// Where the entry begins that holds the position asked for.
    begin: Position,
    /// Another history came since that was looked up: there an entry's middle stands.
    is_outdated: bool,
}

impl Page for FromEntry {
    fn room(&self) -> &Room {
        self.entries.room()
    }

    fn take(&mut self, stored: StoredEvent) -> Result<bool, Failure> {
        if self.entries.is_at_the_beginning() && stored.event.position != stored.event.first {
            self.is_outdated = true;
            return Ok(false);
        }
        self.entries.take(stored)
    }
}

impl FromEntry {
    fn next(&self) -> Position {
        if self.entries.is_at_the_beginning() { self.begin } else { self.entries.next() }
    }
}

impl Ask for FromEntry {
    // by the id: every database has its index
    fn filter(&self) -> Document {
        doc! { "_id": { "$gte": schema::event_id(self.next()) } }
    }

    fn sort(&self) -> Document {
        doc! { "_id": 1 }
    }

    fn selects(&self, event: &Event) -> bool {
        event.position >= self.next()
    }
}

/// See [`polylog_log::Source::read_log`].
pub(crate) async fn log(
    handle: &Handle,
    read: &ReadLog,
    guess: Guess,
) -> Result<Sized<LogPage>, EngineError> {
    let from = read.from.max(Position::FIRST);
    let mut outdated_at = None;
    loop {
        let begin = begin(handle, from).await?;
        let new = || FromEntry { entries: LogEntries::new(read, guess), begin, is_outdated: false };
        let (Read { page, head, note, is_complete }, _) = handle.page(new).await?;
        let cuts = head.cuts();
        if !page.is_outdated {
            let (page, average) = LogEntries::answer(Read { page: page.entries, head, note, is_complete })?;
            if page.entries.first().is_none_or(|entry| entry.last() >= from) {
                return Ok((page, average));
            }
        }
        // the log grew or was truncated between the two looks; without a truncation that happens once
        if outdated_at.replace(cuts) == Some(cuts) {
            return Err(EngineError::damaged(format!(
                "the entry that holds position {from} has no beginning"
            )));
        }
    }
}

/// Where the entry begins that holds a position; the position itself where none does.
async fn begin(handle: &Handle, from: Position) -> Result<Position, EngineError> {
    if from == Position::FIRST {
        return Ok(from);
    }
    let head = handle.head_to_read().await?;
    if from > head.base.position {
        let held = head.batch.iter().find(|entry| entry.last() >= from && entry.first() <= from);
        return Ok(held.map_or(from, |entry| entry.first()));
    }
    Ok(handle.event_at(from).await?.map_or(from, |stored| stored.event.first))
}

impl Ask for StreamEvents {
    fn filter(&self) -> Document {
        let side = if self.backward { "$lte" } else { "$gte" };
        doc! { "stream": self.stream.as_str(), "version": { side: number(self.next.get()) } }
    }

    fn sort(&self) -> Document {
        doc! { "version": if self.backward { -1 } else { 1 } }
    }

    fn is_backward(&self) -> bool {
        self.backward
    }

    fn selects(&self, event: &Event) -> bool {
        let is_beyond = if self.backward { event.version <= self.next } else { event.version >= self.next };
        is_beyond && event.stream == self.stream
    }
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) async fn stream(
    handle: &Handle,
    read: &ReadStream,
    guess: Guess,
) -> Result<Sized<StreamPage>, EngineError> {
    loop {
        let (page, document) = handle.page(|| StreamEvents::new(read, guess)).await?;
        let stream = handle.stream_head(&document, &read.stream).await?;
        if handle.cuts().await? == document.head.cuts() {
            return Ok(StreamEvents::answer(page, stream));
        }
    }
}

impl Ask for CategoryEvents {
    fn filter(&self) -> Document {
        let (from, to) = (number(self.range.start().get()), number(self.range.end().get()));
        doc! { "aggregateType": self.category.as_str(), "position": { "$gte": from, "$lte": to } }
    }

    fn sort(&self) -> Document {
        doc! { "position": if self.backward { -1 } else { 1 } }
    }

    fn is_backward(&self) -> bool {
        self.backward
    }

    fn selects(&self, event: &Event) -> bool {
        event.category == self.category && self.range.contains(&event.position)
    }
}

/// See [`polylog_log::Source::read_category`].
pub(crate) async fn category(
    handle: &Handle,
    read: &ReadCategory,
    guess: Guess,
) -> Result<Sized<CategoryPage>, EngineError> {
    let (page, _) = handle.page(|| CategoryEvents::new(read, guess)).await?;
    Ok(CategoryEvents::answer(page))
}

impl Ask for EventById {
    fn filter(&self) -> Document {
        doc! { "eventId": uuid(self.id.uuid()) }
    }

    fn sort(&self) -> Document {
        doc! { "position": 1 }
    }

    fn selects(&self, event: &Event) -> bool {
        event.id == self.id
    }
}

/// See [`polylog_log::Source::find`].
pub(crate) async fn find(handle: &Handle, id: EventId) -> Result<FoundEvent, EngineError> {
    let (page, _) = handle.page(|| EventById::new(id)).await?;
    Ok(EventById::answer(page))
}
