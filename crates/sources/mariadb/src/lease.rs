use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, Refusal};
use polylog_source_servers::faults;
use sqlx::{MySqlConnection, Row};

use crate::{
    error::EngineError,
    operation::{Stopped, Writer},
    rows::number,
};

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
    let lease = read(transaction.connection()?, &swap.name).await?;
    transaction.pass(faults::LOOKED_UP).await?;
    let is_expected = lease == swap.expect;
    if is_expected {
        write(transaction.connection()?, &swap.name, swap.set.as_ref()).await?;
    }
    transaction.pass(faults::ROWS_WRITTEN).await?;
    transaction.commit().await?;
    let lease = if is_expected { swap.set.clone() } else { lease };
    Ok(LeaseAnswer { swapped: is_expected, lease })
}

async fn read(connection: &mut MySqlConnection, name: &str) -> Result<Option<Lease>, EngineError> {
    let row = sqlx::query("SELECT holder, beat FROM polylog_leases WHERE name = ?")
        .bind(name.as_bytes())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Lease { holder: row.try_get_unchecked(0)?, beat: number(&row, 1)? }))
}

async fn write(
    connection: &mut MySqlConnection,
    name: &str,
    lease: Option<&Lease>,
) -> Result<(), EngineError> {
    let query = match lease {
        Some(lease) => sqlx::query(
            "INSERT INTO polylog_leases (name, holder, beat) VALUES (?, ?, ?) \
             ON DUPLICATE KEY UPDATE holder = VALUES(holder), beat = VALUES(beat)",
        )
        .bind(name.as_bytes())
        .bind(lease.holder.as_bytes())
        .bind(lease.beat.cast_signed()),
        None => sqlx::query("DELETE FROM polylog_leases WHERE name = ?").bind(name.as_bytes()),
    };
    query.execute(connection).await?;
    Ok(())
}
