//! Pages of rows with the head they belong to: one statement, and as many more as the page needs.
//!
//! Not one transaction for all parts of a page: a long snapshot on a primary makes every append slower.

use futures::TryStreamExt;
use polylog_source_servers::page::{Page, Read, Reading};
use sqlx::{MySql, Row, mysql::MySqlArguments, query::Query};

use crate::{connection::Session, error::EngineError, head, rows::RowReader, tables::Statements};

/// A statement that gives the head in its first row, a text of its own in its second, and events in the others. The
/// server sends the rows of each part as they come: UNION ALL without an order of its own needs no table in between.
macro_rules! page {
    ($note:expr, $($events:expr),+) => {
        crate::tables::Statement(concat!(
            "SELECT ", crate::head::head!(), ", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             UNION ALL SELECT ", $note, ", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             UNION ALL (SELECT NULL, ", crate::rows::columns!(), " FROM polylog_events ", $($events),+, ")"
        ))
    };
}
pub(crate) use page;

/// Where the columns of an event begin.
pub(crate) const EVENT: usize = 1;

/// A page that is read with a statement.
pub(crate) trait Ask: Page {
    /// The statement of the next part, a [`page!`] of at most `limit` events.
    fn query(&self, statements: &Statements, limit: i64) -> Query<'static, MySql, MySqlArguments>;
}

/// Reads a page, again from its beginning if a truncation comes between its parts.
pub(crate) async fn read<P: Ask>(session: &mut Session, new: impl Fn() -> P) -> Result<Read<P>, EngineError> {
    let mut reading = Reading::new(new);
    let mut reader = RowReader::default();
    loop {
        let (page, limit) = reading.next_part();
        let mut rows = page.query(&session.statements, limit as i64).fetch(&mut session.connection);
        let row = rows.try_next().await?.ok_or_else(missing)?;
        let head = head::parse(row.try_get_unchecked(0)?)?.head;
        let row = rows.try_next().await?.ok_or_else(missing)?;
        if !reading.begin(head, row.try_get_unchecked(0)?)? {
            continue;
        }
        while let Some(row) = rows.try_next().await? {
            if !reading.take(reader.read(&row, EVENT)?)? {
                break;
            }
        }
        reading = match reading.finish() {
            Ok(read) => return Ok(read),
            Err(reading) => reading,
        };
    }
}

fn missing() -> EngineError {
    EngineError::damaged("a page without its head")
}
