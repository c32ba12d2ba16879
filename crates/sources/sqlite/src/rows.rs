//! Events as rows and back. Columns go by number: the lists here and in `schema` are the same.

use std::ops::Range;

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Entry, Event, EventId, EventType,
    Fingerprint, Position, StreamName, Term, Timestamp, Version,
};
use rusqlite::{
    CachedStatement, Connection, Row,
    types::{ToSqlOutput, ValueRef},
};

use crate::error::EngineError;

/// The columns of an event, in the order in which [`RowReader`] takes them.
macro_rules! columns {
    () => {
        "position, first, last, term, stream, version, category, aggregate_id, id, type, commit_id, fingerprint, \
         digest, chain, data_digest, recorded_at, time, content_type, correlation_id, causation_id, metadata, data"
    };
}
pub(crate) use columns;

/// How many they are.
pub(crate) const COUNT: usize = 22;

const INSERT: &str = concat!(
    "INSERT INTO polylog_events (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

/// Writes entries at the end of the log.
pub(crate) fn insert(connection: &Connection, entries: &[Entry]) -> Result<(), EngineError> {
    let rows = entries.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)));
    insert_rows(connection, rows)
}

/// Writes events of entries.
pub(crate) fn insert_rows<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = (&'a Entry, &'a Event)>,
) -> Result<(), EngineError> {
    let mut statement = connection.prepare_cached(INSERT)?;
    for (entry, event) in rows {
        insert_event(&mut statement, entry, event)?;
    }
    Ok(())
}

fn insert_event(
    statement: &mut CachedStatement<'_>,
    entry: &Entry,
    event: &Event,
) -> Result<(), EngineError> {
    let mut column = 0;
    let mut bind = |value: ValueRef<'_>| {
        column += 1;
        statement.raw_bind_parameter(column, ToSqlOutput::Borrowed(value))
    };
    let number = |number: u64| ValueRef::Integer(number.cast_signed());
    fn text(text: &str) -> ValueRef<'_> {
        ValueRef::Text(text.as_bytes())
    }
    bind(number(event.position.get()))?;
    bind(number(event.first.get()))?;
    bind(number(event.last.get()))?;
    bind(number(entry.term.get()))?;
    bind(text(event.stream.as_str()))?;
    bind(number(event.version.get()))?;
    bind(text(event.category.as_str()))?;
    bind(text(event.aggregate_id.as_str()))?;
    bind(ValueRef::Blob(event.id.as_bytes()))?;
    bind(text(event.event_type.as_str()))?;
    bind(ValueRef::Blob(event.commit_id.as_bytes()))?;
    let is_first = event.position == event.first;
    bind(if is_first { ValueRef::Blob(entry.fingerprint.as_bytes()) } else { ValueRef::Null })?;
    bind(ValueRef::Blob(event.digest.as_bytes()))?;
    bind(ValueRef::Blob(entry.chain.as_bytes()))?;
    bind(ValueRef::Blob(event.data_digest.as_bytes()))?;
    bind(ValueRef::Integer(event.recorded_at.as_micros()))?;
    bind(ValueRef::Integer(event.time.as_micros()))?;
    bind(text(&event.content_type))?;
    bind(event.correlation_id.as_deref().map_or(ValueRef::Null, text))?;
    bind(event.causation_id.as_deref().map_or(ValueRef::Null, text))?;
    bind(event.metadata.as_deref().map_or(ValueRef::Null, ValueRef::Blob))?;
    bind(event.data.as_deref().map_or(ValueRef::Null, ValueRef::Blob))?;
    statement.raw_execute()?;
    Ok(())
}

