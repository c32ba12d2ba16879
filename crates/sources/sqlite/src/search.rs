use polylog_log::{
    Category, EventType, Failure, Narrow, Select, Selected, StreamName, Tallied, Tallies, Tally, Timestamp,
};
use rusqlite::{Connection, ToSql, named_params};

use crate::{
    connection::Slot,
    error::EngineError,
    head,
    read::{Page, snapshot},
    rows::{columns, number},
};

/// What [`Given`] binds.
macro_rules! narrow {
    () => {
        " FROM polylog_events WHERE position BETWEEN :from AND :to AND time >= :since AND time < :until \
         AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types))) \
         AND (:categories IS NULL OR category IN (SELECT value FROM json_each(:categories)))"
    };
}

const SELECT: &str = concat!(
    "SELECT ",
    columns!(),
    narrow!(),
    " AND (:streams IS NULL OR stream IN (SELECT value FROM json_each(:streams))) ORDER BY position"
);

/// Where a slice of time begins: the remainder of a division has the sign of the time.
macro_rules! slice {
    () => {
        "time - (time % :slice + :slice) % :slice"
    };
}

const COUNT: &str =
    concat!("SELECT category, type, ", slice!(), ", NULL, count(*)", narrow!(), " GROUP BY 1, 2, 3");
/// With the metadata of each event, which seldom is another's.
const EACH: &str = concat!("SELECT category, type, ", slice!(), ", metadata, 1", narrow!());

/// A narrowing as parameters.
struct Given {
    since: i64,
    until: i64,
    types: Option<String>,
    categories: Option<String>,
}

impl Given {
    fn of(narrow: &Narrow) -> Self {
        let (since, until) = narrow.micros();
        Self {
            since,
            until,
            types: list(narrow.types.iter().map(EventType::as_str)),
            categories: list(narrow.categories.iter().map(Category::as_str)),
        }
    }
}

/// A list as JSON; `None` = it is empty, and means all.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| serde_json::json!(names).to_string())
}

/// See [`polylog_log::Source::select`].
pub(crate) fn select(slot: &mut Slot, select: &Select) -> Result<Selected, Failure> {
    let given = Given::of(&select.narrow);
    let streams = list(select.streams.iter().map(StreamName::as_str));
    let (from, to) = (select.range.start().get().cast_signed(), select.range.end().get().cast_signed());
    let parameters: &[(&str, &dyn ToSql)] = named_params! {
        ":from": from, ":to": to, ":since": given.since, ":until": given.until, ":types": given.types,
        ":categories": given.categories, ":streams": streams,
    };
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        let mut page = Page::new(select.max_events, select.max_bytes);
        let is_complete = page.fill(connection, SELECT, parameters)?;
        Ok(Selected::of(select, page.events, is_complete, head))
    })
}

/// See [`polylog_log::Source::tally`].
pub(crate) fn tally(slot: &mut Slot, tally: &Tally) -> Result<Tallied, Failure> {
    snapshot(slot, |connection| {
        let head = head::load(connection)?;
        Ok(Tallied { rows: counted(connection, tally)?.rows(), head })
    })
}

fn counted<'a>(connection: &Connection, tally: &'a Tally) -> Result<Tallies<'a>, EngineError> {
    let given = Given::of(&tally.narrow);
    let (from, to) = (tally.range.start().get().cast_signed(), tally.range.end().get().cast_signed());
    let sql = if tally.names.is_empty() { COUNT } else { EACH };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(named_params! {
        ":from": from, ":to": to, ":since": given.since, ":until": given.until, ":types": given.types,
        ":categories": given.categories, ":slice": tally.slice_micros(),
    })?;
    let mut tallies = Tallies::new(tally);
    while let Some(row) = rows.next()? {
        let text = |index| -> Result<&str, EngineError> {
            let text = row.get_ref(index)?.as_str();
            text.map_err(|_| EngineError::damaged("a name that is no text"))
        };
        let metadata = row.get_ref(3)?.as_blob_or_null();
        tallies.add(
            Category::recorded(text(0)?),
            EventType::recorded(text(1)?),
            Timestamp::from_micros(row.get(2)?),
            metadata.map_err(|_| EngineError::damaged("metadata that is no blob"))?,
            number(row, 4)?,
        );
    }
    Ok(tallies)
}
