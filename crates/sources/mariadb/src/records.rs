//! What the log keeps beside its events: configurations and truncations.

use polylog_log::{Chain, ConfigPoint, Cut, LogId, Point, Position, Term, Timestamp};
use sqlx::Row;

use crate::{
    connection::Session,
    error::EngineError,
    head::config,
    rows::{bytes, number},
    tables::Statement,
};

const CONFIG_AT: Statement = Statement(
    "SELECT position, content FROM polylog_configs WHERE position <= ? ORDER BY position DESC LIMIT 1",
);
const STORE_CONFIG: Statement = Statement("INSERT INTO polylog_configs (position, content) VALUES (?, ?)");
const ENTRY_END: Statement =
    Statement("SELECT term, chain, recorded_at FROM polylog_events WHERE position = ? AND last = position");
const STORE_CUT: Statement = Statement(
    "INSERT INTO polylog_cuts (number, keep_position, keep_term, keep_chain, removed_position, removed_term, \
     removed_chain, term) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
);

/// The last configuration at or before a position.
pub(crate) async fn config_at(session: &mut Session, position: Position) -> Result<ConfigPoint, EngineError> {
    let query = session.query(CONFIG_AT).bind(position.get().cast_signed());
    let row = query.fetch_optional(&mut session.connection).await?;
    let row = row.ok_or_else(|| EngineError::damaged("the implicit configuration is missing"))?;
    config(number(&row, 0)?, row.try_get_unchecked(1)?)
}

/// Records a configuration that an entry put in force.
pub(crate) async fn store_config(session: &mut Session, point: &ConfigPoint) -> Result<(), EngineError> {
    let content = serde_json::to_string(&*point.config)
        .map_err(|error| EngineError::damaged(format!("configuration at {}: {error}", point.position)))?;
    let query = session.query(STORE_CONFIG).bind(point.position.get().cast_signed()).bind(content);
    query.execute(&mut session.connection).await?;
    Ok(())
}

/// What the log holds at a position where an entry ends: its point and time. Before the first entry: where the log
/// begins.
pub(crate) async fn entry_end(
    session: &mut Session,
    log: LogId,
    position: Position,
) -> Result<Option<(Point, Timestamp)>, EngineError> {
    if position.is_zero() {
        return Ok(Some((Point::start(log), Timestamp::EPOCH)));
    }
    let query = session.query(ENTRY_END).bind(position.get().cast_signed());
    let row = query.fetch_optional(&mut session.connection).await?;
    let Some(row) = row else { return Ok(None) };
    let term = Term::new(number(&row, 0)?);
    let chain = Chain::from_bytes(bytes(&row, 1)?);
    Ok(Some((Point { position, term, chain }, Timestamp::from_micros(row.try_get_unchecked(2)?))))
}

/// Records a truncation.
pub(crate) async fn store_cut(session: &mut Session, cut: &Cut) -> Result<(), EngineError> {
    let number = |number: u64| number.cast_signed();
    session
        .query(STORE_CUT)
        .bind(number(cut.number))
        .bind(number(cut.keep.position.get()))
        .bind(number(cut.keep.term.get()))
        .bind(cut.keep.chain.as_bytes().as_slice())
        .bind(number(cut.removed.position.get()))
        .bind(number(cut.removed.term.get()))
        .bind(cut.removed.chain.as_bytes().as_slice())
        .bind(number(cut.term.get()))
        .execute(&mut session.connection)
        .await?;
    Ok(())
}
