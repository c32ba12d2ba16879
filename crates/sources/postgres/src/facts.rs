//! What the log holds of the things that a batch names.

use polylog_log::{
    AggregateId, Category, Chain, CommitId, EventId, Facts, Fingerprint, Point, Position, StreamHead,
    StreamName, Term, Timestamp, Version, Wanted,
};
use polylog_source_servers::facts::{self, Part};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    error::EngineError,
    rows::{bytes, number},
};

/// Every fact is a row of an event: a stream's last one, the one with an id, those of a commit.
macro_rules! fact {
    () => {
        "position, first, last, term, version, id, commit_id, stream, category, aggregate_id, fingerprint, chain"
    };
}

/// `LATERAL … LIMIT 1` keeps to the index whatever the statistics say.
const LOOK_UP: &str = concat!(
    "SELECT 0, e.* FROM unnest($1::text[]) q(stream) CROSS JOIN LATERAL (SELECT ",
    fact!(),
    " FROM polylog_events x WHERE x.stream = q.stream ORDER BY x.version DESC LIMIT 1) e \
     UNION ALL SELECT 1, e.* FROM unnest($2::uuid[]) q(id) CROSS JOIN LATERAL (SELECT ",
    fact!(),
    " FROM polylog_events x WHERE x.id = q.id LIMIT 1) e \
     UNION ALL SELECT 2, e.* FROM unnest($3::uuid[]) q(id) CROSS JOIN LATERAL \
     (SELECT x.first, x.last FROM polylog_events x WHERE x.commit_id = q.id AND x.position = x.first LIMIT 1) c \
     CROSS JOIN LATERAL (SELECT ",
    fact!(),
    " FROM polylog_events x WHERE x.position BETWEEN c.first AND c.last) e"
);

/// The tail, the database's clock, and the last events of streams.
const GLANCE: &str = "SELECT h.tail_position, h.tail_term, h.tail_chain, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, e.stream, e.version, e.category, e.aggregate_id \
     FROM polylog_head h LEFT JOIN (SELECT l.* FROM unnest($1::text[]) q(stream) CROSS JOIN LATERAL \
     (SELECT x.stream, x.version, x.category, x.aggregate_id FROM polylog_events x WHERE x.stream = q.stream \
     ORDER BY x.version DESC LIMIT 1) l) e ON true WHERE h.lane = 0";

/// Looks everything up; right only under the lock.
pub(crate) async fn look_up(connection: &mut PgConnection, wanted: &Wanted) -> Result<Facts, EngineError> {
    let streams: Vec<&str> = wanted.streams.iter().map(StreamName::as_str).collect();
    let events: Vec<Uuid> = wanted.events.iter().map(|id| id.uuid()).collect();
    let commits: Vec<Uuid> = wanted.commits.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query(LOOK_UP).bind(streams).bind(events).bind(commits).fetch_all(connection).await?;
    let (mut facts, mut parts) = (Facts::default(), Vec::new());
    for row in &rows {
        let part = part(row)?;
        match row.try_get::<i32, _>(0)? {
            0 => drop(facts.streams.insert(part.stream.clone(), part.head)),
            1 => drop(facts.events.insert(part.id, (part.stream, part.position))),
            _ => parts.push(part),
        }
    }
    facts.commits = facts::commits(parts)?;
    Ok(facts)
}

fn part(row: &PgRow) -> Result<Part, EngineError> {
    let fingerprint = match row.try_get::<Option<&[u8]>, _>(11)? {
        Some(_) => Some(Fingerprint::from_bytes(bytes(row, 11)?)),
        None => None,
    };
    Ok(Part {
        position: Position::new(number(row, 1)?),
        last: Position::new(number(row, 3)?),
        term: Term::new(number(row, 4)?),
        id: EventId::new(row.try_get(6)?),
        commit: CommitId::new(row.try_get(7)?),
        stream: StreamName::recorded(row.try_get(8)?),
        head: StreamHead {
            version: Version::new(number(row, 5)?),
            category: Category::recorded(row.try_get(9)?),
            aggregate_id: AggregateId::recorded(row.try_get(10)?),
        },
        fingerprint,
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
pub(crate) async fn glance(
    connection: &mut PgConnection,
    streams: &[StreamName],
) -> Result<Glance, EngineError> {
    let names: Vec<&str> = streams.iter().map(StreamName::as_str).collect();
    let rows = sqlx::query(GLANCE).bind(names).fetch_all(connection).await?;
    let row = rows.first().ok_or_else(|| EngineError::damaged("the head is gone"))?;
    let tail = Point {
        position: Position::new(number(row, 0)?),
        term: Term::new(number(row, 1)?),
        chain: Chain::from_bytes(bytes(row, 2)?),
    };
    let clock = Timestamp::from_micros(row.try_get(3)?);
    let mut found = Vec::new();
    for row in &rows {
        let Some(name) = row.try_get::<Option<&str>, _>(4)? else { continue };
        let head = StreamHead {
            version: Version::new(number(row, 5)?),
            category: Category::recorded(row.try_get(6)?),
            aggregate_id: AggregateId::recorded(row.try_get(7)?),
        };
        found.push((StreamName::recorded(name), head));
    }
    Ok(Glance { tail, clock, streams: found })
}
