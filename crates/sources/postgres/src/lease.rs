use polylog_log::{Identity, Lease, LeaseAnswer, LeaseSwap, Refusal};
use sqlx::{PgConnection, Row};

use crate::{
    error::EngineError,
    faults,
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

async fn read(connection: &mut PgConnection, name: &str) -> Result<Option<Lease>, EngineError> {
    let row = sqlx::query("SELECT holder, beat FROM polylog_leases WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Lease { holder: row.try_get(0)?, beat: number(&row, 1)? }))
}

async fn write(connection: &mut PgConnection, name: &str, lease: Option<&Lease>) -> Result<(), EngineError> {
    let query = match lease {
        Some(lease) => sqlx::query(
            "INSERT INTO polylog_leases (name, holder, beat) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, beat = excluded.beat",
        )
        .bind(name)
        .bind(&lease.holder)
        .bind(lease.beat.cast_signed()),
        None => sqlx::query("DELETE FROM polylog_leases WHERE name = $1").bind(name),
    };
    query.execute(connection).await?;
    Ok(())
}
