//! Writing rows: few as text, together with the statements around them; many, and large ones, as parameters.

use polylog_log::Event;
use sqlx::{AssertSqlSafe, MySql, mysql::MySqlArguments, query::Query};

use crate::{
    connection::Session,
    error::EngineError,
    rows::{COLUMNS, NewRow, columns},
    tables::{Statement, Statements},
    text,
};

/// What every statement that writes events begins with. The commit's id stands twice on its first event.
const INSERT: Statement =
    Statement(concat!("INSERT INTO polylog_events (", columns!(), ", commit_key) VALUES "));

/// Rows of one prepared statement: few sizes, so that each is prepared once.
const CHUNKS: [usize; 2] = [256, 64];

/// A row of more bytes than this is a statement of its own, as parameters.
const LARGE: usize = 64 << 10;

/// Writes rows as parameters as long as there are many, or large ones, and gives those that are left: few enough to be
/// text. `packet` is the longest statement that the server takes.
pub(crate) async fn most<'a>(
    session: &mut Session,
    mut rows: &'a [NewRow<'a>],
) -> Result<&'a [NewRow<'a>], EngineError> {
    let packet = session.packet;
    while let Some(count) = next(rows, packet) {
        let (now, rest) = rows.split_at(count);
        prepared(session, now).await?;
        rows = rest;
    }
    Ok(rows)
}

/// Whether they can be written as one text.
pub(crate) fn are_few(rows: &[NewRow<'_>], packet: usize) -> bool {
    next(rows, packet).is_none()
}

/// How many rows the next statement with parameters takes; `None`: what is left is written as text.
fn next(rows: &[NewRow<'_>], packet: usize) -> Option<usize> {
    let large = rows.iter().position(|row| row.size() > LARGE);
    if large == Some(0) {
        return Some(1);
    }
    // rows before a large one, which waits for its turn
    let small = &rows[..large.unwrap_or(rows.len())];
    let fits = |count: &usize| {
        *count <= small.len() && small[..*count].iter().map(NewRow::size).sum::<usize>() < packet / 2
    };
    if let Some(count) = CHUNKS.into_iter().find(fits) {
        return Some(count);
    }
    // as text a byte may become two
    let bytes: usize = small.iter().map(NewRow::size).sum();
    (large.is_some() || bytes > packet / 4).then_some(1)
}

/// The statement that writes these rows as text; there must be one.
pub(crate) fn as_text(statements: &Statements, rows: &[NewRow<'_>]) -> String {
    let mut to = String::with_capacity(rows.iter().map(NewRow::size).sum());
    to.push_str(statements.sql(INSERT).as_str());
    for (index, row) in rows.iter().enumerate() {
        to.push_str(if index == 0 { "(" } else { ",\n(" });
        write(&mut to, row);
        to.push(')');
    }
    to
}

fn write(to: &mut String, row: &NewRow<'_>) {
    let NewRow { entry, event } = row;
    for number in
        [event.position.get(), event.first.get(), event.last.get(), entry.term.get(), event.version.get()]
    {
        text::number(to, number);
        to.push(',');
    }
    for time in [event.recorded_at, event.time] {
        to.push_str(&time.as_micros().to_string());
        to.push(',');
    }
    for id in [event.id.uuid(), event.commit_id.uuid()] {
        text::id(to, id);
        to.push(',');
    }
    for name in names(event) {
        text::text(to, name);
        to.push(',');
    }
    text::optional(to, row.is_first().then_some(entry.fingerprint.as_bytes()), |to, it| {
        text::hexadecimal(to, it)
    });
    to.push(',');
    for bytes in [event.digest.as_bytes().as_slice(), entry.chain.as_bytes(), event.data_digest.as_bytes()] {
        text::hexadecimal(to, bytes);
        to.push(',');
    }
    text::text(to, &event.content_type);
    for attribute in [&event.correlation_id, &event.causation_id] {
        to.push(',');
        text::optional(to, attribute.as_deref(), text::text);
    }
    for payload in [&event.metadata, &event.data] {
        to.push(',');
        text::optional(to, payload.as_deref(), text::bytes);
    }
    to.push(',');
    text::optional(to, row.is_first().then(|| event.commit_id.uuid()), text::id);
}

fn names(event: &Event) -> [&str; 4] {
    [event.stream.as_str(), event.category.as_str(), event.aggregate_id.as_str(), event.event_type.as_str()]
}

async fn prepared(session: &mut Session, rows: &[NewRow<'_>]) -> Result<(), EngineError> {
    let one = format!("({}?)", "?,".repeat(COLUMNS));
    let all = vec![one; rows.len()].join(",");
    let insert = session.statements.sql(INSERT);
    let mut query = sqlx::query(AssertSqlSafe(format!("{}{all}", insert.as_str())));
    for row in rows {
        query = bind(query, row);
    }
    query.execute(&mut session.connection).await?;
    Ok(())
}

fn bind<'q>(query: Query<'q, MySql, MySqlArguments>, row: &NewRow<'q>) -> Query<'q, MySql, MySqlArguments> {
    let NewRow { entry, event } = *row;
    let is_first = row.is_first();
    let number = |number: u64| number.cast_signed();
    let [stream, category, aggregate_id, event_type] = names(event).map(str::as_bytes);
    let attribute = |text: &'q Option<String>| text.as_deref().map(str::as_bytes);
    query
        .bind(number(event.position.get()))
        .bind(number(event.first.get()))
        .bind(number(event.last.get()))
        .bind(number(entry.term.get()))
        .bind(number(event.version.get()))
        .bind(event.recorded_at.as_micros())
        .bind(event.time.as_micros())
        .bind(event.id.uuid())
        .bind(event.commit_id.uuid())
        .bind(stream)
        .bind(category)
        .bind(aggregate_id)
        .bind(event_type)
        .bind(is_first.then(|| entry.fingerprint.as_bytes().as_slice()))
        .bind(event.digest.as_bytes().as_slice())
        .bind(entry.chain.as_bytes().as_slice())
        .bind(event.data_digest.as_bytes().as_slice())
        .bind(event.content_type.as_bytes())
        .bind(attribute(&event.correlation_id))
        .bind(attribute(&event.causation_id))
        .bind(event.metadata.as_deref())
        .bind(event.data.as_deref())
        .bind(is_first.then(|| event.commit_id.uuid()))
}
