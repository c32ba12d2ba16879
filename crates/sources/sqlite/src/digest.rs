use std::ops::RangeInclusive;

use polylog_log::{Chain, Digest, Digests, Failure, Position};
use rusqlite::Connection;

use crate::{connection::Slot, error::EngineError, read::snapshot, rows::bytes};

/// See [`polylog_log::Source::digests`].
pub(crate) fn digests(slot: &mut Slot, range: &RangeInclusive<Position>) -> Result<Digests, Failure> {
    snapshot(slot, |connection| {
        let (count, combined) = combine(connection, range)?;
        Ok(Digests { count, combined, chain: chain_at(connection, *range.end())? })
    })
}

fn combine(connection: &Connection, range: &RangeInclusive<Position>) -> Result<(u64, Digest), EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT digest FROM polylog_events WHERE position BETWEEN ?1 AND ?2")?;
    let bounds = [range.start().get().cast_signed(), range.end().get().cast_signed()];
    let mut rows = statement.query(bounds)?;
    let (mut count, mut combined) = (0, Digest::from_bytes([0; 16]));
    while let Some(row) = rows.next()? {
        combined.combine(Digest::from_bytes(bytes(row, 0)?));
        count += 1;
    }
    Ok((count, combined))
}

fn chain_at(connection: &Connection, position: Position) -> Result<Option<Chain>, EngineError> {
    let mut statement = connection.prepare_cached("SELECT chain FROM polylog_events WHERE position = ?1")?;
    let mut rows = statement.query([position.get().cast_signed()])?;
    rows.next()?.map(|row| Ok(Chain::from_bytes(bytes(row, 0)?))).transpose()
}
