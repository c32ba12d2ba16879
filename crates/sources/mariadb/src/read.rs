use std::ops::RangeInclusive;

use polylog_log::{
    AggregateId, Category, CategoryPage, Entry, EventId, FoundEvent, LogPage, Position, ReadCategory,
    ReadLog, ReadStream, RecordedEvent, StreamHead, StreamName, StreamPage, Version,
};
use serde::Deserialize;
use sqlx::{
    MySql, MySqlConnection,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

use crate::{
    error::EngineError,
    page::{self, EVENT, Guess, Page, Room, page},
    rows::{EntryBuilder, RowReader, StoredEvent},
};

const LOG_FROM_ENTRY: &str = page!(
    "NULL",
    "WHERE position >= (SELECT first FROM polylog_events WHERE position = ?) ORDER BY position LIMIT ?"
);
const LOG_FROM: &str = page!("NULL", "WHERE position >= ? ORDER BY position LIMIT ?");

/// The note is the stream's last version and attributes.
macro_rules! stream_page {
    ($($events:expr),+) => {
        page!(
            "(SELECT JSON_OBJECT('version', version, 'category', HEX(category), 'aggregate_id', HEX(aggregate_id)) \
             FROM polylog_events WHERE stream = ? ORDER BY version DESC LIMIT 1)",
            $($events),+
        )
    };
}

const STREAM: &str = stream_page!("WHERE stream = ? AND version >= ? ORDER BY version LIMIT ?");
const STREAM_BACKWARD: &str = stream_page!("WHERE stream = ? AND version <= ? ORDER BY version DESC LIMIT ?");

const CATEGORY: &str =
    page!("NULL", "WHERE category = ? AND position BETWEEN ? AND ? ORDER BY position LIMIT ?");
const CATEGORY_BACKWARD: &str =
    page!("NULL", "WHERE category = ? AND position BETWEEN ? AND ? ORDER BY position DESC LIMIT ?");

const FIND: &str = page!("NULL", "WHERE id = ? LIMIT ?");

/// A page, and the bytes of its events on average.
pub(crate) type Sized<T> = (T, usize);

/// See [`polylog_log::Source::read_log`].
pub(crate) async fn log(
    connection: &mut MySqlConnection,
    read: &ReadLog,
    guess: Guess,
) -> Result<Sized<LogPage>, EngineError> {
    let from = read.from.max(Position::FIRST);
    let new = || LogEntries {
        to: read.to,
        next: from,
        room: Room::new(read.max_events, read.max_bytes, guess),
        reader: RowReader::default(),
        builder: EntryBuilder::default(),
        entries: Vec::new(),
    };
    let read = page::read(connection, new).await?;
    let (page, head) = (read.page, read.head);
    if read.is_complete && from <= head.tail.position {
        let end = page.entries.last().map(Entry::last);
        if page.builder.is_open() || end != Some(head.tail.position) {
            let tail = head.tail.position;
            return Err(EngineError::damaged(format!("the log has no entry that ends at its tail {tail}")));
        }
    }
    let average = page.room.average();
    Ok((LogPage { entries: page.entries, head }, average))
}

struct LogEntries {
    to: Position,
    next: Position,
    room: Room,
    reader: RowReader,
    builder: EntryBuilder,
    entries: Vec<Entry>,
}

impl Page for LogEntries {
    fn query(&self, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let is_first = self.entries.is_empty() && !self.builder.is_open();
        let sql = if is_first { LOG_FROM_ENTRY } else { LOG_FROM };
        sqlx::query(sql).bind(self.next.get().cast_signed()).bind(limit)
    }

    fn room(&self) -> &Room {
        &self.room
    }

    fn take(&mut self, row: &MySqlRow) -> Result<bool, EngineError> {
        let stored = self.reader.read(row, EVENT)?;
        let position = stored.event.position;
        if !self.builder.is_open()
            && (position > self.to || !self.entries.is_empty() && self.room.is_used_up())
        {
            return Ok(false);
        }
        if self.next < position && !self.entries.is_empty() {
            return Err(EngineError::damaged(format!("a hole in the log before position {position}")));
        }
        self.room.use_for(&stored.event);
        self.next = position.next();
        self.entries.extend(self.builder.push(stored)?);
        Ok(true)
    }
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) async fn stream(
    connection: &mut MySqlConnection,
    read: &ReadStream,
    guess: Guess,
) -> Result<Sized<StreamPage>, EngineError> {
    let room = Room::new(read.max_events, read.max_bytes, guess);
    let new = || StreamEvents {
        stream: read.stream.clone(),
        next: read.from,
        backward: read.backward,
        events: Events::new(room.clone()),
    };
    let read = page::read(connection, new).await?;
    let stream = read.note.as_deref().map(stream_head).transpose()?;
    let average = read.page.events.room.average();
    Ok((StreamPage { events: read.page.events.taken, stream, head: read.head }, average))
}

struct StreamEvents {
    stream: StreamName,
    next: Version,
    backward: bool,
    events: Events,
}

impl Page for StreamEvents {
    fn query(&self, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let sql = if self.backward { STREAM_BACKWARD } else { STREAM };
        let next = self.next.get().cast_signed();
        // once for the stream's end, once for its events
        let stream = || self.stream.as_str().as_bytes().to_vec();
        sqlx::query(sql).bind(stream()).bind(stream()).bind(next).bind(limit)
    }

    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, row: &MySqlRow) -> Result<bool, EngineError> {
        let Some(event) = self.events.take(row)? else { return Ok(false) };
        let version = event.event.version;
        self.next = if self.backward { version.previous() } else { version.next() };
        Ok(true)
    }
}

