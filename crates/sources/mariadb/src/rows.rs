//! Events as rows and back. Columns go by number: the lists here and in `schema` are the same.

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Entry, Event, EventId, EventType,
    Fingerprint, Position, StreamName, Term, Timestamp, Version,
};
pub(crate) use polylog_source_servers::entries::{EntryBuilder, StoredEvent};
use sqlx::{Row, mysql::MySqlRow};

use crate::error::EngineError;

/// The columns of an event, in the order in which [`RowReader`] takes them.
macro_rules! columns {
    () => {
        "position, first, last, term, version, recorded_at, time, id, commit_id, stream, category, aggregate_id, \
         type, fingerprint, digest, chain, data_digest, content_type, correlation_id, causation_id, metadata, data"
    };
}
pub(crate) use columns;

/// How many they are.
pub(crate) const COLUMNS: usize = 22;

/// An event to be written, with its entry.
#[derive(Clone, Copy)]
pub(crate) struct NewRow<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) event: &'a Event,
}

impl<'a> NewRow<'a> {
    /// The rows of entries.
    pub(crate) fn of(entries: &'a [Entry]) -> Vec<Self> {
        let rows =
            entries.iter().flat_map(|entry| entry.events.iter().map(move |event| Self { entry, event }));
        rows.collect()
    }

    /// Whether it stands for its commit.
    pub(crate) fn is_first(&self) -> bool {
        self.event.position == self.event.first
    }

    /// About as many bytes as it has in a statement.
    pub(crate) fn size(&self) -> usize {
        self.event.size() + 400
    }
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
        let text: &str = $text;
        match &$last {
            Some(last) if last.as_str() == text => last.clone(),
            _ => $last.insert($name::recorded(text)).clone(),
        }
    }};
}

impl RowReader {
    /// The event in `row`, whose columns begin at number `at`.
    pub(crate) fn read(&mut self, row: &MySqlRow, at: usize) -> Result<StoredEvent, EngineError> {
        let owned = |column| -> Result<Option<String>, EngineError> { Ok(row.try_get_unchecked(column)?) };
        let blob = |column| -> Result<Option<Bytes>, EngineError> {
            Ok(row.try_get_unchecked::<Option<&[u8]>, _>(column)?.map(Bytes::copy_from_slice))
        };
        let event = Event {
            position: Position::new(number(row, at)?),
            first: Position::new(number(row, at + 1)?),
            last: Position::new(number(row, at + 2)?),
            version: Version::new(number(row, at + 4)?),
            recorded_at: Timestamp::from_micros(row.try_get_unchecked(at + 5)?),
            time: Timestamp::from_micros(row.try_get_unchecked(at + 6)?),
            id: EventId::new(row.try_get_unchecked(at + 7)?),
            commit_id: CommitId::new(row.try_get_unchecked(at + 8)?),
            stream: reuse!(self.stream, StreamName, text(row, at + 9)?),
            category: reuse!(self.category, Category, text(row, at + 10)?),
            aggregate_id: reuse!(self.aggregate_id, AggregateId, text(row, at + 11)?),
            event_type: reuse!(self.event_type, EventType, text(row, at + 12)?),
            digest: Digest::from_bytes(bytes(row, at + 14)?),
            data_digest: DataDigest::from_bytes(bytes(row, at + 16)?),
            content_type: row.try_get_unchecked(at + 17)?,
            correlation_id: owned(at + 18)?,
            causation_id: owned(at + 19)?,
            metadata: blob(at + 20)?,
            data: blob(at + 21)?,
        };
        let fingerprint = optional_bytes(row, at + 13)?.map(Fingerprint::from_bytes);
        let (term, chain) = (Term::new(number(row, at + 3)?), Chain::from_bytes(bytes(row, at + 15)?));
        Ok(StoredEvent { event, term, chain, fingerprint })
    }
}

/// A text that is stored as its bytes.
pub(crate) fn text(row: &MySqlRow, column: usize) -> Result<&str, EngineError> {
    Ok(row.try_get_unchecked(column)?)
}

/// A number that is not negative.
pub(crate) fn number(row: &MySqlRow, column: usize) -> Result<u64, EngineError> {
    let number: i64 = row.try_get_unchecked(column)?;
    u64::try_from(number).map_err(|_| EngineError::damaged(format!("column {column} holds {number}")))
}

/// Bytes of a fixed length.
pub(crate) fn bytes<const N: usize>(row: &MySqlRow, column: usize) -> Result<[u8; N], EngineError> {
    let missing = || EngineError::damaged(format!("column {column} holds nothing"));
    optional_bytes(row, column)?.ok_or_else(missing)
}

/// Bytes of a fixed length, or nothing.
pub(crate) fn optional_bytes<const N: usize>(
    row: &MySqlRow,
    column: usize,
) -> Result<Option<[u8; N]>, EngineError> {
    let Some(found) = row.try_get_unchecked::<Option<&[u8]>, _>(column)? else { return Ok(None) };
    let length = found.len();
    let wrong = |_| EngineError::damaged(format!("column {column} holds {length} bytes instead of {N}"));
    found.try_into().map(Some).map_err(wrong)
}
