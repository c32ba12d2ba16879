use polylog_log::{
    AggregateId, Category, CategoryPage, EventId, FoundEvent, LogPage, ReadCategory, ReadLog, ReadStream,
    StreamHead, StreamPage, Version,
};
use polylog_source_servers::page::{CategoryEvents, EventById, Guess, LogEntries, Sized, StreamEvents};
use serde::Deserialize;
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::Query};

use crate::{
    error::EngineError,
    page::{self, Ask, page},
};

const LOG_FROM_ENTRY: &str = page!(
    "NULL",
    "WHERE position >= (SELECT first FROM polylog_events WHERE position = $1) ORDER BY position LIMIT $2"
);
const LOG_FROM: &str = page!("NULL", "WHERE position >= $1 ORDER BY position LIMIT $2");

/// The note is the stream's last version and attributes.
macro_rules! stream_page {
    ($($events:expr),+) => {
        page!(
            "(SELECT row_to_json(s)::text FROM (SELECT version, category, aggregate_id FROM polylog_events \
             WHERE stream = $1 ORDER BY version DESC LIMIT 1) s)",
            $($events),+
        )
    };
}

const STREAM: &str = stream_page!("WHERE stream = $1 AND version >= $2 ORDER BY version LIMIT $3");
const STREAM_BACKWARD: &str =
    stream_page!("WHERE stream = $1 AND version <= $2 ORDER BY version DESC LIMIT $3");

const CATEGORY: &str =
    page!("NULL", "WHERE category = $1 AND position BETWEEN $2 AND $3 ORDER BY position LIMIT $4");
const CATEGORY_BACKWARD: &str =
    page!("NULL", "WHERE category = $1 AND position BETWEEN $2 AND $3 ORDER BY position DESC LIMIT $4");

const FIND: &str = page!("NULL", "WHERE id = $1 LIMIT $2");

/// See [`polylog_log::Source::read_log`].
pub(crate) async fn log(
    connection: &mut PgConnection,
    read: &ReadLog,
    guess: Guess,
) -> Result<Sized<LogPage>, EngineError> {
    let read = page::read(connection, || LogEntries::new(read, guess)).await?;
    Ok(LogEntries::answer(read)?)
}

impl Ask for LogEntries {
    fn query(&self, limit: i64) -> Query<'static, Postgres, PgArguments> {
        let sql = if self.is_at_the_beginning() { LOG_FROM_ENTRY } else { LOG_FROM };
        sqlx::query(sql).bind(self.next().get().cast_signed()).bind(limit)
    }
}

/// See [`polylog_log::Source::read_stream`].
pub(crate) async fn stream(
    connection: &mut PgConnection,
    read: &ReadStream,
    guess: Guess,
) -> Result<Sized<StreamPage>, EngineError> {
    let read = page::read(connection, || StreamEvents::new(read, guess)).await?;
    let stream = read.note.as_deref().map(stream_head).transpose()?;
    Ok(StreamEvents::answer(read, stream))
}

impl Ask for StreamEvents {
    fn query(&self, limit: i64) -> Query<'static, Postgres, PgArguments> {
        let sql = if self.backward { STREAM_BACKWARD } else { STREAM };
        sqlx::query(sql).bind(self.stream.as_str().to_owned()).bind(self.next.get().cast_signed()).bind(limit)
    }
}

fn stream_head(text: &str) -> Result<StreamHead, EngineError> {
    #[derive(Deserialize)]
    struct Stored {
        version: u64,
        category: String,
        aggregate_id: String,
    }
    let stored: Stored = serde_json::from_str(text)
        .map_err(|error| EngineError::damaged(format!("the end of a stream: {error}")))?;
    Ok(StreamHead {
        version: Version::new(stored.version),
        category: Category::recorded(&stored.category),
        aggregate_id: AggregateId::recorded(&stored.aggregate_id),
    })
}

/// See [`polylog_log::Source::read_category`].
pub(crate) async fn category(
    connection: &mut PgConnection,
    read: &ReadCategory,
    guess: Guess,
) -> Result<Sized<CategoryPage>, EngineError> {
    let read = page::read(connection, || CategoryEvents::new(read, guess)).await?;
    Ok(CategoryEvents::answer(read))
}

impl Ask for CategoryEvents {
    fn query(&self, limit: i64) -> Query<'static, Postgres, PgArguments> {
        let sql = if self.backward { CATEGORY_BACKWARD } else { CATEGORY };
        let (from, to) = (self.range.start().get().cast_signed(), self.range.end().get().cast_signed());
        sqlx::query(sql).bind(self.category.as_str().to_owned()).bind(from).bind(to).bind(limit)
    }
}

/// See [`polylog_log::Source::find`].
pub(crate) async fn find(connection: &mut PgConnection, id: EventId) -> Result<FoundEvent, EngineError> {
    Ok(EventById::answer(page::read(connection, || EventById::new(id)).await?))
}

impl Ask for EventById {
    fn query(&self, limit: i64) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(FIND).bind(self.id.uuid()).bind(limit)
    }
}
