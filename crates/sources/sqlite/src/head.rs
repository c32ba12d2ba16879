use std::sync::Arc;

use polylog_log::{
    Chain, Config, ConfigPoint, Cut, DatabaseId, FORMAT, Failure, Head, Identity, Incarnation, LogId, Nonce,
    Point, Position, Term, Timestamp, Watermarks,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    error::EngineError,
    rows::{bytes, number, optional, text, time},
};

const LOAD: &str = "SELECT h.format, h.log, h.database, h.incarnation, h.term, h.granted, h.lead, \
     h.tail_position, h.tail_term, h.tail_chain, h.recorded_at, h.config_position, c.content, \
     h.stable, h.acked, h.revision, h.cuts, \
     k.keep_position, k.keep_term, k.keep_chain, k.removed_position, k.removed_term, k.removed_chain, k.term \
     FROM polylog_head h \
     LEFT JOIN polylog_configs c ON c.position = h.config_position \
     LEFT JOIN polylog_cuts k ON k.number = h.cuts \
     WHERE h.lane = 0";

// identity and format are provisioning's
const STORE: &str = "UPDATE polylog_head SET term = ?1, granted = ?2, lead = ?3, tail_position = ?4, \
     tail_term = ?5, tail_chain = ?6, recorded_at = ?7, config_position = ?8, stable = ?9, acked = ?10, \
     cuts = ?11, revision = ?12 WHERE lane = 0";

/// The head, as of the transaction that the connection is in.
pub(crate) fn load(connection: &Connection) -> Result<Head, EngineError> {
    let mut statement = connection.prepare_cached(LOAD)?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or_else(|| Failure::NotProvisioned("the file has no head".into()))?;
    read(row)
}

fn read(row: &Row<'_>) -> Result<Head, EngineError> {
    let format = number(row, 0)?;
    let format = u32::try_from(format).unwrap_or(u32::MAX);
    // what a newer version left that this one cannot read is no damage
    read_columns(row, format).map_err(|error| match format {
        found if found > FORMAT => Failure::FormatTooNew { found, known: FORMAT }.into(),
        _ => error,
    })
}

fn read_columns(row: &Row<'_>, format: u32) -> Result<Head, EngineError> {
    let cuts = number(row, 16)?;
    Ok(Head {
        identity: Identity {
            log: LogId::from_bytes(bytes(row, 1)?),
            database: DatabaseId::from_bytes(bytes(row, 2)?),
            incarnation: Incarnation::from_bytes(bytes(row, 3)?),
        },
        format,
        term: Term::new(number(row, 4)?),
        grant: optional(row, 5, bytes)?.map(Nonce::from_bytes),
        lead: Term::new(number(row, 6)?),
        tail: point(row, 7)?,
        recorded_at: time(row, 10)?,
        config: config(number(row, 11)?, text(row, 12)?)?,
        watermarks: Watermarks {
            stable: Position::new(number(row, 13)?),
            acked: Position::new(number(row, 14)?),
        },
        revision: number(row, 15)?,
        last_cut: if cuts == 0 { None } else { Some(cut(row, 16)?) },
    })
}

/// The truncation with this number.
pub(crate) fn cut_by_number(connection: &Connection, number: u64) -> Result<Cut, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, keep_position, keep_term, keep_chain, removed_position, removed_term, removed_chain, term \
         FROM polylog_cuts WHERE number = ?1",
    )?;
    let mut rows = statement.query([number.cast_signed()])?;
    let missing = || EngineError::damaged(format!("truncation {number} is not recorded"));
    cut(rows.next()?.ok_or_else(missing)?, 0)
}

/// A truncation, from its number on.
fn cut(row: &Row<'_>, at: usize) -> Result<Cut, EngineError> {
    Ok(Cut {
        number: number(row, at)?,
        keep: point(row, at + 1)?,
        removed: point(row, at + 4)?,
        term: Term::new(number(row, at + 7)?),
    })
}

fn point(row: &Row<'_>, at: usize) -> Result<Point, EngineError> {
    Ok(Point {
        position: Position::new(number(row, at)?),
        term: Term::new(number(row, at + 1)?),
        chain: Chain::from_bytes(bytes(row, at + 2)?),
    })
}

