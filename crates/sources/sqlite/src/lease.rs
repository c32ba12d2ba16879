use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, OperationError, Refusal};
use rusqlite::{Connection, params};

use crate::{
    connection::Slot,
    error::EngineError,
    faults, head, operation,
    rows::{number, text},
};

/// See [`polylog_log::Source::lease`].
pub(crate) fn lease(slot: &mut Slot, of: &Identity, swap: &LeaseSwap) -> Result<LeaseAnswer, OperationError> {
    let answer = operation::transact(slot, |connection, faults| {
        let head = head::load(connection)?;
        if head.identity != *of {
            return Ok(Err(Box::new(head)));
        }
        let lease = read(connection, &swap.name)?;
        faults.pass(faults::LOOKED_UP)?;
        if lease != swap.expect {
            return Ok(Ok(LeaseAnswer { swapped: false, lease }));
        }
        write(connection, &swap.name, swap.set.as_ref())?;
        faults.pass(faults::ROWS_WRITTEN)?;
        Ok(Ok(LeaseAnswer { swapped: true, lease: swap.set.clone() }))
    })?;
    answer.map_err(|head| OperationError::Refused { reason: Refusal::WrongStore, head })
}

fn read(connection: &Connection, name: &str) -> Result<Option<Lease>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT holder, beat FROM polylog_leases WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Lease { holder: text(row, 0)?.to_owned(), beat: number(row, 1)? }))
}

fn write(connection: &Connection, name: &str, lease: Option<&Lease>) -> Result<(), EngineError> {
    match lease {
        Some(lease) => connection
            .prepare_cached("INSERT OR REPLACE INTO polylog_leases (name, holder, beat) VALUES (?1, ?2, ?3)")?
            .execute(params![name, lease.holder, lease.beat.cast_signed()])?,
        None => connection.prepare_cached("DELETE FROM polylog_leases WHERE name = ?1")?.execute([name])?,
    };
    Ok(())
}
