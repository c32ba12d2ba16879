use polylog_log::{
    Failure, Held, HeldRow, Identity, OperationError, Position, Repair, Repaired, Repairing, Rules,
};
use rusqlite::Connection;

use crate::{
    connection::Slot,
    error::EngineError,
    head, operation,
    rows::{self, RowReader, StoredEvent, columns, number},
};

const HELD: &str = concat!("SELECT ", columns!(), " FROM polylog_events WHERE position BETWEEN ?1 AND ?2");

/// See [`polylog_log::Source::repair`].
pub(crate) fn repair(slot: &mut Slot, of: &Identity, repair: &Repair) -> Result<Repaired, OperationError> {
    let outcome = operation::transact(slot, |connection, _| {
        let head = head::load(connection)?;
        let held = held(connection, repair)?;
        let rewrite = match head.admit_repair(of, Repairing { repair, held: &held }, Rules::ALL) {
            Ok(rewrite) => rewrite,
            Err(reason) => return Ok(Err((reason, Box::new(head)))),
        };
        // all of them first: what is damaged may stand in the way of another row
        for (_, event) in &rewrite.rows {
            let mut remove = connection.prepare_cached("DELETE FROM polylog_events WHERE position = ?1")?;
            remove.execute([event.position.get().cast_signed()])?;
        }
        rows::insert_rows(connection, rewrite.rows.iter().copied())?;
        Ok(Ok(rewrite.told(head)))
    })?;
    outcome.map_err(|(reason, head)| OperationError::Refused { reason, head })
}

fn held(connection: &Connection, repair: &Repair) -> Result<Vec<Held>, EngineError> {
    let Some(range) = repair.range() else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(HELD)?;
    let mut rows = statement.query([range.start(), range.end()].map(|at| at.get().cast_signed()))?;
    let (mut reader, mut found) = (RowReader::default(), Vec::new());
    while let Some(row) = rows.next()? {
        let held = match reader.read(row, 0) {
            Ok(StoredEvent { event, term, chain, fingerprint }) => {
                Held::Row(Box::new(HeldRow { event, term, chain, fingerprint }))
            }
            Err(EngineError::Failure(Failure::Damaged(_))) => Held::Unreadable,
            Err(error) => return Err(error),
        };
        found.push((Position::new(number(row, 0)?), held));
    }
    Ok(repair.held(found))
}
