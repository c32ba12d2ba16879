use futures::TryStreamExt;
use polylog_log::{
    Category, EventType, Head, Narrow, Select, Selected, StreamName, Tallied, Tallies, Tally, Timestamp,
};
use polylog_source_servers::page::{Guess, SelectedEvents, Sized};
use sqlx::{PgConnection, Postgres, Row, postgres::PgArguments, query::Query};

use crate::{
    error::EngineError,
    head,
    page::{self, Ask, page},
};

/// What [`narrowed`] gives the parameters of.
macro_rules! narrow {
    () => {
        "WHERE position BETWEEN $1 AND $2 AND time >= $3 AND time < $4 \
         AND ($5::text[] IS NULL OR type = ANY ($5)) AND ($6::text[] IS NULL OR category = ANY ($6)) "
    };
}

const SELECT: &str =
    page!("NULL", narrow!(), "AND ($7::text[] IS NULL OR stream = ANY ($7)) ORDER BY position LIMIT $8");

/// The head, and then how many events are alike in category, type, slice of time (the remainder of a division has the sign
/// of the time) and what `$metadata` says.
macro_rules! tally {
    ($metadata:expr, $count:expr, $group:expr) => {
        concat!(
            "SELECT ",
            crate::head::head!(),
            ", NULL::text, NULL::text, NULL::bigint, NULL::bytea, NULL::bigint \
             UNION ALL (SELECT NULL, category, type, time - (time % $7 + $7) % $7, ",
            $metadata,
            ", ",
            $count,
            " FROM polylog_events ",
            narrow!(),
            $group,
            ")"
        )
    };
}

const COUNT: &str = tally!("NULL::bytea", "count(*)", "GROUP BY 2, 3, 4");
/// With the metadata of each event, which seldom is another's.
const EACH: &str = tally!("metadata", "1::bigint", "");

type Given = Query<'static, Postgres, PgArguments>;

fn narrowed(sql: &'static str, range: (i64, i64), narrow: &Narrow) -> Given {
    let (since, until) = narrow.micros();
    let types = list(narrow.types.iter().map(EventType::as_str));
    let categories = list(narrow.categories.iter().map(Category::as_str));
    sqlx::query(sql).bind(range.0).bind(range.1).bind(since).bind(until).bind(types).bind(categories)
}

/// `None` = the list is empty, and means all.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<Vec<String>> {
    let names: Vec<String> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// See [`polylog_log::Source::select`].
pub(crate) async fn select(
    connection: &mut PgConnection,
    select: &Select,
    guess: Guess,
) -> Result<Sized<Selected>, EngineError> {
    Ok(SelectedEvents::answer(page::read(connection, || SelectedEvents::new(select, guess)).await?))
}

impl Ask for SelectedEvents {
    fn query(&self, limit: i64) -> Given {
        let range = &self.select.range;
        let range = (range.start().get().cast_signed(), range.end().get().cast_signed());
        let streams = list(self.select.streams.iter().map(StreamName::as_str));
        narrowed(SELECT, range, &self.select.narrow).bind(streams).bind(limit)
    }
}

/// See [`polylog_log::Source::tally`].
pub(crate) async fn tally(connection: &mut PgConnection, tally: &Tally) -> Result<Tallied, EngineError> {
    let sql = if tally.names.is_empty() { COUNT } else { EACH };
    let range = (tally.range.start().get().cast_signed(), tally.range.end().get().cast_signed());
    let query = narrowed(sql, range, &tally.narrow).bind(tally.slice_micros());
    let mut rows = query.fetch(&mut *connection);
    let mut head: Option<Head> = None;
    let mut tallies = Tallies::new(tally);
    while let Some(row) = rows.try_next().await? {
        if head.is_none() {
            head = Some(head::parse(row.try_get(0)?)?.head);
            continue;
        }
        let count: i64 = row.try_get(5)?;
        tallies.add(
            Category::recorded(row.try_get(1)?),
            EventType::recorded(row.try_get(2)?),
            Timestamp::from_micros(row.try_get(3)?),
            row.try_get(4)?,
            count.cast_unsigned(),
        );
    }
    let head = head.ok_or_else(|| EngineError::damaged("counts without their head"))?;
    Ok(Tallied { rows: tallies.rows(), head })
}
