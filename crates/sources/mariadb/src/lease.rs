use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, Refusal};
use polylog_source_servers::faults;
use sqlx::Row;

use crate::{
    connection::Session,
    error::EngineError,
    operation::{Stopped, Writer},
    rows::number,
    tables::Statement,
};

const READ: Statement = Statement("SELECT holder, beat FROM polylog_leases WHERE name = ?");
const WRITE: Statement = Statement(
    "INSERT INTO polylog_leases (name, holder, beat) VALUES (?, ?, ?) \
     ON DUPLICATE KEY UPDATE holder = VALUES(holder), beat = VALUES(beat)",
);
const REMOVE: Statement = Statement("DELETE FROM polylog_leases WHERE name = ?");

/// See [`polylog_log::Source::lease`]. Under the lock of the head: a lease that nobody holds has no row to lock.
pub(crate) async fn lease(
    writer: &mut Writer,
    of: &Identity,
    swap: &LeaseSwap,
) -> Result<LeaseAnswer, Stopped> {
    let mut transaction = writer.begin().await?;
    if transaction.head.identity != *of {
        return Err(transaction.refuse(Refusal::WrongStore).await?);
    }
    let lease = read(transaction.session()?, &swap.name).await?;
    transaction.pass(faults::LOOKED_UP).await?;
    let is_expected = lease == swap.expect;
    if is_expected {
        write(transaction.session()?, &swap.name, swap.set.as_ref()).await?;
    }
    transaction.pass(faults::ROWS_WRITTEN).await?;
    transaction.commit().await?;
    let lease = if is_expected { swap.set.clone() } else { lease };
    Ok(LeaseAnswer { swapped: is_expected, lease })
}

async fn read(session: &mut Session, name: &str) -> Result<Option<Lease>, EngineError> {
    let row = session.query(READ).bind(name.as_bytes()).fetch_optional(&mut session.connection).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Lease { holder: row.try_get_unchecked(0)?, beat: number(&row, 1)? }))
}

async fn write(session: &mut Session, name: &str, lease: Option<&Lease>) -> Result<(), EngineError> {
    let query = match lease {
        Some(lease) => session
            .query(WRITE)
            .bind(name.as_bytes())
            .bind(lease.holder.as_bytes())
            .bind(lease.beat.cast_signed()),
        None => session.query(REMOVE).bind(name.as_bytes()),
    };
    query.execute(&mut session.connection).await?;
    Ok(())
}
