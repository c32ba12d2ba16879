use futures::TryStreamExt;
use polylog_log::{QuarantinePlace, Quarantined};
use sqlx::{PgConnection, Row};

use crate::{
    error::EngineError,
    head,
    rows::{EntryBuilder, RowReader, columns, number},
};

/// Rows of one statement.
const ROWS: i64 = 500;

/// What truncations removed only grows, so that parts of it need no snapshot.
const READ: &str = concat!(
    "SELECT ",
    columns!(),
    ", cut, (SELECT row_to_json(k)::text FROM polylog_cuts k WHERE k.number = q.cut) \
     FROM polylog_quarantine q WHERE (cut, position) > ($1, $2) ORDER BY cut, position LIMIT $3"
);

/// Where the columns behind those of an event stand.
const CUT: usize = 22;
const CUT_RECORD: usize = 23;

/// See [`polylog_log::Source::quarantine`].
pub(crate) async fn quarantine(
    connection: &mut PgConnection,
    after: QuarantinePlace,
    limit: usize,
) -> Result<Vec<Quarantined>, EngineError> {
    let mut at = (after.cut.cast_signed(), after.position.get().cast_signed());
    let (mut reader, mut builder) = (RowReader::default(), EntryBuilder::default());
    let mut found = Vec::new();
    while found.len() < limit {
        let mut rows = sqlx::query(READ).bind(at.0).bind(at.1).bind(ROWS).fetch(&mut *connection);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            count += 1;
            let stored = reader.read(&row, 0)?;
            at = (number(&row, CUT)?.cast_signed(), stored.event.position.get().cast_signed());
            let Some(entry) = builder.push(stored)? else { continue };
            let record: Option<&str> = row.try_get(CUT_RECORD)?;
            let missing = || EngineError::damaged(format!("truncation {} is not recorded", at.0));
            if found.len() < limit {
                found.push(Quarantined { cut: head::parse_cut(record.ok_or_else(missing)?)?, entry });
            }
        }
        if count < ROWS {
            break;
        }
    }
    Ok(found)
}
