use futures::TryStreamExt;
use polylog_log::{Failure, Held, Identity, Position, Repair, Repaired, Repairing, Rules};
use polylog_source_servers::patience::Patience;

use crate::{
    connection::Session,
    error::EngineError,
    insert,
    operation::{Stopped, Writer},
    rows::{NewRow, RowReader, columns, number},
    script::Script,
    tables::Statement,
};

const HELD: Statement =
    Statement(concat!("SELECT ", columns!(), " FROM polylog_events WHERE position BETWEEN ? AND ?"));
const REMOVE: Statement = Statement("DELETE FROM polylog_events WHERE position = ?");

/// See [`polylog_log::Source::repair`].
pub(crate) async fn repair(writer: &mut Writer, of: &Identity, repair: &Repair) -> Result<Repaired, Stopped> {
    let patience = writer.handle.patience();
    // what is remembered of streams may have been read while a row was missing
    writer.memory.forget();
    let mut transaction = writer.begin().await?;
    let held = held(transaction.session()?, repair, patience).await?;
    let head = transaction.head.clone();
    let rewrite = match head.admit_repair(of, Repairing { repair, held: &held }, Rules::ALL) {
        Ok(rewrite) => rewrite,
        Err(reason) => return Err(transaction.refuse(reason).await?),
    };
    let session = transaction.session()?;
    // all of them first: what is damaged may stand in the way of another row
    for (_, event) in &rewrite.rows {
        let remove = session.query(REMOVE).bind(event.position.get().cast_signed());
        remove.execute(&mut session.connection).await.map_err(EngineError::from)?;
    }
    let rows: Vec<_> = rewrite.rows.iter().map(|(entry, event)| NewRow { entry, event }).collect();
    let few = insert::most(session, &rows).await?;
    if !few.is_empty() {
        let rows = insert::as_text(&session.statements, few);
        Script::default().then(rows).run(&mut session.connection).await.map_err(EngineError::from)?;
    }
    transaction.commit().await?;
    Ok(rewrite.told(head.clone()))
}

async fn held(session: &mut Session, repair: &Repair, patience: Patience) -> Result<Vec<Held>, EngineError> {
    let Some(range) = repair.range() else { return Ok(Vec::new()) };
    let (from, to) = (range.start().get().cast_signed(), range.end().get().cast_signed());
    let mut rows = session.query(HELD).bind(from).bind(to).fetch(&mut session.connection);
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
