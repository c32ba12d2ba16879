//! The head as one JSON text: it fits into one column, so that a page and its head are one statement, and reads alike
//! whichever protocol brought it.

use std::sync::Arc;

use polylog_log::{
    Chain, Config, ConfigPoint, Cut, DatabaseId, FORMAT, Failure, Head, Identity, Incarnation, LogId, Nonce,
    Point, Position, Term, Timestamp, Watermarks,
};
use serde::Deserialize;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::error::EngineError;

/// The head of this snapshot; null where there is none.
macro_rules! head {
    () => {
        "(SELECT row_to_json(x)::text FROM (SELECT h.*, c.content, row_to_json(k) AS cut, \
         (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock FROM polylog_head h \
         LEFT JOIN polylog_configs c ON c.position = h.config_position \
         LEFT JOIN polylog_cuts k ON k.number = h.cuts WHERE h.lane = 0) x)"
    };
}
pub(crate) use head;

const LOAD: &str = concat!("SELECT ", head!());

// identity and format are provisioning's
const STORE: &str = "UPDATE polylog_head SET term = $1, granted = $2, lead = $3, tail_position = $4, \
     tail_term = $5, tail_chain = $6, recorded_at = $7, config_position = $8, stable = $9, acked = $10, \
     cuts = $11, revision = $12 WHERE lane = 0";

/// A head, and the database's clock when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) head: Head,
    pub(crate) clock: Timestamp,
}

#[derive(Deserialize)]
struct StoredHead {
    format: u32,
    log: Uuid,
    database: Uuid,
    incarnation: Uuid,
    term: u64,
    granted: Option<Uuid>,
    lead: u64,
    tail_position: u64,
    tail_term: u64,
    tail_chain: Bytes16,
    recorded_at: i64,
    config_position: u64,
    content: Option<String>,
    stable: u64,
    acked: u64,
    cuts: u64,
    revision: u64,
    cut: Option<StoredCut>,
    clock: i64,
}

#[derive(Deserialize)]
struct StoredCut {
    number: u64,
    keep_position: u64,
    keep_term: u64,
    keep_chain: Bytes16,
    removed_position: u64,
    removed_term: u64,
    removed_chain: Bytes16,
    term: u64,
}

/// Only what every format has.
#[derive(Deserialize)]
struct StoredFormat {
    format: u32,
}

/// The head, as of this statement's snapshot.
pub(crate) async fn load(connection: &mut PgConnection) -> Result<Read, EngineError> {
    let row = sqlx::query(LOAD).fetch_one(connection).await?;
    parse(row.try_get(0)?)
}

/// Reads what [`head!`] gave.
pub(crate) fn parse(text: Option<&str>) -> Result<Read, EngineError> {
    let text = text.ok_or_else(|| Failure::NotProvisioned("the schema has no head".into()))?;
    let damaged = |error: serde_json::Error| EngineError::damaged(format!("the head: {error}"));
    let StoredFormat { format } = serde_json::from_str(text).map_err(damaged)?;
    let read = || {
        let stored: StoredHead = serde_json::from_str(text).map_err(damaged)?;
        let clock = Timestamp::from_micros(stored.clock);
        Ok(Read { head: stored.into_head()?, clock })
    };
    // what a newer version left that this one cannot read is no damage
    read().map_err(|error: EngineError| match format {
        found if found > FORMAT => Failure::FormatTooNew { found, known: FORMAT }.into(),
        _ => error,
    })
}

impl StoredHead {
    fn into_head(self) -> Result<Head, EngineError> {
        let number = self.cuts;
        if number > 0 && self.cut.is_none() {
            return Err(EngineError::damaged(format!("truncation {number} is not recorded")));
        }
        let position = self.config_position;
        let missing = || EngineError::damaged(format!("there is no configuration at position {position}"));
        Ok(Head {
            identity: Identity {
                log: LogId::new(self.log),
                database: DatabaseId::new(self.database),
                incarnation: Incarnation::new(self.incarnation),
            },
            format: self.format,
            term: Term::new(self.term),
            grant: self.granted.map(Nonce::new),
            lead: Term::new(self.lead),
            tail: point(self.tail_position, self.tail_term, self.tail_chain),
            recorded_at: Timestamp::from_micros(self.recorded_at),
            config: config(position, &self.content.ok_or_else(missing)?)?,
            watermarks: Watermarks { stable: Position::new(self.stable), acked: Position::new(self.acked) },
            revision: self.revision,
            last_cut: self.cut.map(StoredCut::into_cut),
        })
    }
}

impl StoredCut {
    fn into_cut(self) -> Cut {
        Cut {
            number: self.number,
            keep: point(self.keep_position, self.keep_term, self.keep_chain),
            removed: point(self.removed_position, self.removed_term, self.removed_chain),
            term: Term::new(self.term),
        }
    }
}

/// A truncation as `row_to_json` gives it.
pub(crate) fn parse_cut(text: &str) -> Result<Cut, EngineError> {
    let cut: StoredCut =
        serde_json::from_str(text).map_err(|error| EngineError::damaged(format!("a truncation: {error}")))?;
    Ok(cut.into_cut())
}

fn point(position: u64, term: u64, chain: Bytes16) -> Point {
    Point { position: Position::new(position), term: Term::new(term), chain: Chain::from_bytes(chain.0) }
}

