//! What the log holds of the things that a batch names.

use polylog_log::{
    AggregateId, Category, Chain, CommitId, EventId, Facts, Fingerprint, Point, Position, StreamHead,
    StreamName, Term, Timestamp, Version, Wanted,
};
use polylog_source_servers::facts::{self, Part};
use sqlx::{Row, mysql::MySqlRow};
use uuid::Uuid;

use crate::{
    connection::Session,
    error::EngineError,
    head,
    rows::{bytes, number, optional_bytes, text as text_of},
    tables::Statement,
    text,
};

/// Every fact is a row of an event: a stream's last one, the one with an id, those of a commit.
macro_rules! fact {
    () => {
        "position, first, last, term, version, id, commit_id, stream, category, aggregate_id, fingerprint, chain"
    };
}

/// The last event of each stream of a list of names, as hexadecimal digits in JSON. The lists come first and the indexes
/// are named, so that no statistics lead elsewhere.
macro_rules! stream_ends {
    () => {
        " FROM JSON_TABLE(?, '$[*]' COLUMNS (hex VARCHAR(510) PATH '$')) q \
         STRAIGHT_JOIN polylog_events e FORCE INDEX (polylog_events_stream_version) ON e.stream = UNHEX(q.hex) \
         AND e.version = (SELECT x.version FROM polylog_events x FORCE INDEX (polylog_events_stream_version) \
         WHERE x.stream = UNHEX(q.hex) ORDER BY x.version DESC LIMIT 1)"
    };
}

/// The event with each id of a list.
macro_rules! by_id {
    ($index:literal, $column:literal) => {
        concat!(
            " FROM JSON_TABLE(?, '$[*]' COLUMNS (hex VARCHAR(32) PATH '$')) q STRAIGHT_JOIN polylog_events e \
             FORCE INDEX (",
            $index,
            ") ON e.",
            $column,
            " = UNHEX(q.hex)"
        )
    };
}

const LOOK_UP: Statement = Statement(concat!(
    "SELECT 0, ",
    fact!(),
    stream_ends!(),
    " UNION ALL SELECT 1, ",
    fact!(),
    by_id!("polylog_events_id", "id"),
    " UNION ALL SELECT 2, ",
    fact!(),
    by_id!("polylog_events_commit_id", "commit_key")
));

/// The other events of a commit that was found.
const REST: Statement = Statement(concat!(
    "SELECT 2, ",
    fact!(),
    " FROM polylog_events WHERE position > ? AND position <= ? ORDER BY position"
));

/// The tail, the database's clock, and the last events of streams: one statement, one snapshot.
const GLANCE: Statement = Statement(concat!(
    "SELECT h.tail_position, h.tail_term, h.tail_chain, ",
    head::clock!(),
    ", NULL, NULL, NULL, NULL FROM polylog_head h WHERE h.lane = 0 \
     UNION ALL SELECT NULL, NULL, NULL, NULL, e.stream, e.version, e.category, e.aggregate_id",
    stream_ends!()
));

/// A list for JSON_TABLE: digits need no escaping, and no conversion between character sets.
fn list<'a>(values: impl Iterator<Item = &'a [u8]>) -> String {
    let mut list = String::from("[");
    for (index, value) in values.enumerate() {
        list.push_str(if index == 0 { "\"" } else { ",\"" });
        text::digits(&mut list, value);
        list.push('"');
    }
    list.push(']');
    list
}

/// Looks everything up; right only under the lock.
pub(crate) async fn look_up(session: &mut Session, wanted: &Wanted) -> Result<Facts, EngineError> {
    let events: Vec<Uuid> = wanted.events.iter().map(|id| id.uuid()).collect();
    let commits: Vec<Uuid> = wanted.commits.iter().map(|id| id.uuid()).collect();
    let rows = session
        .query(LOOK_UP)
        .bind(list(wanted.streams.iter().map(|stream| stream.as_str().as_bytes())))
        .bind(list(events.iter().map(|id| id.as_bytes().as_slice())))
        .bind(list(commits.iter().map(|id| id.as_bytes().as_slice())))
        .fetch_all(&mut session.connection)
        .await?;
    let (mut facts, mut parts) = (Facts::default(), Vec::new());
    for row in &rows {
        let part = part(row)?;
        match number(row, 0)? {
            0 => drop(facts.streams.insert(part.stream.clone(), part.head)),
            1 => drop(facts.events.insert(part.id, (part.stream, part.position))),
            _ => {
                let (first, last) = (part.position, part.last);
                parts.push(part);
                rest(session, first, last, &mut parts).await?;
            }
        }
    }
    facts.commits = facts::commits(parts)?;
    Ok(facts)
}

async fn rest(
    session: &mut Session,
    first: Position,
    last: Position,
    parts: &mut Vec<Part>,
) -> Result<(), EngineError> {
    if first >= last {
        return Ok(());
    }
    let (first, last) = (first.get().cast_signed(), last.get().cast_signed());
    let query = session.query(REST).bind(first).bind(last);
    let rows = query.fetch_all(&mut session.connection).await?;
    for row in &rows {
        parts.push(part(row)?);
    }
    Ok(())
}

fn part(row: &MySqlRow) -> Result<Part, EngineError> {
    Ok(Part {
        position: Position::new(number(row, 1)?),
        last: Position::new(number(row, 3)?),
        term: Term::new(number(row, 4)?),
        id: EventId::new(row.try_get_unchecked(6)?),
        commit: CommitId::new(row.try_get_unchecked(7)?),
        stream: StreamName::recorded(text_of(row, 8)?),
        head: StreamHead {
            version: Version::new(number(row, 5)?),
            category: Category::recorded(text_of(row, 9)?),
            aggregate_id: AggregateId::recorded(text_of(row, 10)?),
        },
        fingerprint: optional_bytes(row, 11)?.map(Fingerprint::from_bytes),
        chain: Chain::from_bytes(bytes(row, 12)?),
    })
}

/// What a glance saw.
pub(crate) struct Glance {
    pub(crate) tail: Point,
    pub(crate) clock: Timestamp,
    pub(crate) streams: Vec<(StreamName, StreamHead)>,
}

/// Looks at the tail and at streams without the lock: a guess that only a swap proves.
pub(crate) async fn glance(session: &mut Session, streams: &[StreamName]) -> Result<Glance, EngineError> {
    let names = list(streams.iter().map(|stream| stream.as_str().as_bytes()));
    let rows = session.query(GLANCE).bind(names).fetch_all(&mut session.connection).await?;
    let (row, ends) = rows.split_first().ok_or_else(|| EngineError::damaged("the head is gone"))?;
    let tail = Point {
        position: Position::new(number(row, 0)?),
        term: Term::new(number(row, 1)?),
        chain: Chain::from_bytes(bytes(row, 2)?),
    };
    let clock = Timestamp::from_micros(row.try_get_unchecked(3)?);
    let mut found = Vec::new();
    for row in ends {
        let head = StreamHead {
            version: Version::new(number(row, 5)?),
            category: Category::recorded(text_of(row, 6)?),
            aggregate_id: AggregateId::recorded(text_of(row, 7)?),
        };
        found.push((StreamName::recorded(text_of(row, 4)?), head));
    }
    Ok(Glance { tail, clock, streams: found })
}