fn stream_head(text: &str) -> Result<StreamHead, EngineError> {
    #[derive(Deserialize)]
    struct Stored {
        version: u64,
        category: String,
        aggregate_id: String,
    }
    let damaged = || EngineError::damaged("the end of a stream");
    let stored: Stored = serde_json::from_str(text).map_err(|_| damaged())?;
    let (category, aggregate_id) = (unhex(&stored.category), unhex(&stored.aggregate_id));
    Ok(StreamHead {
        version: Version::new(stored.version),
        category: Category::recorded(&category.ok_or_else(damaged)?),
        aggregate_id: AggregateId::recorded(&aggregate_id.ok_or_else(damaged)?),
    })
}

/// The text whose bytes HEX wrote.
fn unhex(digits: &str) -> Option<String> {
    let bytes =
        digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// See [`polylog_log::Source::read_category`].
pub(crate) async fn category(
    connection: &mut MySqlConnection,
    read: &ReadCategory,
    guess: Guess,
) -> Result<Sized<CategoryPage>, EngineError> {
    let room = Room::new(read.max_events, read.max_bytes, guess);
    let new = || CategoryEvents {
        category: read.category.clone(),
        range: read.range.clone(),
        backward: read.backward,
        events: Events::new(room.clone()),
    };
    let read = page::read(connection, new).await?;
    let (events, is_complete) = (read.page.events, read.is_complete);
    let average = events.room.average();
    Ok((CategoryPage { events: events.taken, is_complete, head: read.head }, average))
}

struct CategoryEvents {
    category: Category,
    range: RangeInclusive<Position>,
    backward: bool,
    events: Events,
}

impl Page for CategoryEvents {
    fn query(&self, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let sql = if self.backward { CATEGORY_BACKWARD } else { CATEGORY };
        let (from, to) = (self.range.start().get().cast_signed(), self.range.end().get().cast_signed());
        sqlx::query(sql).bind(self.category.as_str().as_bytes().to_vec()).bind(from).bind(to).bind(limit)
    }

    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, row: &MySqlRow) -> Result<bool, EngineError> {
        let Some(event) = self.events.take(row)? else { return Ok(false) };
        let position = event.event.position;
        self.range = if self.backward {
            *self.range.start()..=position.previous()
        } else {
            position.next()..=*self.range.end()
        };
        Ok(true)
    }
}

/// See [`polylog_log::Source::find`].
pub(crate) async fn find(connection: &mut MySqlConnection, id: EventId) -> Result<FoundEvent, EngineError> {
    let new = || EventById {
        id,
        events: Events::new(Room::new(1, usize::MAX, Guess { average: 1, most_rows: 1 })),
    };
    let mut read = page::read(connection, new).await?;
    Ok(FoundEvent { event: read.page.events.taken.pop(), head: read.head })
}

struct EventById {
    id: EventId,
    events: Events,
}

impl Page for EventById {
    fn query(&self, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        sqlx::query(FIND).bind(self.id.uuid()).bind(limit)
    }

    fn room(&self) -> &Room {
        &self.events.room
    }

    fn take(&mut self, row: &MySqlRow) -> Result<bool, EngineError> {
        Ok(self.events.take(row)?.is_some())
    }
}

/// Events up to a number and a size; the first one always, however large.
struct Events {
    room: Room,
    reader: RowReader,
    taken: Vec<RecordedEvent>,
}

impl Events {
    fn new(room: Room) -> Self {
        Self { room, reader: RowReader::default(), taken: Vec::new() }
    }

    fn take(&mut self, row: &MySqlRow) -> Result<Option<&RecordedEvent>, EngineError> {
        if self.room.is_used_up() && !self.taken.is_empty() || self.room.allows_no_event() {
            return Ok(None);
        }
        let StoredEvent { event, term, chain, .. } = self.reader.read(row, EVENT)?;
        self.room.use_for(&event);
        self.taken.push(RecordedEvent { event, term, chain });
        Ok(self.taken.last())
    }
}