fn config(position: u64, content: &str) -> Result<ConfigPoint, EngineError> {
    let config = Config::parse(content.as_bytes())
        .map_err(|error| EngineError::damaged(format!("configuration at position {position}: {error}")))?;
    Ok(ConfigPoint { position: Position::new(position), config: Arc::new(config) })
}

/// The last configuration at or before a position.
pub(crate) fn config_at(connection: &Connection, position: Position) -> Result<ConfigPoint, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, content FROM polylog_configs WHERE position <= ?1 ORDER BY position DESC LIMIT 1",
    )?;
    let mut rows = statement.query([position.get().cast_signed()])?;
    let row = rows.next()?.ok_or_else(|| EngineError::damaged("the implicit configuration is missing"))?;
    config(number(row, 0)?, text(row, 1)?)
}

/// Records a configuration that an entry put in force.
pub(crate) fn store_config(connection: &Connection, point: &ConfigPoint) -> Result<(), EngineError> {
    let content = serde_json::to_string(&*point.config)
        .map_err(|error| EngineError::damaged(format!("configuration at {}: {error}", point.position)))?;
    connection
        .prepare_cached("INSERT INTO polylog_configs (position, content) VALUES (?1, ?2)")?
        .execute(params![point.position.get().cast_signed(), content])?;
    Ok(())
}

/// Writes the head.
pub(crate) fn store(connection: &Connection, head: &Head) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    let changed = connection.prepare_cached(STORE)?.execute(params![
        number(head.term.get()),
        head.grant.as_ref().map(|nonce| nonce.as_bytes().as_slice()),
        number(head.lead.get()),
        number(head.tail.position.get()),
        number(head.tail.term.get()),
        head.tail.chain.as_bytes().as_slice(),
        head.recorded_at.as_micros(),
        number(head.config.position.get()),
        number(head.watermarks.stable.get()),
        number(head.watermarks.acked.get()),
        number(head.cuts()),
        number(head.revision),
    ])?;
    if changed == 1 { Ok(()) } else { Err(EngineError::damaged("the head is not one row")) }
}

/// What the log holds at a position where an entry ends: its point and time. Before the first entry: where the log
/// begins.
pub(crate) fn entry_end(
    connection: &Connection,
    head: &Head,
    position: Position,
) -> Result<Option<(Point, Timestamp)>, EngineError> {
    if position.is_zero() {
        return Ok(Some((Point::start(head.identity.log), Timestamp::EPOCH)));
    }
    let mut statement = connection.prepare_cached(
        "SELECT position, term, chain, recorded_at FROM polylog_events WHERE position = ?1 AND last = position",
    )?;
    let mut rows = statement.query([position.get().cast_signed()])?;
    rows.next()?.map(|row| Ok((point(row, 0)?, time(row, 3)?))).transpose()
}

/// Checks that the log ends where the head says.
pub(crate) fn check_tail(connection: &Connection, head: &Head) -> Result<(), EngineError> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT position FROM polylog_events ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let last = Position::new(last.unwrap_or(0).unsigned_abs());
    let end = entry_end(connection, head, last)?;
    let agrees = end.is_some_and(|(point, at)| point == head.tail && at == head.recorded_at);
    if agrees {
        return Ok(());
    }
    let tail = head.tail.position;
    Err(EngineError::damaged(format!(
        "the head stands at position {tail}, the log ends at {last} or differs there"
    )))
}

/// Records a truncation.
pub(crate) fn store_cut(connection: &Connection, cut: &Cut) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    connection
        .prepare_cached(
            "INSERT INTO polylog_cuts (number, keep_position, keep_term, keep_chain, removed_position, \
             removed_term, removed_chain, term) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            number(cut.number),
            number(cut.keep.position.get()),
            number(cut.keep.term.get()),
            cut.keep.chain.as_bytes().as_slice(),
            number(cut.removed.position.get()),
            number(cut.removed.term.get()),
            cut.removed.chain.as_bytes().as_slice(),
            number(cut.term.get()),
        ])?;
    Ok(())
}
