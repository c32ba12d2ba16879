//! Events as rows and back. Columns go by number: the lists here and in `schema` are the same.

use bytes::Bytes;
use polylog_log::{
    AggregateId, Category, Chain, CommitId, DataDigest, Digest, Entry, Event, EventId, EventType,
    Fingerprint, Position, StreamName, Term, Timestamp, Version,
};
pub(crate) use polylog_source_servers::entries::{EntryBuilder, StoredEvent};
use sqlx::{
    PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use crate::error::EngineError;

/// The columns of an event, in the order in which [`RowReader`] takes them.
macro_rules! columns {
    () => {
        "position, first, last, term, version, recorded_at, time, id, commit_id, stream, category, aggregate_id, \
         type, fingerprint, digest, chain, data_digest, content_type, correlation_id, causation_id, metadata, data"
    };
}
pub(crate) use columns;

/// The rows that [`Rows::bind`] gave as the first 22 parameters.
macro_rules! given_rows {
    () => {
        "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::bytea[], \
         $16::bytea[], $17::bytea[], $18::text[], $19::text[], $20::text[], $21::bytea[], $22::bytea[])"
    };
}
pub(crate) use given_rows;

const INSERT: &str = concat!("INSERT INTO polylog_events (", columns!(), ") SELECT * FROM ", given_rows!());

/// Rows and bytes of one statement at most.
const MOST_ROWS: usize = 2_000;
const MOST_BYTES: usize = 8 << 20;

/// Writes entries at the end of the log.
pub(crate) async fn insert(connection: &mut PgConnection, entries: &[Entry]) -> Result<(), EngineError> {
    let rows = entries.iter().flat_map(|entry| entry.events.iter().map(move |event| (entry, event)));
    insert_rows(connection, &rows.collect::<Vec<_>>()).await
}

/// Writes events of entries.
pub(crate) async fn insert_rows(
    connection: &mut PgConnection,
    events: &[(&Entry, &Event)],
) -> Result<(), EngineError> {
    let mut rows = Rows::default();
    for (entry, event) in events {
        rows.push(entry, event);
        if !rows.fit_one_statement() {
            std::mem::take(&mut rows).insert(connection).await?;
        }
    }
    if rows.len() > 0 { rows.insert(connection).await } else { Ok(()) }
}

/// Rows to be written, column by column.
#[derive(Default)]
pub(crate) struct Rows<'a> {
    position: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    term: Vec<i64>,
    version: Vec<i64>,
    recorded_at: Vec<i64>,
    time: Vec<i64>,
    id: Vec<Uuid>,
    commit_id: Vec<Uuid>,
    stream: Vec<&'a str>,
    category: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    event_type: Vec<&'a str>,
    fingerprint: Vec<Option<&'a [u8]>>,
    digest: Vec<&'a [u8]>,
    chain: Vec<&'a [u8]>,
    data_digest: Vec<&'a [u8]>,
    content_type: Vec<&'a str>,
    correlation_id: Vec<Option<&'a str>>,
    causation_id: Vec<Option<&'a str>>,
    metadata: Vec<Option<&'a [u8]>>,
    data: Vec<Option<&'a [u8]>>,
    bytes: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Self {
        let mut rows = Self::default();
        for entry in entries {
            entry.events.iter().for_each(|event| rows.push(entry, event));
        }
        rows
    }

    pub(crate) fn len(&self) -> usize {
        self.position.len()
    }

    /// Whether they are few and small enough to be sent at once.
    pub(crate) fn fit_one_statement(&self) -> bool {
        self.len() < MOST_ROWS && self.bytes < MOST_BYTES
    }

    fn push(&mut self, entry: &'a Entry, event: &'a Event) {
        let number = |number: u64| number.cast_signed();
        self.position.push(number(event.position.get()));
        self.first.push(number(event.first.get()));
        self.last.push(number(event.last.get()));
        self.term.push(number(entry.term.get()));
        self.version.push(number(event.version.get()));
        self.recorded_at.push(event.recorded_at.as_micros());
        self.time.push(event.time.as_micros());
        self.id.push(event.id.uuid());
        self.commit_id.push(event.commit_id.uuid());
        self.stream.push(event.stream.as_str());
        self.category.push(event.category.as_str());
        self.aggregate_id.push(event.aggregate_id.as_str());
        self.event_type.push(event.event_type.as_str());
        let is_first = event.position == event.first;
        self.fingerprint.push(is_first.then(|| entry.fingerprint.as_bytes().as_slice()));
        self.digest.push(event.digest.as_bytes());
        self.chain.push(entry.chain.as_bytes());
        self.data_digest.push(event.data_digest.as_bytes());
        self.content_type.push(&event.content_type);
        self.correlation_id.push(event.correlation_id.as_deref());
        self.causation_id.push(event.causation_id.as_deref());
        self.metadata.push(event.metadata.as_deref());
        self.data.push(event.data.as_deref());
        self.bytes += event.size();
    }

    /// Gives the rows as the first 22 parameters.
    pub(crate) fn bind(self, query: Query<'a, Postgres, PgArguments>) -> Query<'a, Postgres, PgArguments> {
        query
            .bind(self.position)
            .bind(self.first)
            .bind(self.last)
            .bind(self.term)
            .bind(self.version)
            .bind(self.recorded_at)
            .bind(self.time)
            .bind(self.id)
            .bind(self.commit_id)
            .bind(self.stream)
            .bind(self.category)
            .bind(self.aggregate_id)
            .bind(self.event_type)
            .bind(self.fingerprint)
            .bind(self.digest)
            .bind(self.chain)
            .bind(self.data_digest)
            .bind(self.content_type)
            .bind(self.correlation_id)
            .bind(self.causation_id)
            .bind(self.metadata)
            .bind(self.data)
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), EngineError> {
        self.bind(sqlx::query(INSERT)).execute(connection).await?;
        Ok(())
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
    pub(crate) fn read(&mut self, row: &PgRow, at: usize) -> Result<StoredEvent, EngineError> {
        let owned = |column| -> Result<Option<String>, EngineError> { Ok(row.try_get(column)?) };
        let blob = |column| -> Result<Option<Bytes>, EngineError> {
            Ok(row.try_get::<Option<&[u8]>, _>(column)?.map(Bytes::copy_from_slice))
        };
        let event = Event {
            position: Position::new(number(row, at)?),
            first: Position::new(number(row, at + 1)?),
            last: Position::new(number(row, at + 2)?),
            version: Version::new(number(row, at + 4)?),
            recorded_at: Timestamp::from_micros(row.try_get(at + 5)?),
            time: Timestamp::from_micros(row.try_get(at + 6)?),
            id: EventId::new(row.try_get(at + 7)?),
            commit_id: CommitId::new(row.try_get(at + 8)?),
            stream: reuse!(self.stream, StreamName, row.try_get(at + 9)?),
            category: reuse!(self.category, Category, row.try_get(at + 10)?),
            aggregate_id: reuse!(self.aggregate_id, AggregateId, row.try_get(at + 11)?),
            event_type: reuse!(self.event_type, EventType, row.try_get(at + 12)?),
            digest: Digest::from_bytes(bytes(row, at + 14)?),
            data_digest: DataDigest::from_bytes(bytes(row, at + 16)?),
            content_type: row.try_get(at + 17)?,
            correlation_id: owned(at + 18)?,
            causation_id: owned(at + 19)?,
            metadata: blob(at + 20)?,
            data: blob(at + 21)?,
        };
        let fingerprint = match row.try_get::<Option<&[u8]>, _>(at + 13)? {
            Some(_) => Some(Fingerprint::from_bytes(bytes(row, at + 13)?)),
            None => None,
        };
        let (term, chain) = (Term::new(number(row, at + 3)?), Chain::from_bytes(bytes(row, at + 15)?));
        Ok(StoredEvent { event, term, chain, fingerprint })
    }
}

/// A number that is not negative.
pub(crate) fn number(row: &PgRow, column: usize) -> Result<u64, EngineError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| EngineError::damaged(format!("column {column} holds {number}")))
}

/// Bytes of a fixed length.
pub(crate) fn bytes<const N: usize>(row: &PgRow, column: usize) -> Result<[u8; N], EngineError> {
    let found: &[u8] = row.try_get(column)?;
    let length = found.len();
    found
        .try_into()
        .map_err(|_| EngineError::damaged(format!("column {column} holds {length} bytes instead of {N}")))
}
