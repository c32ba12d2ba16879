use futures::TryStreamExt;
use polylog_log::{Failure, Held, Identity, Position, Repair, Repaired, Repairing, Rules};
use polylog_source_servers::patience::Patience;
use sqlx::PgConnection;

use crate::{
    error::EngineError,
    operation::{Stopped, Writer},
    rows::{self, RowReader, columns, number},
};

const HELD: &str = concat!("SELECT ", columns!(), " FROM polylog_events WHERE position BETWEEN $1 AND $2");

/// See [`polylog_log::Source::repair`].
pub(crate) async fn repair(writer: &mut Writer, of: &Identity, repair: &Repair) -> Result<Repaired, Stopped> {
    let patience = writer.handle.patience();
    // what is remembered of streams may have been read while a row was missing
    writer.memory.forget();
    let mut transaction = writer.begin().await?;
    let held = held(transaction.connection()?, repair, patience).await?;
    let head = transaction.head.clone();
    let rewrite = match head.admit_repair(of, Repairing { repair, held: &held }, Rules::ALL) {
        Ok(rewrite) => rewrite,
        Err(reason) => return Err(transaction.refuse(reason).await?),
    };
    // all of them first: what is damaged may stand in the way of another row
    let positions: Vec<i64> =
        rewrite.rows.iter().map(|(_, event)| event.position.get().cast_signed()).collect();
    let remove = sqlx::query("DELETE FROM polylog_events WHERE position = ANY($1)").bind(positions);
    remove.execute(transaction.connection()?).await.map_err(EngineError::from)?;
    rows::insert_rows(transaction.connection()?, &rewrite.rows).await?;
    transaction.commit().await?;
    Ok(rewrite.told(head.clone()))
}

async fn held(
    connection: &mut PgConnection,
    repair: &Repair,
    patience: Patience,
) -> Result<Vec<Held>, EngineError> {
    let Some(range) = repair.range() else { return Ok(Vec::new()) };
    let (from, to) = (range.start().get().cast_signed(), range.end().get().cast_signed());
    let mut rows = sqlx::query(HELD).bind(from).bind(to).fetch(connection);
    let (mut reader, mut found) = (RowReader::default(), Vec::new());
    while let Some(row) = rows.try_next().await? {
        let held = match reader.read(&row, 0) {
            Ok(stored) => stored.into(),
            Err(error) if matches!(error.failure(patience), Failure::Damaged(_)) => Held::Unreadable,
            Err(error) => return Err(error),
        };
        found.push((Position::new(number(&row, 0)?), held));
    }
    Ok(repair.held(found))
}