/// An event with what its row says of its entry.
pub(crate) struct StoredEvent {
    pub(crate) event: Event,
    pub(crate) term: Term,
    pub(crate) chain: Chain,
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Turns rows into events; neighbours mostly share names, which are then not allocated again.
#[derive(Default)]
pub(crate) struct RowReader {
    stream: Option<StreamName>,
    category: Option<Category>,
    aggregate_id: Option<AggregateId>,
    event_type: Option<EventType>,
}

macro_rules! reuse {
    ($last:expr, $name:ident, $text:expr) => {{
        let text = $text;
        match &$last {
            Some(last) if last.as_str() == text => last.clone(),
            _ => $last.insert($name::recorded(text)).clone(),
        }
    }};
}

impl RowReader {
    /// The event in `row`, whose columns begin at number `at`.
    pub(crate) fn read(&mut self, row: &Row<'_>, at: usize) -> Result<StoredEvent, EngineError> {
        let event = Event {
            position: Position::new(number(row, at)?),
            first: Position::new(number(row, at + 1)?),
            last: Position::new(number(row, at + 2)?),
            stream: reuse!(self.stream, StreamName, text(row, at + 4)?),
            version: Version::new(number(row, at + 5)?),
            category: reuse!(self.category, Category, text(row, at + 6)?),
            aggregate_id: reuse!(self.aggregate_id, AggregateId, text(row, at + 7)?),
            id: EventId::from_bytes(bytes(row, at + 8)?),
            event_type: reuse!(self.event_type, EventType, text(row, at + 9)?),
            commit_id: CommitId::from_bytes(bytes(row, at + 10)?),
            digest: Digest::from_bytes(bytes(row, at + 12)?),
            data_digest: DataDigest::from_bytes(bytes(row, at + 14)?),
            recorded_at: time(row, at + 15)?,
            time: time(row, at + 16)?,
            content_type: text(row, at + 17)?.to_owned(),
            correlation_id: optional(row, at + 18, text)?.map(str::to_owned),
            causation_id: optional(row, at + 19, text)?.map(str::to_owned),
            metadata: optional(row, at + 20, blob)?.map(Bytes::copy_from_slice),
            data: optional(row, at + 21, blob)?.map(Bytes::copy_from_slice),
        };
        Ok(StoredEvent {
            event,
            term: Term::new(number(row, at + 3)?),
            chain: Chain::from_bytes(bytes(row, at + 13)?),
            fingerprint: optional(row, at + 11, bytes)?.map(Fingerprint::from_bytes),
        })
    }
}

/// Puts consecutive events together to entries.
#[derive(Default)]
pub(crate) struct EntryBuilder {
    open: Option<Entry>,
}

impl EntryBuilder {
    /// Takes the next event; gives an entry when this was its last one.
    pub(crate) fn push(&mut self, stored: StoredEvent) -> Result<Option<Entry>, EngineError> {
        let StoredEvent { event, term, chain, fingerprint } = stored;
        let (position, last) = (event.position, event.last);
        match &mut self.open {
            Some(entry) if entry.last().next() == position && entry.events[0].first == event.first => {
                entry.events.push(event);
            }
            None if position == event.first => {
                let fingerprint = fingerprint
                    .ok_or_else(|| EngineError::damaged(format!("no fingerprint at position {position}")))?;
                let mut events = Vec::with_capacity(length(position..last));
                events.push(event);
                self.open = Some(Entry { term, fingerprint, events, chain });
            }
            _ => return Err(EngineError::damaged(format!("a hole in the log before position {position}"))),
        }
        Ok(if position == last { self.open.take() } else { None })
    }

    /// Whether an entry was begun and not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// Events of an entry, bounded: a damaged row must not ask for all memory.
fn length(entry: Range<Position>) -> usize {
    usize::try_from(entry.end.get().saturating_sub(entry.start.get())).map_or(1, |n| n.min(1023) + 1)
}

/// A number that is not negative.
pub(crate) fn number(row: &Row<'_>, column: usize) -> Result<u64, EngineError> {
    match row.get_ref(column)? {
        ValueRef::Integer(number) if number >= 0 => Ok(number.cast_unsigned()),
        other => Err(unexpected(row, column, "a number", other)),
    }
}

pub(crate) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, EngineError> {
    match row.get_ref(column)? {
        ValueRef::Integer(micros) => Ok(Timestamp::from_micros(micros)),
        other => Err(unexpected(row, column, "a time", other)),
    }
}

pub(crate) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, EngineError> {
    match row.get_ref(column)? {
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map_err(|_| unexpected(row, column, "UTF-8", ValueRef::Null))
        }
        other => Err(unexpected(row, column, "text", other)),
    }
}

pub(crate) fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], EngineError> {
    match row.get_ref(column)? {
        ValueRef::Blob(blob) => Ok(blob),
        other => Err(unexpected(row, column, "bytes", other)),
    }
}

/// Bytes of a fixed length.
pub(crate) fn bytes<const N: usize>(row: &Row<'_>, column: usize) -> Result<[u8; N], EngineError> {
    let blob = blob(row, column)?;
    blob.try_into().map_err(|_| unexpected(row, column, "bytes of a fixed length", ValueRef::Blob(blob)))
}

/// What `read` gives, unless the column is null.
pub(crate) fn optional<'a, 'r, T>(
    row: &'a Row<'r>,
    column: usize,
    read: impl FnOnce(&'a Row<'r>, usize) -> Result<T, EngineError>,
) -> Result<Option<T>, EngineError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => read(row, column).map(Some),
    }
}

fn unexpected(row: &Row<'_>, column: usize, wanted: &str, found: ValueRef<'_>) -> EngineError {
    let name = row.as_ref().column_name(column).unwrap_or("?");
    let at = row.get_ref(0).ok().and_then(|value| value.as_i64().ok()).unwrap_or_default();
    EngineError::damaged(format!("column {name} of row {at} holds {}, not {wanted}", found.data_type()))
}
