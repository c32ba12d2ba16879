//! Pages of rows with the head they belong to: one statement, and as many more as the page needs.
//!
//! Not one transaction for all parts of a page: a long snapshot on a primary makes every append slower.

use futures::TryStreamExt;
use polylog_log::{Failure, Head};
use sqlx::{
    MySql, MySqlConnection, Row,
    mysql::{MySqlArguments, MySqlRow},
    query::Query,
};

pub(crate) use polylog_source_servers::room::{Guess, Room};

use crate::{error::EngineError, head, rows};

/// A statement that gives the head in its first row, a text of its own in its second, and events in the others. The
/// server sends the rows of each part as they come: UNION ALL without an order of its own needs no table in between.
macro_rules! page {
    ($note:expr, $($events:expr),+) => {
        concat!(
            "SELECT ", crate::head::head!(), ", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             UNION ALL SELECT ", $note, ", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             UNION ALL (SELECT NULL, ", crate::rows::columns!(), " FROM polylog_events ", $($events),+, ")"
        )
    };
}
pub(crate) use page;

/// Where the columns of an event begin.
pub(crate) const EVENT: usize = 1;

/// How many times a page is begun again because a truncation came between its parts.
const TRIES: usize = 10;

/// What is read part by part.
pub(crate) trait Page {
    /// The statement of the next part, a [`page!`] of at most `limit` events.
    fn query(&self, limit: i64) -> Query<'static, MySql, MySqlArguments>;

    fn room(&self) -> &Room;

    /// Takes one row; `false` = it is not wanted, and nothing after it.
    fn take(&mut self, row: &MySqlRow) -> Result<bool, EngineError>;
}

/// A page with what came in its first rows.
pub(crate) struct Read<P> {
    pub(crate) page: P,
    pub(crate) head: Head,
    pub(crate) note: Option<String>,
    /// Whether there was nothing more to take.
    pub(crate) is_complete: bool,
}

/// How one statement ended.
enum End {
    MoreIsWanted,
    EnoughIsRead,
    NothingIsLeft,
    /// A truncation came between this part and the first.
    OtherHistory,
}

/// Reads a page, again from its beginning if a truncation comes between its parts.
pub(crate) async fn read<P: Page>(
    connection: &mut MySqlConnection,
    new: impl Fn() -> P,
) -> Result<Read<P>, EngineError> {
    for _ in 0..TRIES {
        let (mut page, mut first) = (new(), None);
        loop {
            let end = part(connection, &mut page, &mut first).await?;
            let is_complete = match end {
                End::MoreIsWanted => continue,
                End::OtherHistory => break,
                End::EnoughIsRead => false,
                End::NothingIsLeft => true,
            };
            let (head, note) = first.ok_or_else(missing)?;
            return Ok(Read { page, head, note, is_complete });
        }
    }
    Err(Failure::Unreachable("the log was truncated again and again while it was read".into()).into())
}

async fn part(
    connection: &mut MySqlConnection,
    page: &mut impl Page,
    first: &mut Option<(Head, Option<String>)>,
) -> Result<End, EngineError> {
    let limit = page.room().rows();
    let mut rows = page.query(limit as i64).fetch(connection);
    let row = rows.try_next().await?.ok_or_else(missing)?;
    let head = head::parse(row.try_get_unchecked(0)?)?.head;
    let row = rows.try_next().await?.ok_or_else(missing)?;
    let (known, _) = first.get_or_insert((head.clone(), row.try_get_unchecked(0)?));
    // without a truncation between, what stood in the log up to the tail of the first part still stands there
    if known.cuts() != head.cuts() || known.identity != head.identity {
        return Ok(End::OtherHistory);
    }
    let tail = known.tail.position.get();
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        count += 1;
        if rows::number(&row, EVENT)? > tail {
            return Ok(End::NothingIsLeft);
        }
        if !page.take(&row)? {
            return Ok(End::EnoughIsRead);
        }
    }
    Ok(if count < limit { End::NothingIsLeft } else { End::MoreIsWanted })
}

fn missing() -> EngineError {
    EngineError::damaged("a page without its head")
}
