use futures::TryStreamExt;
use polylog_log::{
    Category, EventType, Head, Narrow, Select, Selected, StreamName, Tallied, Tallies, Tally, Timestamp,
};
use polylog_source_servers::page::{Guess, SelectedEvents, Sized};
use sqlx::{MySql, Row, mysql::MySqlArguments, query::Query};

use crate::{
    connection::Session,
    error::EngineError,
    head,
    page::{self, Ask, page},
    tables::{Statement, Statements},
};

/// Most names that a statement has places for; rows of a longer list are looked at afterwards.
const MOST_NAMES: usize = 8;

/// What [`narrowed`] gives the parameters of.
macro_rules! narrow {
    () => {
        "WHERE position BETWEEN ? AND ? AND time >= ? AND time < ? \
         AND (? OR type IN (?, ?, ?, ?, ?, ?, ?, ?)) AND (? OR category IN (?, ?, ?, ?, ?, ?, ?, ?)) "
    };
}

const SELECT: Statement =
    page!("NULL", narrow!(), "AND (? OR stream IN (?, ?, ?, ?, ?, ?, ?, ?)) ORDER BY position LIMIT ?");

/// The head, and then how many events are alike in category, type, slice of time (the remainder of a division has the sign
/// of the time) and what `$metadata` says.
macro_rules! tally {
    ($metadata:expr, $count:expr, $group:expr) => {
        Statement(concat!(
            "SELECT ",
            crate::head::head!(),
            ", NULL, NULL, NULL, NULL, NULL \
             UNION ALL (SELECT NULL, category, type, time - (time % ? + ?) % ?, ",
            $metadata,
            ", ",
            $count,
            " FROM polylog_events ",
            narrow!(),
            $group,
            ")"
        ))
    };
}

const COUNT: Statement = tally!("NULL", "count(*)", "GROUP BY 2, 3, 4");
/// With the metadata of each event: not grouped by it, since of long values only the beginning would be compared.
const EACH: Statement = tally!("metadata", "1", "");

type Given = Query<'static, MySql, MySqlArguments>;

fn narrowed(query: Given, range: (i64, i64), narrow: &Narrow) -> Given {
    let (since, until) = narrow.micros();
    let query = query.bind(range.0).bind(range.1).bind(since).bind(until);
    let query = listed(query, &narrow.types.iter().map(EventType::as_str).collect::<Vec<_>>());
    listed(query, &narrow.categories.iter().map(Category::as_str).collect::<Vec<_>>())
}

/// An empty list means all.
fn listed(query: Given, names: &[&str]) -> Given {
    let holds_all = names.is_empty() || names.len() > MOST_NAMES;
    (0..MOST_NAMES).fold(query.bind(holds_all), |query, index| {
        let name = names.get(index).or(names.last()).copied().unwrap_or_default();
        query.bind(name.as_bytes().to_vec())
    })
}

/// See [`polylog_log::Source::select`].
pub(crate) async fn select(
    session: &mut Session,
    select: &Select,
    guess: Guess,
) -> Result<Sized<Selected>, EngineError> {
    Ok(SelectedEvents::answer(page::read(session, || SelectedEvents::new(select, guess)).await?))
}

impl Ask for SelectedEvents {
    fn query(&self, statements: &Statements, limit: i64) -> Given {
        let range = &self.select.range;
        let range = (range.start().get().cast_signed(), range.end().get().cast_signed());
        let query = narrowed(statements.query(SELECT), range, &self.select.narrow);
        listed(query, &self.select.streams.iter().map(StreamName::as_str).collect::<Vec<_>>()).bind(limit)
    }
}

/// See [`polylog_log::Source::tally`].
pub(crate) async fn tally(session: &mut Session, tally: &Tally) -> Result<Tallied, EngineError> {
    let sql = if tally.names.is_empty() { COUNT } else { EACH };
    let range = (tally.range.start().get().cast_signed(), tally.range.end().get().cast_signed());
    let slice = tally.slice_micros();
    let query = session.statements.query(sql).bind(slice).bind(slice).bind(slice);
    let mut rows = narrowed(query, range, &tally.narrow).fetch(&mut session.connection);
    let mut head: Option<Head> = None;
    let mut tallies = Tallies::new(tally);
    while let Some(row) = rows.try_next().await? {
        if head.is_none() {
            head = Some(head::parse(row.try_get_unchecked(0)?)?.head);
            continue;
        }
        let name = |column: usize| -> Result<String, EngineError> {
            let bytes: Vec<u8> = row.try_get_unchecked(column)?;
            String::from_utf8(bytes).map_err(|_| EngineError::damaged("a name that is no text"))
        };
        let count: i64 = row.try_get_unchecked(5)?;
        tallies.add(
            Category::recorded(&name(1)?),
            EventType::recorded(&name(2)?),
            Timestamp::from_micros(row.try_get_unchecked(3)?),
            row.try_get_unchecked::<Option<&[u8]>, _>(4)?,
            count.cast_unsigned(),
        );
    }
    let head = head.ok_or_else(|| EngineError::damaged("counts without their head"))?;
    let Narrow { types, categories, .. } = &tally.narrow;
    let mut rows = tallies.rows();
    rows.retain(|row| types.is_empty() || types.contains(&row.event_type));
    rows.retain(|row| categories.is_empty() || categories.contains(&row.category));
    Ok(Tallied { rows, head })
}