fn config(position: u64, content: &str) -> Result<ConfigPoint, EngineError> {
    let config = Config::parse(content.as_bytes())
        .map_err(|error| EngineError::damaged(format!("configuration at position {position}: {error}")))?;
    Ok(ConfigPoint { position: Position::new(position), config: Arc::new(config) })
}

/// The last configuration at or before a position.
pub(crate) async fn config_at(
    connection: &mut PgConnection,
    position: Position,
) -> Result<ConfigPoint, EngineError> {
    let row = sqlx::query(
        "SELECT position, content FROM polylog_configs WHERE position <= $1 ORDER BY position DESC LIMIT 1",
    )
    .bind(position.get().cast_signed())
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or_else(|| EngineError::damaged("the implicit configuration is missing"))?;
    config(row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get(1)?)
}

/// Records a configuration that an entry put in force.
pub(crate) async fn store_config(
    connection: &mut PgConnection,
    point: &ConfigPoint,
) -> Result<(), EngineError> {
    let content = serde_json::to_string(&*point.config)
        .map_err(|error| EngineError::damaged(format!("configuration at {}: {error}", point.position)))?;
    sqlx::query("INSERT INTO polylog_configs (position, content) VALUES ($1, $2)")
        .bind(point.position.get().cast_signed())
        .bind(content)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the head.
pub(crate) async fn store(connection: &mut PgConnection, head: &Head) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    let done = sqlx::query(STORE)
        .bind(number(head.term.get()))
        .bind(head.grant.map(Nonce::uuid))
        .bind(number(head.lead.get()))
        .bind(number(head.tail.position.get()))
        .bind(number(head.tail.term.get()))
        .bind(head.tail.chain.as_bytes().as_slice())
        .bind(head.recorded_at.as_micros())
        .bind(number(head.config.position.get()))
        .bind(number(head.watermarks.stable.get()))
        .bind(number(head.watermarks.acked.get()))
        .bind(number(head.cuts()))
        .bind(number(head.revision))
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(EngineError::damaged("the head is not one row")) }
}

/// What the log holds at a position where an entry ends: its point and time. Before the first entry: where the log
/// begins.
pub(crate) async fn entry_end(
    connection: &mut PgConnection,
    log: LogId,
    position: Position,
) -> Result<Option<(Point, Timestamp)>, EngineError> {
    if position.is_zero() {
        return Ok(Some((Point::start(log), Timestamp::EPOCH)));
    }
    let row = sqlx::query(
        "SELECT term, chain, recorded_at FROM polylog_events WHERE position = $1 AND last = position",
    )
    .bind(position.get().cast_signed())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let term = Term::new(row.try_get::<i64, _>(0)?.unsigned_abs());
    let chain = Chain::from_bytes(crate::rows::bytes(&row, 1)?);
    Ok(Some((Point { position, term, chain }, Timestamp::from_micros(row.try_get(2)?))))
}

/// Checks that the log ends where the head says.
pub(crate) async fn check_tail(connection: &mut PgConnection) -> Result<Head, EngineError> {
    // one statement: a head and a log of different moments would differ
    let row = sqlx::query(concat!(
        "SELECT ",
        head!(),
        ", e.position, e.last, e.term, e.chain, e.recorded_at FROM (VALUES (1)) one LEFT JOIN \
         (SELECT * FROM polylog_events ORDER BY position DESC LIMIT 1) e ON true"
    ))
    .fetch_one(connection)
    .await?;
    let Read { head, .. } = parse(row.try_get(0)?)?;
    let last = Position::new(row.try_get::<Option<i64>, _>(1)?.unwrap_or_default().unsigned_abs());
    let agrees = if last.is_zero() {
        head.tail == Point::start(head.identity.log) && head.recorded_at == Timestamp::EPOCH
    } else {
        let whole = row.try_get::<i64, _>(2)?.unsigned_abs() == last.get();
        let term = Term::new(row.try_get::<i64, _>(3)?.unsigned_abs());
        let chain = Chain::from_bytes(crate::rows::bytes(&row, 4)?);
        let at = Timestamp::from_micros(row.try_get(5)?);
        whole && head.tail == Point { position: last, term, chain } && head.recorded_at == at
    };
    if agrees {
        return Ok(head);
    }
    let tail = head.tail.position;
    Err(EngineError::damaged(format!(
        "the head stands at position {tail}, the log ends at {last} or differs there"
    )))
}

/// Records a truncation.
pub(crate) async fn store_cut(connection: &mut PgConnection, cut: &Cut) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    sqlx::query(
        "INSERT INTO polylog_cuts (number, keep_position, keep_term, keep_chain, removed_position, removed_term, \
         removed_chain, term) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(number(cut.number))
    .bind(number(cut.keep.position.get()))
    .bind(number(cut.keep.term.get()))
    .bind(cut.keep.chain.as_bytes().as_slice())
    .bind(number(cut.removed.position.get()))
    .bind(number(cut.removed.term.get()))
    .bind(cut.removed.chain.as_bytes().as_slice())
    .bind(number(cut.term.get()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Sixteen bytes as PostgreSQL writes them: `\x` and 32 digits.
struct Bytes16([u8; 16]);

impl<'de> Deserialize<'de> for Bytes16 {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let digits = text.strip_prefix("\\x").filter(|digits| digits.len() == 32);
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| serde::de::Error::custom("not 16 bytes in hexadecimal"))?;
        Ok(Self(number.to_be_bytes()))
    }
}
