//! Head and rows in one statement that commits by itself, if the log stands where the writer thinks.

use polylog_log::{Effect, Head, Position, Timestamp, Watermarks};
use sqlx::{PgConnection, Row};

use crate::{
    error::EngineError,
    faults,
    operation::{Stopped, Writer, at_commit},
    rows::{Rows, columns, given_rows, number},
    stalled, wait,
};

/// The conditions are what the decision rested on: who this database is, who leads it, its configuration, and its whole
/// history up to the tail. An UPDATE that waited for another one looks at them again, on the row as it is then. Not the
/// revision: watermarks and promises that come again may move it meanwhile. That ids and commits are new is left to
/// the unique indexes.
const SWAP: &str = concat!(
    "WITH h AS (UPDATE polylog_head SET tail_position = $23, tail_term = $24, tail_chain = $25, recorded_at = $26, \
     stable = greatest(stable, $27), acked = greatest(acked, $28), revision = revision + 1 \
     WHERE lane = 0 AND format = $29 AND log = $30 AND database = $31 AND incarnation = $32 AND term = $33 \
     AND lead = $34 AND config_position = $35 AND tail_position = $36 AND tail_chain = $37 \
     RETURNING stable, acked, revision), \
     e AS (INSERT INTO polylog_events (",
    columns!(),
    ") SELECT u.* FROM h, ",
    given_rows!(),
    " u) SELECT stable, acked, revision, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM h"
);

/// What became of a swap.
struct Swapped {
    head: Head,
    clock: Timestamp,
}

/// Writes what was decided on a remembered head, if the database still has that; gives the head afterwards. `None`: nothing was
/// written, and the answer needs the lock.
pub(crate) async fn swap(
    writer: &mut Writer,
    before: &Head,
    effect: &Effect,
) -> Result<Option<Head>, Stopped> {
    let rows = Rows::of(&effect.write);
    if !rows.fit_one_statement() {
        return Ok(None);
    }
    writer.faults.pass(faults::LOOKED_UP).await?;
    let connection = writer.slot.current()?;
    writer.is_committing = true;
    let swapped = match send(connection, before, &effect.head, rows).await {
        Ok(Some(swapped)) => swapped,
        Ok(None) => {
            writer.is_committing = false;
            writer.memory.lost();
            return Ok(None);
        }
        // an id, a commit or a stream that is there already: which one, is answered under the lock
        Err(error) if error.is_unique_violation() => {
            writer.is_committing = false;
            return Ok(None);
        }
        // whoever holds the lock may have fallen silent
        Err(error) if error.is_lock_timeout() => {
            writer.is_committing = false;
            stalled::end_sessions(writer.slot.current()?).await?;
            return Ok(None);
        }
        Err(error) => return Err(at_commit(error)),
    };
    writer.faults.pass(faults::COMMITTED).await.map_err(|stop| Stopped::after_commit(stop.into()))?;
    writer.memory.remember(&before.tail, swapped.head.clone(), &effect.write);
    writer.memory.set_clock(swapped.clock);
    wait::publish(&writer.tail, swapped.head.tail.position);
    Ok(Some(swapped.head))
}

/// `None` = the head is not `before`, and nothing was written.
async fn send<'a>(
    connection: &mut PgConnection,
    before: &'a Head,
    after: &'a Head,
    rows: Rows<'a>,
) -> Result<Option<Swapped>, EngineError> {
    let number_of = |number: u64| number.cast_signed();
    #[cfg(not(feature = "mutants"))]
    let query = sqlx::query(SWAP);
    #[cfg(feature = "mutants")]
    let query = sqlx::query(crate::mutants::swap(SWAP));
    let query = rows
        .bind(query)
        .bind(number_of(after.tail.position.get()))
        .bind(number_of(after.tail.term.get()))
        .bind(after.tail.chain.as_bytes().as_slice())
        .bind(after.recorded_at.as_micros())
        .bind(number_of(after.watermarks.stable.get()))
        .bind(number_of(after.watermarks.acked.get()))
        .bind(i64::from(before.format))
        .bind(before.identity.log.uuid())
        .bind(before.identity.database.uuid())
        .bind(before.identity.incarnation.uuid())
        .bind(number_of(before.term.get()))
        .bind(number_of(before.lead.get()))
        .bind(number_of(before.config.position.get()))
        .bind(number_of(before.tail.position.get()))
        .bind(before.tail.chain.as_bytes().as_slice());
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    let watermarks =
        Watermarks { stable: Position::new(number(&row, 0)?), acked: Position::new(number(&row, 1)?) };
    let head = Head { watermarks, revision: number(&row, 2)?, ..after.clone() };
    Ok(Some(Swapped { head, clock: Timestamp::from_micros(row.try_get(3)?) }))
}
