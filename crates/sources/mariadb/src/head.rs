//! The head as one JSON text: it fits into one column, so that a page and its head are one statement, and reads alike
//! whichever protocol brought it.

use std::sync::Arc;

use polylog_log::{
    Chain, Config, ConfigPoint, Cut, DatabaseId, FORMAT, Failure, Head, Identity, Incarnation, LogId, Nonce,
    Point, Position, Term, Timestamp, Watermarks,
};
use serde::Deserialize;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    connection::Session,
    error::EngineError,
    rows::{bytes, number},
    tables::Statement,
};

/// A truncation as JSON; one of nulls where there is none.
macro_rules! cut {
    () => {
        "JSON_OBJECT('number', k.number, 'keep_position', k.keep_position, 'keep_term', k.keep_term, \
         'keep_chain', HEX(k.keep_chain), 'removed_position', k.removed_position, 'removed_term', k.removed_term, \
         'removed_chain', HEX(k.removed_chain), 'term', k.term)"
    };
}
pub(crate) use cut;

/// The head of this snapshot; null where there is none.
macro_rules! head {
    () => {
        concat!(
            "(SELECT JSON_OBJECT('format', h.format, 'log', HEX(h.log), 'database', HEX(h.`database`), \
             'incarnation', HEX(h.incarnation), 'term', h.term, 'granted', HEX(h.granted), 'lead', h.`lead`, \
             'tail_position', h.tail_position, 'tail_term', h.tail_term, 'tail_chain', HEX(h.tail_chain), \
             'recorded_at', h.recorded_at, 'config_position', h.config_position, 'content', c.content, \
             'stable', h.stable, 'acked', h.acked, 'cuts', h.cuts, 'revision', h.revision, 'cut', ",
            crate::head::cut!(),
            ", 'clock', ",
            crate::head::clock!(),
            ") FROM polylog_head h LEFT JOIN polylog_configs c ON c.position = h.config_position \
             LEFT JOIN polylog_cuts k ON k.number = h.cuts WHERE h.lane = 0)"
        )
    };
}
pub(crate) use head;

/// The server's clock at the beginning of this statement, in microseconds since 1970. Not UNIX_TIMESTAMP, which ends in
/// 2038.
macro_rules! clock {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
}
pub(crate) use clock;

const LOAD: Statement = Statement(concat!("SELECT ", head!()));

// identity and format are provisioning's
const STORE: Statement = Statement(
    "UPDATE polylog_head SET term = ?, granted = ?, `lead` = ?, tail_position = ?, \
     tail_term = ?, tail_chain = ?, recorded_at = ?, config_position = ?, stable = ?, acked = ?, \
     cuts = ?, revision = ? WHERE lane = 0",
);

/// One statement: a head and a log of different moments would differ.
const WITH_TAIL: Statement = Statement(concat!(
    "SELECT ",
    head!(),
    ", e.position, e.last, e.term, e.chain, e.recorded_at FROM (SELECT 1 AS one) o LEFT JOIN \
     (SELECT position, last, term, chain, recorded_at FROM polylog_events ORDER BY position DESC LIMIT 1) e \
     ON TRUE"
));

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
    cut: serde_json::Value,
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
pub(crate) async fn load(session: &mut Session) -> Result<Read, EngineError> {
    let row = session.query(LOAD).fetch_one(&mut session.connection).await?;
    parse(row.try_get_unchecked(0)?)
}

/// Reads what [`head!`] gave.
pub(crate) fn parse(text: Option<&str>) -> Result<Read, EngineError> {
    let text = text.ok_or_else(|| Failure::NotProvisioned("the database has no head".into()))?;
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
        let last_cut = read_cut(self.cut)?;
        if number > 0 && last_cut.is_none() {
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
            last_cut,
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

/// A truncation as [`cut!`] gives it; `None` where there is none.
pub(crate) fn parse_cut(text: &str) -> Result<Option<Cut>, EngineError> {
    read_cut(serde_json::from_str(text).map_err(not_a_cut)?)
}

fn read_cut(value: serde_json::Value) -> Result<Option<Cut>, EngineError> {
    if value.get("number").is_none_or(serde_json::Value::is_null) {
        return Ok(None);
    }
    let stored: StoredCut = serde_json::from_value(value).map_err(not_a_cut)?;
    Ok(Some(stored.into_cut()))
}

fn not_a_cut(error: serde_json::Error) -> EngineError {
    EngineError::damaged(format!("a truncation: {error}"))
}

fn point(position: u64, term: u64, chain: Bytes16) -> Point {
    Point { position: Position::new(position), term: Term::new(term), chain: Chain::from_bytes(chain.0) }
}

pub(crate) fn config(position: u64, content: &str) -> Result<ConfigPoint, EngineError> {
    let config = Config::parse(content.as_bytes())
        .map_err(|error| EngineError::damaged(format!("configuration at position {position}: {error}")))?;
    Ok(ConfigPoint { position: Position::new(position), config: Arc::new(config) })
}

/// Writes the head.
pub(crate) async fn store(session: &mut Session, head: &Head) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    let done = session
        .query(STORE)
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
        .execute(&mut session.connection)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(EngineError::damaged("the head is not one row")) }
}

/// Checks that the log ends where the head says.
pub(crate) async fn check_tail(session: &mut Session) -> Result<Head, EngineError> {
    let row = session.query(WITH_TAIL).fetch_one(&mut session.connection).await?;
    let Read { head, .. } = parse(row.try_get_unchecked(0)?)?;
    let last: Option<i64> = row.try_get_unchecked(1)?;
    let last = Position::new(last.unwrap_or_default().unsigned_abs());
    let agrees = if last.is_zero() {
        head.tail == Point::start(head.identity.log) && head.recorded_at == Timestamp::EPOCH
    } else {
        let whole = number(&row, 2)? == last.get();
        let (term, chain) = (Term::new(number(&row, 3)?), Chain::from_bytes(bytes(&row, 4)?));
        let at = Timestamp::from_micros(row.try_get_unchecked(5)?);
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

/// Sixteen bytes as HEX writes them: 32 digits.
struct Bytes16([u8; 16]);

impl<'de> Deserialize<'de> for Bytes16 {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| text.len() == 32);
        let number = number.ok_or_else(|| serde::de::Error::custom("not 16 bytes in hexadecimal"))?;
        Ok(Self(number.to_be_bytes()))
    }
}
