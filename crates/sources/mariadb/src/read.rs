use polylog_log::{
    AggregateId, Category, CategoryPage, EventId, FoundEvent, LogPage, ReadCategory, ReadLog, ReadStream,
    StreamHead, StreamPage, Version,
};
use polylog_source_servers::page::{CategoryEvents, EventById, Guess, LogEntries, Sized, StreamEvents};
use serde::Deserialize;
use sqlx::{MySql, mysql::MySqlArguments, query::Query};

use crate::{
    connection::Session,
    error::EngineError,
    page::{self, Ask, page},
    tables::{Statement, Statements},
};

const LOG_FROM_ENTRY: Statement = page!(
    "NULL",
    "WHERE position >= (SELECT first FROM polylog_events WHERE position = ?) ORDER BY position LIMIT ?"
);
const LOG_FROM: Statement = page!("NULL", "WHERE position >= ? ORDER BY position LIMIT ?");

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

const STREAM: Statement = stream_page!("WHERE stream = ? AND version >= ? ORDER BY version LIMIT ?");
const STREAM_BACKWARD: Statement =
    stream_page!("WHERE stream = ? AND version <= ? ORDER BY version DESC LIMIT ?");

const CATEGORY: Statement =
    page!("NULL", "WHERE category = ? AND position BETWEEN ? AND ? ORDER BY position LIMIT ?");
const CATEGORY_BACKWARD: Statement =
    page!("NULL", "WHERE category = ? AND position BETWEEN ? AND ? ORDER BY position DESC LIMIT ?");

const FIND: Statement = page!("NULL", "WHERE id = ? LIMIT ?");

/// See [`polylog_log::Source::read_log`].
pub(crate) async fn log(
    session: &mut Session,
    read: &ReadLog,
    guess: Guess,
) -> Result<Sized<LogPage>, EngineError> {
    let read = page::read(session, || LogEntries::new(read, guess)).await?;
    Ok(LogEntries::answer(read)?)
}

impl Ask for LogEntries {
    fn query(&self, statements: &Statements, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let sql = if self.is_at_the_beginning() { LOG_FROM_ENTRY } else { LOG_FROM };
        statements.query(sql).bind(self.next().get().cast_signed()).bind(limit)
    }
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) async fn stream(
    session: &mut Session,
    read: &ReadStream,
    guess: Guess,
) -> Result<Sized<StreamPage>, EngineError> {
    let read = page::read(session, || StreamEvents::new(read, guess)).await?;
    let stream = read.note.as_deref().map(stream_head).transpose()?;
    Ok(StreamEvents::answer(read, stream))
}

impl Ask for StreamEvents {
    fn query(&self, statements: &Statements, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let sql = if self.backward { STREAM_BACKWARD } else { STREAM };
        // once for the stream's end, once for its events
        let stream = || self.stream.as_str().as_bytes().to_vec();
        statements.query(sql).bind(stream()).bind(stream()).bind(self.next.get().cast_signed()).bind(limit)
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
    session: &mut Session,
    read: &ReadCategory,
    guess: Guess,
) -> Result<Sized<CategoryPage>, EngineError> {
    let read = page::read(session, || CategoryEvents::new(read, guess)).await?;
    Ok(CategoryEvents::answer(read))
}

impl Ask for CategoryEvents {
    fn query(&self, statements: &Statements, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        let sql = if self.backward { CATEGORY_BACKWARD } else { CATEGORY };
        let (from, to) = (self.range.start().get().cast_signed(), self.range.end().get().cast_signed());
        statements.query(sql).bind(self.category.as_str().as_bytes().to_vec()).bind(from).bind(to).bind(limit)
    }
}

/// See [`polylog_log::Source::find`].
pub(crate) async fn find(session: &mut Session, id: EventId) -> Result<FoundEvent, EngineError> {
    Ok(EventById::answer(page::read(session, || EventById::new(id)).await?))
}

impl Ask for EventById {
    fn query(&self, statements: &Statements, limit: i64) -> Query<'static, MySql, MySqlArguments> {
        statements.query(FIND).bind(self.id.uuid()).bind(limit)
    }
}
