use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, OperationError, Refusal};
use rusqlite::{Connection, params};

use crate::{
    connection::Slot,
    error::EngineError,
    failpoints::{self, Stage},
    head, operation,
    rows::{number, text},
};

/// See [`polylog_log::Source::lease`].
pub(crate) fn lease(slot: &mut Slot, of: &Identity, swap: &LeaseSwap) -> Result<LeaseAnswer, OperationError> {
    let hit = slot.failpoint(failpoints::Operation::Lease);
    operation::transact(slot, failpoints::Operation::Lease, |connection| {
        let head = head::load(connection)?;
        if head.identity != *of {
            return Ok(Err((Refusal::WrongStore, Box::new(head))));
        }
        let lease = read(connection, &swap.name)?;
        hit(Stage::AfterLookups)?;
        if lease != swap.expect {
            return Ok(Ok(LeaseAnswer { swapped: false, lease }));
        }
        write(connection, &swap.name, swap.set.as_ref())?;
        hit(Stage::AfterRows)?;
        Ok(Ok(LeaseAnswer { swapped: true, lease: swap.set.clone() }))
    })
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
