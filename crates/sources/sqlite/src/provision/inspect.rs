use std::{collections::BTreeMap, path::Path, time::Duration};

use polylog_log::{FORMAT, Failure, Identity};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{Actual, Inventory, StoredColumn};
use crate::{
    connection::{connect, foreign, owner},
    error::EngineError,
    file::{self, Found},
    rows::{bytes, number},
    schema,
};

/// How long provisioning waits for a writer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at what is at a path; changes nothing.
pub fn inspect(path: &Path) -> Result<Actual, Failure> {
    let length = match file::look(path)? {
        Found::Nothing => 0,
        Found::File => std::fs::metadata(path).map_or(0, |found| found.len()),
    };
    if length == 0 {
        check_no_lost_log(path)?;
        return Ok(if path.exists() { Actual::Empty } else { Actual::Absent });
    }
    look(path).map_err(|error| error.failure(PATIENCE))
}

/// SQLite deletes a write-ahead log that stands beside an empty or missing file: it may be all that is left of a log.
fn check_no_lost_log(path: &Path) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    match std::fs::metadata(&beside) {
        Ok(found) if found.len() > 0 => Err(Failure::Damaged(format!(
            "{} is missing or empty, but its write-ahead log {} is there; restore the file, or remove both",
            path.display(),
            Path::new(&beside).display()
        ))),
        _ => Ok(()),
    }
}

fn look(path: &Path) -> Result<Actual, EngineError> {
    let mut connection = connect(path, OpenFlags::empty(), PATIENCE)?;
    let transaction = connection.transaction()?;
    let (owner, things) = owner(&transaction)?;
    if owner != schema::APPLICATION_ID {
        let is_unused = owner == 0 && things == 0;
        return if is_unused { Ok(Actual::Empty) } else { Err(foreign(&transaction)?.into()) };
    }
    let tables = tables(&transaction)?;
    let has = |table: &schema::Table| tables.contains_key(table.name);
    let identity = if has(&schema::HEAD) { identity(&transaction)? } else { None };
    let events = if has(&schema::EVENTS) { events(&transaction)? } else { 0 };
    let mode: String = transaction.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let indexes = indexes(&transaction)?;
    Ok(Actual::Ours(Inventory { identity, is_wal: mode == "wal", events, tables, indexes }))
}

fn tables(connection: &Connection) -> Result<BTreeMap<String, Vec<StoredColumn>>, EngineError> {
    let mut statement = connection.prepare(
        "SELECT t.name, c.name, c.type, c.\"notnull\" FROM sqlite_schema t, pragma_table_xinfo(t.name) c \
         WHERE t.type = 'table' ORDER BY t.name, c.cid",
    )?;
    let mut rows = statement.query([])?;
    let mut tables: BTreeMap<String, Vec<StoredColumn>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let column = StoredColumn { name: row.get(1)?, kind: row.get(2)?, required: row.get(3)? };
        let table: String = row.get(0)?;
        if schema::TABLES.iter().any(|ours| ours.name == table) {
            tables.entry(table).or_default().push(column);
        }
    }
    Ok(tables)
}

fn indexes(connection: &Connection) -> Result<BTreeMap<String, String>, EngineError> {
    let mut statement = connection.prepare(
        "SELECT name, sql FROM sqlite_schema \
         WHERE type = 'index' AND name LIKE 'polylog\\_%' ESCAPE '\\' AND sql IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn identity(connection: &Connection) -> Result<Option<Identity>, EngineError> {
    // the format first: the other columns are what it says
    let format: Option<u32> = connection
        .query_row("SELECT format FROM polylog_head WHERE lane = 0", [], |row| row.get(0))
        .optional()?;
    if let Some(found) = format.filter(|format| *format > FORMAT) {
        return Err(Failure::FormatTooNew { found, known: FORMAT }.into());
    }
    let mut statement =
        connection.prepare("SELECT log, database, incarnation FROM polylog_head WHERE lane = 0")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Identity {
        log: polylog_log::LogId::from_bytes(bytes(row, 0)?),
        database: polylog_log::DatabaseId::from_bytes(bytes(row, 1)?),
        incarnation: polylog_log::Incarnation::from_bytes(bytes(row, 2)?),
    }))
}

fn events(connection: &Connection) -> Result<u64, EngineError> {
    let mut statement = connection.prepare("SELECT coalesce(max(position), 0) FROM polylog_events")?;
    let mut rows = statement.query([])?;
    rows.next()?.map_or(Ok(0), |row| number(row, 0))
}
